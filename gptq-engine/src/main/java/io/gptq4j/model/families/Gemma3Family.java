package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * Gemma 3, text only: as Gemma 2, with norms on queries and keys instead of bounded scores; layers with a sliding window have RoPE
 * frequencies of their own. Gemma Team 2025 (arXiv 2503.19786).
 */
final class Gemma3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "gemma3",
            List.of("gemma3_text"),
            "1B and the text models of the others; sliding window by pattern or by layer_types",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Gemma3Family::read));

    private Gemma3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 4, 256);
        MultiHead attention = Gemma2Family.attention(llama, global(keys, llama.headDim))
                .withNorms(llama.headNorms(NormKind.RMS_PLUS_ONE, llama.eps()));
        MultiHead local = attention.withPosition(local(keys, llama.headDim)).withWindow(llama.window(4096));
        IntPredicate sliding = llama.sliding(6);
        return Gemma2Family.architecture("gemma3", llama, layer -> sliding.test(layer) ? local : attention, 0);
    }

    private static Position global(Keys keys, int headDim) throws CheckpointException {
        Optional<ModelConfig> rope =
                keys.has("rope_scaling") ? keys.object("rope_scaling") : keys.rope("full_attention");
        return keys.rotary(rope, headDim, 1, 1000000, false);
    }

    private static Position local(Keys keys, int headDim) throws CheckpointException {
        double theta = keys.numberOr(10000, "rope_local_base_freq");
        Optional<ModelConfig> rope = keys.rope("sliding_attention");
        return rope.isPresent()
                ? keys.rotary(rope, headDim, 1, theta, false)
                : new Position.Rotary(headDim, theta, false, new RopeScaling.None());
    }
}
