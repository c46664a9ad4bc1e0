package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * ERNIE 4.5, dense: as Llama, with pairs of neighbours rotated.
 */
final class Ernie45Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "ernie4_5",
            List.of("ernie4_5"),
            "0.3B, dense",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Ernie45Family::read));

    private Ernie45Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 2, 128);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "use_bias");
        return llama.architecture(
                "ernie4_5",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias, keys.rotary(keys.rope(), llama.headDim, 1, 500000, true)),
                        llama.mlp(bias),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, true));
    }
}
