package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Helium 1: as Llama, with pairs of neighbours rotated.
 */
final class HeliumFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "helium", List.of("helium"), "1", EnumSet.of(Server.TRANSFORMERS), Keys.reader(HeliumFamily::read));

    private HeliumFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 20, 128);
        double eps = llama.eps(1e-8);
        return llama.architecture(
                "helium",
                llama.embedding(),
                llama.blocks(
                        llama.attention(
                                keys.flag(false, "attention_bias"),
                                false,
                                keys.rotary(keys.rope(), llama.headDim, 1, 100000, true)),
                        llama.mlp(keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
