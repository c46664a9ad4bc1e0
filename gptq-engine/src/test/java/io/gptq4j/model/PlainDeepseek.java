package io.gptq4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/** DeepSeek-V2 and V3, and GLM-4.5, loop by loop. */
@NullUnmarked // as its base
final class PlainDeepseek extends PlainParts {
    private final boolean third;
    private final boolean glm;

    PlainDeepseek(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
        this.glm = config.get("model_type").equals("glm4_moe");
        this.third = !config.get("model_type").equals("deepseek_v2");
    }

    @Override
    double[][] logits(int[] ids) {
        int hidden = integer("hidden_size", 0);
        double eps = number("rms_norm_eps", glm ? 1e-5 : 1e-6);
        double[][] h = rows("model.embed_tokens.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "model.layers." + l + ".";
            double[][] x = rmsNorm(h, p + "input_layernorm", eps);
            h = add(
                    h,
                    linear(
                            glm ? grouped(x, p + "self_attn.", eps) : latent(x, p + "self_attn."),
                            p + "self_attn.o_proj"));
            x = rmsNorm(h, p + "post_attention_layernorm", eps);
            boolean dense = l < integer("first_k_dense_replace", glm ? 1 : third ? 3 : 0);
            h = add(h, dense ? gated(x, p + "mlp.", "gate_proj", "up_proj", "down_proj") : experts(x, p + "mlp."));
        }
        return linear(rmsNorm(h, "model.norm", eps), "lm_head");
    }

    private double[][] grouped(double[][] x, String p, double eps) {
        int heads = integer("num_attention_heads", 0);
        int kv = integer("num_key_value_heads", heads);
        int dim = integer("head_dim", integer("hidden_size", 0) / heads);
        int channels = (int) (dim * number("partial_rotary_factor", 0.5));
        double[][] q = linear(x, p + "q_proj");
        double[][] k = linear(x, p + "k_proj");
        if (flag("use_qk_norm", false)) {
            q = headNorm(q, heads, p + "q_norm", eps);
            k = headNorm(k, kv, p + "k_norm", eps);
        }
        return attend(
                rotate(q, heads, dim, channels, frequencies(channels), false),
                rotate(k, kv, dim, channels, frequencies(channels), false),
                linear(x, p + "v_proj"),
                heads,
                kv,
                1 / Math.sqrt(dim),
                0,
                0,
                null);
    }

    private double[][] latent(double[][] x, String p) {
        int heads = integer("num_attention_heads", 0);
        int plain = integer("qk_nope_head_dim", 0);
        int rotated = integer("qk_rope_head_dim", 0);
        int value = integer("v_head_dim", 0);
        int rank = integer("kv_lora_rank", 0);
        int dim = plain + rotated;
        boolean interleaved = !third || flag("rope_interleave", true);
        double[][] q = config.get("q_lora_rank") == null
                ? linear(x, p + "q_proj")
                : linear(rmsNorm(linear(x, p + "q_a_proj"), p + "q_a_layernorm", 1e-6), p + "q_b_proj");
        double[][] both = linear(x, p + "kv_a_proj_with_mqa");
        double[][] kv = linear(rmsNorm(columns(both, 0, rank), p + "kv_a_layernorm", 1e-6), p + "kv_b_proj");
        double[] frequencies = frequencies(rotated);
        double[][] shared = rotate(columns(both, rank, rank + rotated), 1, rotated, rotated, frequencies, interleaved);
        double[][] queries = new double[x.length][heads * dim];
        double[][] keys = new double[x.length][heads * dim];
        double[][] values = new double[x.length][heads * value];
        for (int head = 0; head < heads; head++) {
            double[][] part = columns(q, head * dim, (head + 1) * dim);
            double[][] turned = rotate(columns(part, plain, dim), 1, rotated, rotated, frequencies, interleaved);
            for (int t = 0; t < x.length; t++) {
                System.arraycopy(part[t], 0, queries[t], head * dim, plain);
                System.arraycopy(turned[t], 0, queries[t], head * dim + plain, rotated);
                System.arraycopy(kv[t], head * (plain + value), keys[t], head * dim, plain);
                System.arraycopy(shared[t], 0, keys[t], head * dim + plain, rotated);
                System.arraycopy(kv[t], head * (plain + value) + plain, values[t], head * value, value);
            }
        }
        return attend(queries, keys, values, heads, heads, 1 / Math.sqrt(dim), 0, 0, null);
    }

    private double[][] experts(double[][] x, String p) {
        int count = integer("n_routed_experts", 0);
        int groups = integer("n_group", 1);
        int size = count / groups;
        double[][] scores = linear(x, p + "gate");
        double[][] y = gated(x, p + "shared_experts.", "gate_proj", "up_proj", "down_proj");
        for (int t = 0; t < x.length; t++) {
            double[] share = new double[count];
            double[] choice = new double[count];
            double total = 0;
            for (int e = 0; e < count; e++) {
                total += Math.exp(scores[t][e]);
            }
            for (int e = 0; e < count; e++) {
                share[e] = third ? 1 / (1 + Math.exp(-scores[t][e])) : Math.exp(scores[t][e]) / total;
                choice[e] = share[e] + (third ? tensors.get(p + "gate.e_score_correction_bias")[e] : 0);
            }
            if (groups > 1 && (third || config.get("topk_method").equals("group_limited_greedy"))) {
                List<Integer> order = new ArrayList<>();
                double[] groupScore = new double[groups];
                for (int g = 0; g < groups; g++) {
                    double[] sorted = Arrays.stream(choice, g * size, (g + 1) * size)
                            .sorted()
                            .toArray();
                    groupScore[g] = third ? sorted[size - 1] + sorted[size - 2] : sorted[size - 1];
                    order.add(g);
                }
                order.sort(Comparator.comparingDouble(g -> -groupScore[g]));
                for (int g : order.subList(integer("topk_group", 1), groups)) {
                    for (int e = g * size; e < (g + 1) * size; e++) {
                        choice[e] = Double.NEGATIVE_INFINITY;
                    }
                }
            }
            List<Integer> order = new ArrayList<>();
            for (int e = 0; e < count; e++) {
                order.add(e);
            }
            order.sort(Comparator.comparingDouble(e -> -choice[e]));
            List<Integer> chosen = order.subList(0, integer("num_experts_per_tok", 0));
            boolean normalized = third && flag("norm_topk_prob", true);
            double sum = normalized ? chosen.stream().mapToDouble(e -> share[e]).sum() : 1;
            double factor = number("routed_scaling_factor", glm || !third ? 1 : 2.5);
            for (int e : chosen) {
                double[][] out =
                        gated(new double[][] {x[t]}, p + "experts." + e + ".", "gate_proj", "up_proj", "down_proj");
                for (int i = 0; i < y[t].length; i++) {
                    y[t][i] += factor * share[e] / sum * out[0][i];
                }
            }
        }
        return y;
    }
}
