package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.HeadNorms;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Embedding.LearnedPositions;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;

/**
 * MPT: ALiBi, LayerNorm and linears without biases. Keys that only MosaicML's own code obeys (no_bias, qk_ln, attn_type, learned
 * positions without ALiBi) are obeyed, too; without them both codes agree. github.com/mosaicml/llm-foundry.
 */
final class MptFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "mpt",
            List.of("mpt"),
            "7b, 30b; clip_qkv, qk_ln, one or few key heads, biases, learned positions",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(MptFamily::read));

    private MptFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        int hidden = keys.integer("d_model", "hidden_size");
        int heads = keys.integer("n_heads", "num_attention_heads");
        int headDim = keys.divided("d_model over n_heads", hidden, heads);
        keys.ignore("embedding_fraction", "verbose"); // of training
        int inner = (int) (hidden * keys.numberOr(4, "expansion_ratio"));
        int positions = keys.integerOr(2048, "max_seq_len");
        boolean bias = !keys.flag(true, "no_bias");
        NormKind kind = bias ? NormKind.LAYER : NormKind.LAYER_UNBIASED;
        double eps = keys.numberOr(1e-5, "layer_norm_epsilon");
        String normType = keys.textOr("low_precision_layernorm", "norm_type");
        if (!normType.equals("low_precision_layernorm") && !normType.equals("layernorm")) {
            throw keys.error(
                    "norm_type \"" + normType + "\" is not supported; low_precision_layernorm and layernorm are");
        }
        ModelConfig ffn = keys.object("ffn_config")
                .orElse(ModelConfig.of(Map.of(), keys.config().origin()));
        if (!ffn.stringValue("ffn_type", "mptmlp").equals("mptmlp") || ffn.has("ffn_act_fn")) {
            throw keys.error("ffn_config = " + ffn.values() + " is not supported; only ffn_type mptmlp with GELU is");
        }
        ModelConfig attention = keys.object("attn_config")
                .orElse(ModelConfig.of(Map.of(), keys.config().origin()));
        boolean alibi = attention.booleanValue("alibi", true);
        boolean learned = keys.flag(true, "learned_pos_emb") && !alibi;
        Block block = new Block(
                attention(keys, attention, hidden, heads, headDim, bias)
                        .withPosition(
                                alibi
                                        ? new Position.Alibi(attention.doubleValue("alibi_bias_max", 8), false, false)
                                        : new Position.None()),
                new Mlp.Plain(
                        Activation.GELU,
                        new Linear("ffn.up_proj", hidden, inner, bias),
                        new Linear("ffn.down_proj", inner, hidden, bias)),
                Norms.before(new Norm(kind, "norm_1", hidden, eps), new Norm(kind, "norm_2", hidden, eps)),
                Residual.SEQUENTIAL);
        Embedding embedding = Embedding.of("transformer.wte", hidden);
        return new Architecture(
                "mpt",
                hidden,
                keys.integer("vocab_size"),
                positions,
                "transformer.",
                "transformer.blocks",
                learned ? embedding.withPositions(new LearnedPositions("transformer.wpe", positions, 0)) : embedding,
                Collections.nCopies(keys.count("n_layers", "num_hidden_layers"), block),
                Head.of(
                        new Norm(kind, "transformer.norm_f", hidden, eps),
                        "lm_head",
                        keys.flag(true, "tie_word_embeddings")));
    }

    private static MultiHead attention(Keys keys, ModelConfig config, int hidden, int heads, int headDim, boolean bias)
            throws CheckpointException {
        for (String key : List.of("prefix_lm", "rope", "qk_gn", "attn_logit_softcapping", "sliding_window_size")) {
            Object value = config.values().get(key);
            if (value != null && !value.equals(false) && !value.equals(-1)) {
                throw keys.error("attn_config." + key + " = " + value + " is not supported");
            }
        }
        String type = config.stringValue("attn_type", "multihead_attention");
        int kvHeads = switch (type) {
            case "multihead_attention" -> heads;
            case "multiquery_attention" -> 1;
            case "grouped_query_attention" -> config.intValue("kv_n_heads");
            default -> throw keys.error("attn_config.attn_type \"" + type + "\" is not supported");
        };
        keys.divided("n_heads over attn_config.kv_n_heads", heads, kvHeads);
        int kvSize = kvHeads * headDim;
        MultiHead attention = MultiHead.of(
                heads,
                kvHeads,
                headDim,
                new Position.None(),
                new Fused(new Linear("attn.Wqkv", hidden, hidden + 2 * kvSize, bias), 1, "qkv"),
                new Linear("attn.out_proj", hidden, hidden, bias));
        NormKind kind = bias ? NormKind.LAYER : NormKind.LAYER_UNBIASED;
        attention = attention
                .withScale(config.doubleValue("softmax_scale", attention.scale()))
                .withClip(config.doubleValue("clip_qkv", 0));
        return config.booleanValue("qk_ln", false)
                ? attention.withNorms(new HeadNorms(
                        NormSpan.ALL_HEADS,
                        new Norm(kind, "attn.q_ln", hidden, 1e-5),
                        new Norm(kind, "attn.k_ln", kvSize, 1e-5)))
                : attention;
    }
}
