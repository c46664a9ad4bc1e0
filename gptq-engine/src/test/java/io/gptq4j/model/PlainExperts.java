package io.gptq4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.NullUnmarked;

/** Mixtures of experts, loop by loop. */
@NullUnmarked // as its base
final class PlainExperts extends PlainParts {
    PlainExperts(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    @Override
    double[][] logits(int[] ids) {
        String type = (String) config.get("model_type");
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int kv = integer("num_key_value_heads", heads);
        int dim = integer("head_dim", hidden / heads);
        double eps = number("rms_norm_eps", type.equals("mixtral") || type.equals("olmoe") ? 1e-5 : 1e-6);
        boolean granite = type.startsWith("granitemoe");
        boolean rotated = !type.equals("granitemoehybrid") || "rope".equals(config.get("position_embedding_type"));
        double scale = granite ? number("attention_multiplier", 1) : 1 / Math.sqrt(dim);
        double joined = number("residual_multiplier", 1);
        double[][] h = scaled(rows("model.embed_tokens.weight", ids, 0, hidden), number("embedding_multiplier", 1));
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "model.layers." + l + ".";
            double[][] x = rmsNorm(h, p + "input_layernorm", eps);
            double[][] q = linear(x, p + "self_attn.q_proj");
            double[][] k = linear(x, p + "self_attn.k_proj");
            if (type.equals("qwen3_moe")) {
                q = headNorm(q, heads, p + "self_attn.q_norm", eps);
                k = headNorm(k, kv, p + "self_attn.k_norm", eps);
            } else if (type.equals("olmoe")) {
                q = rmsNorm(q, p + "self_attn.q_norm", eps);
                k = rmsNorm(k, p + "self_attn.k_norm", eps);
            }
            if (rotated) {
                q = rotate(q, heads, dim, dim, frequencies(dim), false);
                k = rotate(k, kv, dim, dim, frequencies(dim), false);
            }
            double[][] a = attend(
                    q, k, linear(x, p + "self_attn.v_proj"), heads, kv, scale, integer("sliding_window", 0), 0, null);
            h = add(h, scaled(linear(a, p + "self_attn.o_proj"), joined));
            x = rmsNorm(h, p + "post_attention_layernorm", eps);
            h = add(h, scaled(mlp(x, p, l, type), joined));
        }
        boolean tied = flag("tie_word_embeddings", false);
        double[][] logits = linear(rmsNorm(h, "model.norm", eps), tied ? "model.embed_tokens" : "lm_head");
        return scaled(logits, 1 / number("logits_scaling", 1));
    }

    private static double[][] scaled(double[][] x, double factor) {
        return map(x, value -> value * factor);
    }

    private double[][] mlp(double[][] x, String p, int layer, String type) {
        if (type.equals("mixtral")) {
            return experts(x, p + "block_sparse_moe.", "w1", "w3", "w2", integer("num_local_experts", 8), true);
        }
        if (type.startsWith("granitemoe")) {
            boolean some = integer("num_local_experts", 8) > 0;
            double[][] y = some ? graniteExperts(x, p + "block_sparse_moe.") : scaled(x, 0);
            return tensors.containsKey(p + "shared_mlp.input_linear.weight") ? add(y, graniteShared(x, p)) : y;
        }
        boolean sparse = (layer + 1) % integer("decoder_sparse_step", 1) == 0
                && !((List<?>) config.getOrDefault("mlp_only_layers", List.of())).contains(layer);
        if (!sparse) {
            return gated(x, p + "mlp.", "gate_proj", "up_proj", "down_proj");
        }
        double[][] y = experts(
                x,
                p + "mlp.",
                "gate_proj",
                "up_proj",
                "down_proj",
                integer("num_experts", 0),
                flag("norm_topk_prob", false));
        if (type.equals("qwen2_moe")) {
            double[][] gate = linear(x, p + "mlp.shared_expert_gate");
            double[][] shared = gated(x, p + "mlp.shared_expert.", "gate_proj", "up_proj", "down_proj");
            for (int t = 0; t < x.length; t++) {
                for (int i = 0; i < shared[t].length; i++) {
                    y[t][i] += shared[t][i] / (1 + Math.exp(-gate[t][0]));
                }
            }
        }
        return y;
    }

    private double[][] experts(
            double[][] x, String p, String gate, String up, String down, int count, boolean normalized) {
        double[][] scores = linear(x, p + "gate");
        double[][] y = new double[x.length][x[0].length];
        for (int t = 0; t < x.length; t++) {
            double total = 0;
            for (double score : scores[t]) {
                total += Math.exp(score);
            }
            double[] share = new double[count];
            List<Integer> order = new ArrayList<>();
            for (int e = 0; e < count; e++) {
                share[e] = Math.exp(scores[t][e]) / total;
                order.add(e);
            }
            order.sort(Comparator.comparingDouble(e -> -share[e]));
            List<Integer> chosen = order.subList(0, integer("num_experts_per_tok", 2));
            double sum = normalized ? chosen.stream().mapToDouble(e -> share[e]).sum() : 1;
            for (int e : chosen) {
                double[][] out = gated(new double[][] {x[t]}, p + "experts." + e + ".", gate, up, down);
                for (int i = 0; i < y[t].length; i++) {
                    y[t][i] += share[e] / sum * out[0][i];
                }
            }
        }
        return y;
    }

    private double[][] graniteShared(double[][] x, String p) {
        double[][] both = linear(x, p + "shared_mlp.input_linear");
        int inner = integer("shared_intermediate_size", 0);
        double[][] gate = map(columns(both, 0, inner), PlainParts::silu);
        return linear(times(gate, columns(both, inner, 2 * inner)), p + "shared_mlp.output_linear");
    }

    /** Chooses by the scores themselves; the weights are the softmax over the scores of the chosen. */
    private double[][] graniteExperts(double[][] x, String p) {
        double[][] scores = linear(x, p + "router.layer");
        double[][] y = new double[x.length][x[0].length];
        for (int t = 0; t < x.length; t++) {
            double[] score = scores[t];
            int[] chosen = IntStream.range(0, integer("num_local_experts", 8))
                    .boxed()
                    .sorted(Comparator.comparingDouble(e -> -score[e]))
                    .limit(integer("num_experts_per_tok", 2))
                    .mapToInt(e -> e)
                    .toArray();
            double sum =
                    Arrays.stream(chosen).mapToDouble(e -> Math.exp(score[e])).sum();
            for (int e : chosen) {
                double[][] out = gated(new double[][] {x[t]}, p + "experts." + e + ".", "w1", "w3", "w2");
                for (int i = 0; i < y[t].length; i++) {
                    y[t][i] += Math.exp(score[e]) / sum * out[0][i];
                }
            }
        }
        return y;
    }
}
