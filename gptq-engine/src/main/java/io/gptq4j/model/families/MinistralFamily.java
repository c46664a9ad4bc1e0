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
 * Ministral: as Mistral, with a sliding window in the layers that {@code layer_types} names; all of them if it is missing.
 */
final class MinistralFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "ministral",
            List.of("ministral"),
            "8B with sliding window by layer_types",
            EnumSet.of(Server.TRANSFORMERS),
            Keys.reader(MinistralFamily::read));

    private MinistralFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 0);
        MultiHead attention = llama.attention(false, false);
        int window = llama.window(4096);
        IntPredicate sliding = llama.sliding(layer -> true);
        return llama.architecture(
                "ministral",
                llama.embedding(),
                llama.blocks(
                        layer -> sliding.test(layer) ? attention.withWindow(window) : attention,
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }
}
