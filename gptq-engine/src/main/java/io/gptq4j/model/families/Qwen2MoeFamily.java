package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/** Qwen1.5-MoE, Qwen2-MoE and Qwen3-MoE; only the first two have shared experts. Yang et al. 2024, 2025 (arXiv 2407.10671, 2505.09388). */
final class Qwen2MoeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "qwen2_moe",
            List.of("qwen2_moe"),
            "1.5-MoE, 2-57B-A14B; dense blocks between, shared expert",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(keys -> read(keys, false)));

    static final ModelFamily QWEN3 = new ModelFamily(
            "qwen3_moe",
            List.of("qwen3_moe"),
            "30B-A3B, 235B-A22B; dense blocks between, norms on queries and keys",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(keys -> read(keys, true)));

    private Qwen2MoeFamily() {}

    private static Architecture read(Keys keys, boolean third) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, third ? 4 : 16, 0);
        if (!third) {
            keys.only(false, "use_sliding_window"); // releases of transformers disagree on which layers it is for
        }
        keys.ignore("sliding_window", "max_window_layers"); // without it, or at all
        boolean bias = third ? keys.flag(false, "attention_bias") : keys.flag(true, "qkv_bias");
        MultiHead attention = llama.attention(bias, third && bias);
        if (third) {
            attention = attention
                    .withNorms(llama.headNorms(NormKind.RMS, llama.eps()))
                    .withWindow(keys.flag(false, "use_sliding_window") ? llama.window(4096) : 0);
        }
        int step = keys.integerOr(1, "decoder_sparse_step");
        List<Integer> only = keys.integers("mlp_only_layers");
        return llama.architecture(
                third ? "qwen3_moe" : "qwen2_moe",
                llama.embedding(),
                llama.blocks(
                        layer -> only.contains(layer) || (layer + 1) % step != 0,
                        attention,
                        llama.mlp(false),
                        experts(llama, third),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }

    private static Mlp experts(LlamaLayout llama, boolean third) throws CheckpointException {
        Keys keys = llama.keys;
        Mlp.Routing routing = Mlp.Routing.softmax(
                keys.integerOr(third ? 8 : 4, "num_experts_per_tok"), keys.flag(false, "norm_topk_prob"));
        ExpertsLayout layout = new ExpertsLayout(llama, keys.count("num_experts", "num_local_experts"), routing);
        int intermediate = keys.integer("moe_intermediate_size");
        if (third) {
            return layout.experts(intermediate, Optional.empty(), Optional.empty());
        }
        return layout.experts(
                intermediate,
                Optional.of(llama.gated("mlp.shared_expert", keys.integer("shared_expert_intermediate_size"), false)),
                Optional.of(new Linear("mlp.shared_expert_gate", llama.hidden, 1, false)));
    }
}
