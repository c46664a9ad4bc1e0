package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * OLMoE: as Llama, with experts, and with norms over all of a query and a key. Muennighoff et al. 2024 (arXiv 2409.02060). {@code
 * clip_qkv} is refused: it comes after the norms here, and vLLM computes nothing of it.
 */
final class OlmoeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "olmoe",
            List.of("olmoe"),
            "1B-7B; norms over all of a query and a key",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(OlmoeFamily::read));

    private OlmoeFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "attention_bias");
        Mlp.Routing routing =
                Mlp.Routing.softmax(keys.integerOr(8, "num_experts_per_tok"), keys.flag(false, "norm_topk_prob"));
        Mlp.Experts experts = new ExpertsLayout(llama, keys.countOr(64, "num_experts", "num_local_experts"), routing)
                .experts(keys.integer("intermediate_size"), Optional.empty(), Optional.empty());
        return llama.architecture(
                "olmoe",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias).withNorms(Olmo2Family.allHeads(llama, eps)),
                        experts,
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
