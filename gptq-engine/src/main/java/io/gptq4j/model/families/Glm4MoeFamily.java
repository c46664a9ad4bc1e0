package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/** GLM-4.5, 4.5-Air, 4.6 and 4.7: grouped queries, DeepSeek-V3's routing. GLM-4.5 team 2025 (arXiv 2508.06471). */
final class Glm4MoeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "glm4_moe",
            List.of("glm4_moe"),
            "4.5, 4.5-Air, 4.6; norms on queries and keys; its extra block for prediction ahead is carried along",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Glm4MoeFamily::read));

    private Glm4MoeFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 0);
        double eps = llama.eps(1e-5);
        MultiHead attention = llama.attention(
                keys.flag(false, "attention_bias"), false, keys.partialRotary(llama.headDim, 0.5, false));
        if (keys.flag(false, "use_qk_norm")) {
            attention = attention.withNorms(llama.headNorms(NormKind.RMS, eps));
        }
        int inner = keys.integer("moe_intermediate_size");
        Mlp.Routing routing = ExpertsLayout.biased(
                keys.integerOr(8, "num_experts_per_tok"),
                keys.flag(true, "norm_topk_prob"),
                keys.numberOr(1, "routed_scaling_factor"),
                keys.integerOr(1, "n_group"),
                keys.integerOr(1, "topk_group"));
        ExpertsLayout layout =
                new ExpertsLayout(llama, keys.integerOr(128, "n_routed_experts", "num_experts"), routing);
        Mlp experts = layout.experts(
                inner,
                Optional.of(llama.gated("mlp.shared_experts", inner * keys.integerOr(1, "n_shared_experts"), false)),
                Optional.empty());
        int first = keys.integerOr(1, "first_k_dense_replace");
        return llama.architecture(
                "glm4_moe",
                llama.embedding(),
                llama.blocks(
                        layer -> layer < first, attention, llama.mlp(false), experts, llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
