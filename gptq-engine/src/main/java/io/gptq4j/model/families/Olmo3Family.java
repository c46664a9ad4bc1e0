package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * OLMo 3: as OLMo 2, with a sliding window in three of four layers; a scaling of RoPE acts in the others only.
 */
final class Olmo3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "olmo3",
            List.of("olmo3"),
            "7B, 32B; sliding window by layer_types",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Olmo3Family::read));

    private Olmo3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "attention_bias");
        Optional<ModelConfig> global = keys.has("rope_scaling") ? keys.rope() : keys.rope("full_attention");
        MultiHead attention = llama.attention(bias, bias, keys.rotary(global, llama.headDim, 1, 10000, false))
                .withNorms(Olmo2Family.allHeads(llama, eps));
        MultiHead local = attention
                .withPosition(keys.rotary(keys.rope("sliding_attention"), llama.headDim, 1, 10000, false))
                .withWindow(llama.window(4096));
        IntPredicate sliding = llama.sliding(layer -> (layer + 1) % 4 != 0);
        return llama.architecture(
                "olmo3",
                llama.embedding(),
                llama.blocks(
                        layer -> sliding.test(layer) ? local : attention,
                        llama.mlp(false),
                        llama.normsAfter(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
