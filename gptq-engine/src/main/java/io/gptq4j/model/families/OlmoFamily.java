package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * OLMo: as Llama, with norms that have no weights; q, k and v may be clipped. Groeneveld et al. 2024 (arXiv 2402.00838).
 */
final class OlmoFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "olmo",
            List.of("olmo"),
            "1B, 7B; clip_qkv",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(OlmoFamily::read));

    private OlmoFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        boolean bias = keys.flag(false, "attention_bias");
        return llama.architecture(
                "olmo",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias).withClip(keys.numberOrNone(0, "clip_qkv")),
                        llama.mlp(false),
                        llama.norms(NormKind.LAYER_PLAIN, 1e-5)),
                llama.head(NormKind.LAYER_PLAIN, 1e-5, false));
    }
}
