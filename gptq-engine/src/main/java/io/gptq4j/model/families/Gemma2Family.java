package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
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
        keys.activation("gelu_pytorch_tanh", "hidden_act"); // known, but hidden_activation counts
        boolean bias = keys.flag(false, "attention_bias");
        keys.ignore("hidden_act"); // hidden_activation counts
        MultiHead attention = llama.attention(bias, bias)
                .withScale(1 / Math.sqrt(keys.numberOr(256, "query_pre_attn_scalar")))
                .withSoftcap(keys.numberOrNone(50, "attn_logit_softcapping"));
        int window = llama.window(4096);
        IntPredicate sliding = llama.sliding(layer -> layer % 2 == 0);
        return llama.architecture(
                "gemma2",
                llama.embedding().withScale(Math.sqrt(llama.hidden)),
                llama.blocks(
                        layer -> sliding.test(layer) ? attention.withWindow(window) : attention,
                        llama.gated(
                                "mlp",
                                keys.integer("intermediate_size"),
                                false,
                                keys.activation("gelu_pytorch_tanh", "hidden_activation")),
                        llama.normsAround(NormKind.RMS_PLUS_ONE, llama.eps())),
                llama.head(NormKind.RMS_PLUS_ONE, llama.eps(), true)
                        .withSoftcap(keys.numberOrNone(30, "final_logit_softcapping")));
    }
}
