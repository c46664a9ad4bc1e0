package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import io.gptq4j.model.families.LlamaLayout.AttentionOf;
import java.util.EnumSet;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Gemma 2: as Gemma, with norms on both sides of the parts, bounded scores and logits, and a sliding window in every other layer.
 * Gemma Team 2024 (arXiv 2408.00118).
 */
final class Gemma2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "gemma2",
            List.of("gemma2"),
            "2B, 9B, 27B; soft-capping, sliding window by turns or by layer_types",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Gemma2Family::read));

    private Gemma2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 4, 256);
        MultiHead attention = attention(llama, keys.rotary(llama.headDim, false))
                .withSoftcap(keys.numberOrNone(50, "attn_logit_softcapping"));
        int window = llama.window(4096);
        IntPredicate sliding = llama.sliding(layer -> layer % 2 == 0);
        return architecture(
                "gemma2", llama, layer -> sliding.test(layer) ? attention.withWindow(window) : attention, 30);
    }

    /** q, k, v and o, with the scale that both generations have. */
    static MultiHead attention(LlamaLayout llama, Position position) throws CheckpointException {
        boolean bias = llama.keys.flag(false, "attention_bias");
        return llama.attention(bias, bias, position)
                .withScale(1 / Math.sqrt(llama.keys.numberOr(256, "query_pre_attn_scalar")));
    }

    /** All else that both generations have in common. */
    static Architecture architecture(String family, LlamaLayout llama, AttentionOf attention, double defaultSoftcap)
            throws CheckpointException {
        Keys keys = llama.keys;
        keys.activation("gelu_pytorch_tanh", "hidden_act"); // must be known, but hidden_activation counts
        return llama.architecture(
                family,
                llama.embedding().withScale(Math.sqrt(llama.hidden)),
                llama.blocks(
                        attention,
                        llama.gated(
                                "mlp",
                                keys.integer("intermediate_size"),
                                false,
                                keys.activation("gelu_pytorch_tanh", "hidden_activation")),
                        llama.normsAround(NormKind.RMS_PLUS_ONE, llama.eps())),
                llama.head(NormKind.RMS_PLUS_ONE, llama.eps(), true)
                        .withSoftcap(keys.numberOrNone(defaultSoftcap, "final_logit_softcapping")));
    }
}
