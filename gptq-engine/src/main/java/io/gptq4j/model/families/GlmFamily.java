package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * GLM-4 in the layout of transformers: as Llama, with gate and up in one module and half of each head rotated in pairs of neighbours;
 * {@code glm4} has norms on what the parts give, too. GLM Team 2024 (arXiv 2406.12793).
 */
final class GlmFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "glm",
            List.of("glm", "glm4"),
            "4 in the layout of transformers, Edge; 4-0414 and Z1 with norms around their parts",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GlmFamily::read));

    private GlmFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 2, 128);
        double eps = llama.eps(1.5625e-7);
        String family = keys.config().modelType();
        return llama.architecture(
                family,
                llama.embedding(),
                llama.blocks(
                        llama.attention(
                                keys.flag(true, "attention_bias"), false, keys.partialRotary(llama.headDim, 0.5, true)),
                        llama.fusedMlp(),
                        family.equals("glm") ? llama.norms(NormKind.RMS, eps) : normsOfGlm4(llama, eps)),
                llama.head(NormKind.RMS, eps, false));
    }

    private static Norms normsOfGlm4(LlamaLayout llama, double eps) {
        return Norms.around(
                llama.norm(NormKind.RMS, "input_layernorm", eps),
                llama.norm(NormKind.RMS, "post_self_attn_layernorm", eps),
                llama.norm(NormKind.RMS, "post_attention_layernorm", eps),
                llama.norm(NormKind.RMS, "post_mlp_layernorm", eps));
    }
}
