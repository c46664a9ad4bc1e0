package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * Falcon: one key head for all (7B), groups of heads with a key each (the "new decoder architecture": 40B, 180B, 11B), or all heads with
 * their own (RW). Rotary positions, or ALiBi in bfloat16 that is scaled like the scores. The first checkpoints have model types
 * of their own, of which RefinedWeb implies the new architecture. Almazrouei et al. 2023 (arXiv 2311.16867).
 */
final class FalconFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "falcon",
            List.of("falcon", "RefinedWeb", "RefinedWebModel"),
            "7b (one key head), 40b and 180b (new decoder architecture), 11b (its one norm), rw (alibi, sequential, biases)",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(FalconFamily::read));

    private FalconFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        keys.ignore("num_kv_heads"); // counts in the new decoder architecture only
        int hidden = keys.integer("hidden_size", "n_embed");
        int heads = keys.integer("num_attention_heads", "n_head");
        int headDim = keys.divided("hidden_size over num_attention_heads", hidden, heads);
        int inner = keys.integerOr(4 * hidden, "ffn_hidden_size");
        boolean grouped = keys.flag(keys.config().modelType().equals("RefinedWeb"), "new_decoder_architecture");
        boolean parallel = keys.flag(true, "parallel_attn");
        boolean multiQuery = keys.flag(true, "multi_query");
        int kvHeads = grouped ? keys.integerOr(heads, "num_kv_heads", "n_head_kv") : multiQuery ? 1 : heads;
        keys.divided("num_attention_heads over num_kv_heads", heads, kvHeads);
        int norms = keys.integerOr(grouped ? 2 : 1, "num_ln_in_parallel_attn");
        if ((grouped && !parallel) || norms < 1 || norms > 2 || (norms == 2 && parallel && !grouped)) {
            throw keys.error("num_ln_in_parallel_attn = " + norms + " with parallel_attn = " + parallel
                    + " and new_decoder_architecture = " + grouped + " is not a combination that Falcon has");
        }
        boolean bias = keys.flag(false, "bias");
        double eps = keys.numberOr(1e-5, "layer_norm_epsilon");
        Position rotary = keys.rotary(headDim, false);
        MegatronLayout megatron = new MegatronLayout(keys, hidden, heads, kvHeads, headDim, NormKind.LAYER, eps);
        Norm first = megatron.norm(norms == 2 && parallel ? "ln_attn" : "input_layernorm");
        Norm second =
                !parallel ? megatron.norm("post_attention_layernorm") : norms == 2 ? megatron.norm("ln_mlp") : first;
        Position position = keys.flag(false, "alibi") ? new Position.Alibi(8, true, true) : rotary;
        Block block = new Block(
                megatron.attention("self_attention", position, kvHeads, bias, bias),
                megatron.mlp(keys.activation("gelu", "activation"), inner, bias),
                Norms.before(first, second),
                parallel ? Residual.PARALLEL : Residual.SEQUENTIAL);
        return megatron.architecture(
                "falcon",
                keys.integerOr(2048, "max_position_embeddings"),
                megatron.embedding(),
                keys.count("num_hidden_layers", "n_layer"),
                block);
    }
}
