package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.HeadNorms;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * OLMo 2: as Llama, with norms on what the parts give instead of what they read, and norms over all of a query and a key. OLMo Team
 * 2024 (arXiv 2501.00656).
 */
final class Olmo2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "olmo2",
            List.of("olmo2"),
            "1B, 7B, 13B, 32B",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Olmo2Family::read));

    private Olmo2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "attention_bias");
        return llama.architecture(
                "olmo2",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias).withNorms(allHeads(llama, eps)),
                        llama.mlp(false),
                        llama.normsAfter(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }

    static HeadNorms allHeads(LlamaLayout llama, double eps) {
        return new HeadNorms(
                NormSpan.ALL_HEADS,
                new Norm(NormKind.RMS, "self_attn.q_norm", llama.heads * llama.headDim, eps),
                new Norm(NormKind.RMS, "self_attn.k_norm", llama.kvHeads * llama.headDim, eps));
    }
}
