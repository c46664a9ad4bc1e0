package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Seed-OSS: as Llama, with biases on q, k and v and a head size of its own.
 */
final class SeedOssFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "seed_oss",
            List.of("seed_oss"),
            "36B",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(SeedOssFamily::read));

    private SeedOssFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 128);
        return llama.architecture(
                "seed_oss",
                llama.embedding(),
                llama.blocks(
                        llama.attention(keys.flag(true, "attention_bias"), keys.flag(false, "attention_out_bias")),
                        llama.mlp(keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }
}
