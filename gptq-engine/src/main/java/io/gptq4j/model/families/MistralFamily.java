package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Mistral: as Llama, with a sliding window in all layers unless it is null. Jiang et al. 2023 (arXiv 2310.06825).
 */
final class MistralFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "mistral",
            List.of("mistral"),
            "7B v0.1 with its sliding window, v0.2, v0.3, Nemo with its own head_dim, Small, Large",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(MistralFamily::read));

    private MistralFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 0);
        return llama.architecture(
                "mistral",
                llama.embedding(),
                llama.blocks(
                        llama.attention(false, false).withWindow(llama.window(4096)),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }
}
