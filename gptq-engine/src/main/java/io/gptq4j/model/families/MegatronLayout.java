package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.Position;
import java.util.Collections;

/**
 * The modules of a block under the names that Megatron-LM gave them, which BLOOM, Falcon, GPT-NeoX and ChatGLM have kept. Their
 * config keys differ, so each family reads its own.
 *
 * @param kind of all norms
 * @param eps of all norms
 */
record MegatronLayout(Keys keys, int hidden, int heads, int kvHeads, int headDim, NormKind kind, double eps) {
    /** {@code PATH.query_key_value}, whose outputs are so many stretches as {@link Fused} has them, and {@code PATH.dense}. */
    MultiHead attention(String path, Position position, int stretches, boolean qkvBias, boolean bias) {
        Linear qkv = new Linear(path + ".query_key_value", hidden, (heads + 2 * kvHeads) * headDim, qkvBias);
        return MultiHead.of(
                heads,
                kvHeads,
                headDim,
                position,
                new Fused(qkv, stretches, "qkv"),
                new Linear(path + ".dense", heads * headDim, hidden, bias));
    }

    /** Two modules without a gate. */
    Mlp.Plain mlp(Activation activation, int inner, boolean bias) {
        return new Mlp.Plain(activation, up(inner, bias), down(inner, bias));
    }

    Linear up(int outputs, boolean bias) {
        return new Linear("mlp.dense_h_to_4h", hidden, outputs, bias);
    }

    Linear down(int inner, boolean bias) {
        return new Linear("mlp.dense_4h_to_h", inner, hidden, bias);
    }

    Norm norm(String name) {
        return new Norm(kind, name, hidden, eps);
    }

    /** {@code input_layernorm} and {@code post_attention_layernorm} on what the parts read. */
    Norms norms() {
        return Norms.before(norm("input_layernorm"), norm("post_attention_layernorm"));
    }

    /** {@code transformer.word_embeddings}, of BLOOM and Falcon. */
    Embedding embedding() {
        return Embedding.of("transformer.word_embeddings", hidden);
    }

    /** The whole of BLOOM and Falcon, with {@code transformer.h}. */
    Architecture architecture(String family, int positions, Embedding embedding, int layers, Block block)
            throws CheckpointException {
        Head head = Head.of(norm("transformer.ln_f"), "lm_head", keys.flag(true, "tie_word_embeddings"));
        return GptLayout.whole(keys, family, hidden, positions, embedding, Collections.nCopies(layers, block), head);
    }
}
