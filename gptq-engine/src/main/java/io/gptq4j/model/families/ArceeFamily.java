package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Arcee's AFM: as Llama, with squared ReLU and no gate.
 */
final class ArceeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "arcee",
            List.of("arcee"),
            "AFM 4.5B",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(ArceeFamily::read));

    private ArceeFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "attention_bias");
        return llama.architecture(
                "arcee",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias),
                        llama.plainMlp("up_proj", "down_proj", "relu2", keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
