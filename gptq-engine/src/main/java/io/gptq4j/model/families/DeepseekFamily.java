package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.Latent;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.Mlp.GroupScore;
import io.gptq4j.model.Mlp.Routing;
import io.gptq4j.model.Mlp.Scoring;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** DeepSeek-V2, V3 and R1, and Kimi-K2: latent attention, shared experts (arXiv 2405.04434, 2412.19437). */
final class DeepseekFamily {
    static final ModelFamily V2 = new ModelFamily(
            "deepseek_v2",
            List.of("deepseek_v2"),
            "V2, V2-Lite, Coder-V2; greedy and group-limited routing",
            EnumSet.allOf(Server.class),
            Keys.reader(keys -> read(keys, false)));

    static final ModelFamily V3 = new ModelFamily(
            "deepseek_v3",
            List.of("deepseek_v3", "kimi_k2"),
            "V3, V3.1, R1, Moonlight, Kimi-K2; FP8 source weights; its extra block for prediction ahead is carried along",
            EnumSet.allOf(Server.class),
            Keys.reader(keys -> read(keys, true)));

    private DeepseekFamily() {}

    private static Architecture read(Keys keys, boolean third) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        keys.only(1, "moe_layer_freq");
        Latent attention = attention(llama, keys, third);
        Mlp dense = llama.mlp(false);
        int first = keys.integerOr(third ? 3 : 0, "first_k_dense_replace");
        Mlp experts = first < llama.layers ? experts(llama, third) : dense;
        return llama.architecture(
                third ? "deepseek_v3" : "deepseek_v2",
                llama.embedding(),
                llama.blocks(layer -> layer < first, attention, dense, experts, llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }

    private static Latent attention(LlamaLayout llama, Keys keys, boolean third) throws CheckpointException {
        int heads = llama.heads;
        int hidden = llama.hidden;
        int plain = keys.integerOr(128, "qk_nope_head_dim");
        int rotated = keys.integerOr(64, "qk_rope_head_dim");
        keys.ignore("qk_head_dim"); // the sum of the two
        int value = keys.integerOr(128, "v_head_dim");
        int rank = keys.integerOr(512, "kv_lora_rank");
        boolean bias = keys.flag(false, "attention_bias");
        OptionalInt queryRank = keys.integerUnlessNull(1536, "q_lora_rank");
        boolean direct = queryRank.isEmpty();
        return new Latent(
                heads,
                plain,
                value,
                scale(keys, plain + rotated),
                keys.rotary(rotated, !third || keys.flag(true, "rope_interleave")),
                new Linear(
                        direct ? "self_attn.q_proj" : "self_attn.q_b_proj",
                        queryRank.orElse(hidden),
                        heads * (plain + rotated),
                        false),
                queryRank.isEmpty()
                        ? Optional.empty()
                        : Optional.of(new Latent.QueryLatent(
                                new Linear("self_attn.q_a_proj", hidden, queryRank.getAsInt(), bias),
                                new Norm(NormKind.RMS, "self_attn.q_a_layernorm", queryRank.getAsInt(), 1e-6))),
                new Linear("self_attn.kv_a_proj_with_mqa", hidden, rank + rotated, bias),
                new Norm(NormKind.RMS, "self_attn.kv_a_layernorm", rank, 1e-6),
                new Linear("self_attn.kv_b_proj", rank, heads * (plain + value), false),
                new Linear("self_attn.o_proj", heads * value, hidden, bias));
    }

    /** 1 / sqrt(head), times what YaRN makes of the temperature, squared, as both sides of a score have it. */
    private static double scale(Keys keys, int headDim) throws CheckpointException {
        Optional<ModelConfig> rope = keys.rope();
        double temperature = rope.isEmpty()
                ? 1
                : RopeScalings.growth(
                        rope.get().doubleValue("factor", 1), rope.get().doubleValue("mscale_all_dim", 0));
        return temperature * temperature / Math.sqrt(headDim);
    }

    private static Mlp experts(LlamaLayout llama, boolean third) throws CheckpointException {
        Keys keys = llama.keys;
        Routing routing = third ? routingOfV3(keys) : routingOfV2(keys);
        int inner = keys.integer("moe_intermediate_size");
        int shared = keys.integerOrNone(third ? 1 : 2, "n_shared_experts");
        return new ExpertsLayout(llama, keys.count("n_routed_experts", "num_local_experts"), routing)
                .experts(
                        inner,
                        shared == 0
                                ? Optional.empty()
                                : Optional.of(llama.gated("mlp.shared_experts", inner * shared, false)),
                        Optional.empty());
    }

    private static Routing routingOfV2(Keys keys) throws CheckpointException {
        boolean grouped = method(keys, "greedy", "group_limited_greedy").equals("group_limited_greedy");
        keys.only("softmax", "scoring_func");
        keys.only(false, "norm_topk_prob"); // implementations disagree on what it does to routed_scaling_factor
        int groups = keys.integerOr(1, "n_group");
        int open = keys.integerOr(1, "topk_group");
        return new Routing(
                Scoring.SOFTMAX,
                keys.integer("num_experts_per_tok"),
                false,
                keys.numberOr(1, "routed_scaling_factor"),
                Optional.empty(),
                grouped ? groups : 1,
                grouped ? open : 1,
                GroupScore.MAX);
    }

    private static Routing routingOfV3(Keys keys) throws CheckpointException {
        method(keys, "noaux_tc");
        keys.only("sigmoid", "scoring_func");
        return ExpertsLayout.biased(
                keys.integer("num_experts_per_tok"),
                keys.flag(true, "norm_topk_prob"),
                keys.numberOr(2.5, "routed_scaling_factor"),
                keys.integerOr(8, "n_group"),
                keys.integerOr(4, "topk_group"));
    }

    /** One of these values of {@code topk_method}, the first if it is missing. */
    private static String method(Keys keys, String... supported) throws CheckpointException {
        String method = keys.textOr(supported[0], "topk_method");
        if (!List.of(supported).contains(method)) {
            throw keys.error("topk_method = " + method + " is not supported for this family");
        }
        return method;
    }
}
