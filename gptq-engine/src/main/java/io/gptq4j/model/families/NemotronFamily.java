package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Nemotron 4 and Minitron: LayerNorm that stores its weights less one, half of each head rotated, squared ReLU without gate. Parmar et
 * al. 2024 (arXiv 2402.16819).
 */
final class NemotronFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "nemotron",
            List.of("nemotron"),
            "Nemotron 4, Minitron",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(NemotronFamily::read));

    private NemotronFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = keys.numberOr(1e-5, "norm_eps");
        boolean bias = keys.flag(false, "attention_bias");
        return llama.architecture(
                "nemotron",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias, keys.partialRotary(llama.headDim, 0.5, false)),
                        llama.plainMlp("up_proj", "down_proj", "relu2", keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.LAYER_PLUS_ONE, eps)),
                llama.head(NormKind.LAYER_PLUS_ONE, eps, false));
    }
}
