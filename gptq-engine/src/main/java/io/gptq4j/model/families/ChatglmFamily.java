package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;

/**
 * ChatGLM2, ChatGLM3 and GLM-4 in the layout of their own code: RMSNorm, half of each head's channels rotated in pairs of
 * neighbours, few key heads, a fused gated MLP. GLM team 2024 (arXiv 2406.12793).
 */
final class ChatglmFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "chatglm",
            List.of("chatglm"),
            "chatglm2, chatglm3, glm-4-9b in their own layout; not the first chatglm-6b",
            EnumSet.of(Server.VLLM),
            Keys.reader(ChatglmFamily::read));

    private ChatglmFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        if (keys.has("position_encoding_2d") || keys.has("inner_hidden_size")) {
            throw keys.error("position_encoding_2d belongs to the first ChatGLM-6B, whose attention sees its prompt in"
                    + " both directions; chatglm2 and later are supported");
        }
        for (String key : List.of("pre_seq_len", "quantization_bit")) {
            keys.only(0, key);
        }
        keys.only(true, "original_rope");
        int hidden = keys.integer("hidden_size");
        int heads = keys.integer("num_attention_heads");
        int headDim = keys.integerOr(128, "kv_channels");
        boolean shared = keys.flag(false, "multi_query_attention");
        int kvHeads = shared ? keys.integerOr(1, "multi_query_group_num") : heads;
        keys.divided("num_attention_heads over multi_query_group_num", heads, kvHeads);
        int inner = keys.integer("ffn_hidden_size");
        boolean bias = keys.flag(false, "add_bias_linear");
        boolean qkvBias = keys.flag(false, "add_qkv_bias") || bias;
        NormKind kind = keys.flag(true, "rmsnorm") ? NormKind.RMS : NormKind.LAYER;
        double eps = keys.numberOr(1e-5, "layernorm_epsilon");
        MegatronLayout megatron = new MegatronLayout(keys, hidden, heads, kvHeads, headDim, kind, eps);
        Position rotary = rotary(keys, keys.divided("kv_channels over 2", headDim, 2));
        Block block = new Block(
                megatron.attention("self_attention", rotary, shared ? 1 : heads, qkvBias, bias),
                new Mlp.FusedGated(Activation.SILU, megatron.up(2 * inner, bias), megatron.down(inner, bias)),
                megatron.norms(),
                keys.flag(false, "apply_residual_connection_post_layernorm")
                        ? Residual.FROM_NORM
                        : Residual.SEQUENTIAL);
        Head head = Head.of(
                megatron.norm("transformer.encoder.final_layernorm"),
                "transformer.output_layer",
                keys.flag(false, "tie_word_embeddings"));
        return new Architecture(
                "chatglm",
                hidden,
                keys.integer("padded_vocab_size", "vocab_size"),
                keys.integerOr(2048, "seq_length"),
                "transformer.",
                "transformer.encoder.layers",
                Embedding.of("transformer.embedding.word_embeddings", hidden),
                Collections.nCopies(keys.count("num_layers", "num_hidden_layers"), block),
                keys.flag(true, "post_layer_norm") ? head : head.withoutNorm());
    }

    /** {@code rope_ratio} multiplies the base; in ChatGLM2's own code, of which chatglm2-6b-32k makes use, it divides positions. */
    private static Position.Rotary rotary(Keys keys, int channels) throws CheckpointException {
        double ratio = keys.numberOr(1, "rope_ratio");
        return keys.textOr("", "_name_or_path").contains("chatglm2")
                ? new Position.Rotary(channels, 10000, true, new RopeScaling.LinearFactor(ratio))
                : new Position.Rotary(channels, 10000 * ratio, true, new RopeScaling.None());
    }
}
