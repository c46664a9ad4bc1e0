package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Phi 3, 3.5 and 4: as Llama, with q, k and v in one module, gate and up in another; Phi-4-mini rotates a part of each head. Abdin et
 * al. 2024 (arXiv 2404.14219).
 */
final class Phi3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "phi3",
            List.of("phi3"),
            "3, 3.5 and 4, mini to medium; long contexts; not Phi-3-small, which is another model",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Phi3Family::read));

    private Phi3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        return llama.architecture(
                "phi3",
                llama.embedding(),
                llama.blocks(
                        llama.fusedAttention("qkv_proj", keys.partialRotary(llama.headDim, 1, false))
                                .withWindow(llama.window(0)),
                        llama.fusedMlp(),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
