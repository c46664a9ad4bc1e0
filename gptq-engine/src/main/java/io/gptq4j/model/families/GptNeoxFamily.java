package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;

/**
 * GPT-NeoX: attention and MLP side by side, each after its own norm, or one after the other; a quarter of each head's channels
 * rotated; q, k and v fused head by head. Black et al. 2022 (arXiv 2204.06745).
 */
final class GptNeoxFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "gpt_neox",
            List.of("gpt_neox"),
            "gpt-neox-20b, pythia, dolly, redpajama, stablelm-alpha; parallel or sequential residual, attention bias or none",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GptNeoxFamily::read));

    private GptNeoxFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        int hidden = keys.integer("hidden_size");
        int heads = keys.integer("num_attention_heads");
        int headDim = keys.divided("hidden_size over num_attention_heads", hidden, heads);
        int inner = keys.integer("intermediate_size");
        double eps = keys.numberOr(1e-5, "layer_norm_eps");
        boolean bias = keys.flag(true, "attention_bias");
        MegatronLayout megatron = new MegatronLayout(keys, hidden, heads, heads, headDim, NormKind.LAYER, eps);
        Block block = new Block(
                megatron.attention("attention", keys.partialRotary(headDim, 0.25, false), heads, bias, bias),
                megatron.mlp(keys.activation("gelu", "hidden_act"), inner, true),
                megatron.norms(),
                keys.flag(true, "use_parallel_residual") ? Residual.PARALLEL : Residual.SEQUENTIAL);
        return new Architecture(
                "gpt_neox",
                hidden,
                keys.integer("vocab_size"),
                keys.integerOr(2048, "max_position_embeddings"),
                "gpt_neox.",
                "gpt_neox.layers",
                Embedding.of("gpt_neox.embed_in", hidden),
                Collections.nCopies(keys.count("num_hidden_layers"), block),
                Head.of(
                        megatron.norm("gpt_neox.final_layer_norm"),
                        "embed_out",
                        keys.flag(false, "tie_word_embeddings")));
    }
}
