package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/** Mixtral: Mistral with experts under names of its own. Jiang et al. 2024 (arXiv 2401.04088). */
final class MixtralFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "mixtral",
            List.of("mixtral"),
            "8x7B, 8x22B, sliding window",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(MixtralFamily::read));

    private MixtralFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 0);
        Mlp.Routing routing = Mlp.Routing.softmax(keys.integerOr(2, "num_experts_per_tok"), true);
        return llama.architecture(
                "mixtral",
                llama.embedding(),
                llama.blocks(
                        llama.attention(false, false, keys.rotary(keys.rope(), llama.headDim, 1, 1000000, false))
                                .withWindow(keys.integerOr(0, "sliding_window")),
                        new ExpertsLayout(llama, keys.countOr(8, "num_local_experts"), routing).mixtral("gate"),
                        llama.norms(NormKind.RMS, llama.eps(1e-5))),
                llama.head(NormKind.RMS, llama.eps(1e-5), false));
    }
}
