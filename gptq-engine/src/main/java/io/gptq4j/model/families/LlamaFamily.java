package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Llama 1, 2, 3, 3.1, 3.2 and 3.3, and checkpoints in their layout, XVERSE and Aquila among them: RMSNorm, rotary positions, grouped-query attention,
 * gated MLP. Touvron et al. 2023 (arXiv 2302.13971, 2307.09288), Dubey et al. 2024 (arXiv 2407.21783).
 */
final class LlamaFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "llama",
            List.of("llama", "xverse", "aquila"),
            "1, 2, 3, 3.1, 3.2, 3.3; biases, own head_dim; XVERSE, Aquila",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(LlamaFamily::read));

    private LlamaFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        boolean bias = keys.flag(false, "attention_bias");
        return llama.architecture(
                "llama",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias),
                        llama.mlp(keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }
}
