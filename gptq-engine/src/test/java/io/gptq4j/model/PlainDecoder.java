package io.gptq4j.model;

import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/**
 * The models' published definitions, loop by loop in double precision: an independent restatement against which the
 * tensor code is checked. It reads config.json itself and shares nothing with the families but tensor names.
 */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
final class PlainDecoder {
    private final Map<String, Object> config;
    private final Map<String, float[]> tensors;

    PlainDecoder(Map<String, Object> config, Map<String, float[]> tensors) {
        this.config = config;
        this.tensors = tensors;
    }

    /** Logits [tokens][vocab]. */
    double[][] logits(int[] ids) {
        return switch ((String) config.get("model_type")) {
            case "llama" -> llama(ids);
            case "opt" -> opt(ids);
            case "bloom" -> bloom(ids);
            default -> throw new IllegalArgumentException();
        };
    }

    private double[][] llama(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int kv = integer("num_key_value_heads", heads);
        int dim = integer("head_dim", hidden / heads);
        double eps = number("rms_norm_eps", 1e-6);
        double[][] h = rows("model.embed_tokens.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "model.layers." + l + ".";
            double[][] x = rmsNorm(h, p + "input_layernorm", eps);
            double[][] q = rotate(linear(x, p + "self_attn.q_proj"), heads, dim);
            double[][] k = rotate(linear(x, p + "self_attn.k_proj"), kv, dim);
            double[][] a = attend(q, k, linear(x, p + "self_attn.v_proj"), heads, kv, dim, null);
            h = add(h, linear(a, p + "self_attn.o_proj"));
            x = rmsNorm(h, p + "post_attention_layernorm", eps);
            double[][] gate = linear(x, p + "mlp.gate_proj");
            double[][] up = linear(x, p + "mlp.up_proj");
            for (int t = 0; t < ids.length; t++) {
                for (int i = 0; i < up[t].length; i++) {
                    up[t][i] *= gate[t][i] / (1 + Math.exp(-gate[t][i]));
                }
            }
            h = add(h, linear(up, p + "mlp.down_proj"));
        }
        boolean tied = (Boolean) config.getOrDefault("tie_word_embeddings", false);
        return linear(rmsNorm(h, "model.norm", eps), tied ? "model.embed_tokens" : "lm_head");
    }

    @SuppressWarnings("unchecked")
    private double[][] rotate(double[][] x, int heads, int dim) {
        Map<String, Object> scaling = (Map<String, Object>) config.get("rope_scaling");
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < dim / 2; i++) {
                double f = Math.pow(number("rope_theta", 10000), -2.0 * i / dim);
                if (scaling != null) {
                    double factor = ((Number) scaling.get("factor")).doubleValue();
                    if ("linear".equals(scaling.get("rope_type"))) {
                        f /= factor;
                    } else {
                        double low = ((Number) scaling.get("low_freq_factor")).doubleValue();
                        double high = ((Number) scaling.get("high_freq_factor")).doubleValue();
                        double old = ((Number) scaling.get("original_max_position_embeddings")).doubleValue();
                        double wavelength = 2 * Math.PI / f;
                        if (wavelength > old / low) {
                            f /= factor;
                        } else if (wavelength > old / high) {
                            double smooth = (old / wavelength - low) / (high - low);
                            f = (1 - smooth) * f / factor + smooth * f;
                        }
                    }
                }
                double cos = Math.cos(t * f);
                double sin = Math.sin(t * f);
                for (int head = 0; head < heads; head++) {
                    int a = head * dim + i;
                    int b = a + dim / 2;
                    double first = x[t][a];
                    double second = x[t][b];
                    x[t][a] = first * cos - second * sin;
                    x[t][b] = second * cos + first * sin;
                }
            }
        }
        return x;
    }

    private double[][] opt(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int width = integer("word_embed_proj_dim", hidden);
        boolean pre = (Boolean) config.getOrDefault("do_layer_norm_before", true);
        double[][] h = rows("model.decoder.embed_tokens.weight", ids, 0, width);
        if (width != hidden) {
            h = linear(h, "model.decoder.project_in");
        }
        int[] positions = new int[ids.length];
        for (int t = 0; t < ids.length; t++) {
            positions[t] = t;
        }
        h = add(h, rows("model.decoder.embed_positions.weight", positions, 2, hidden));
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "model.decoder.layers." + l + ".";
            double[][] x = pre ? layerNorm(h, p + "self_attn_layer_norm", 1e-5) : h;
            double[][] a = attend(
                    linear(x, p + "self_attn.q_proj"),
                    linear(x, p + "self_attn.k_proj"),
                    linear(x, p + "self_attn.v_proj"),
                    heads,
                    heads,
                    hidden / heads,
                    null);
            h = add(h, linear(a, p + "self_attn.out_proj"));
            if (!pre) {
                h = layerNorm(h, p + "self_attn_layer_norm", 1e-5);
            }
            x = pre ? layerNorm(h, p + "final_layer_norm", 1e-5) : h;
            double[][] m = linear(x, p + "fc1");
            for (double[] row : m) {
                for (int i = 0; i < row.length; i++) {
                    row[i] = Math.max(0, row[i]);
                }
            }
            h = add(h, linear(m, p + "fc2"));
            if (!pre) {
                h = layerNorm(h, p + "final_layer_norm", 1e-5);
            }
        }
        if (pre && !(Boolean) config.getOrDefault("_remove_final_layer_norm", false)) {
            h = layerNorm(h, "model.decoder.final_layer_norm", 1e-5);
        }
        if (width != hidden) {
            h = linear(h, "model.decoder.project_out");
        }
        boolean tied = (Boolean) config.getOrDefault("tie_word_embeddings", true);
        return linear(h, tied ? "model.decoder.embed_tokens" : "lm_head");
    }

    private double[][] bloom(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("n_head", 0);
        int dim = hidden / heads;
        boolean fromNorm = (Boolean) config.getOrDefault("apply_residual_connection_post_layernorm", false);
        double eps = number("layer_norm_epsilon", 1e-5);
        double[] slopes = new double[heads];
        int power = 1;
        while (power * 2 <= heads) {
            power *= 2;
        }
        for (int i = 0; i < heads; i++) {
            slopes[i] = i < power
                    ? Math.pow(Math.pow(2, -8.0 / power), i + 1)
                    : Math.pow(Math.pow(2, -8.0 / (2 * power)), 2 * (i - power) + 1);
        }
        double[][] h = layerNorm(
                rows("transformer.word_embeddings.weight", ids, 0, hidden),
                "transformer.word_embeddings_layernorm",
                eps);
        for (int l = 0; l < integer("n_layer", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] x = layerNorm(h, p + "input_layernorm", eps);
            double[][] fused = linear(x, p + "self_attention.query_key_value");
            double[][][] qkv = new double[3][ids.length][hidden];
            for (int t = 0; t < ids.length; t++) {
                for (int head = 0; head < heads; head++) {
                    for (int part = 0; part < 3; part++) {
                        System.arraycopy(fused[t], (head * 3 + part) * dim, qkv[part][t], head * dim, dim);
                    }
                }
            }
            double[][] a = attend(qkv[0], qkv[1], qkv[2], heads, heads, dim, slopes);
            h = add(fromNorm ? x : h, linear(a, p + "self_attention.dense"));
            x = layerNorm(h, p + "post_attention_layernorm", eps);
            double[][] m = linear(x, p + "mlp.dense_h_to_4h");
            for (double[] row : m) {
                for (int i = 0; i < row.length; i++) {
                    double v = row[i];
                    row[i] = 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
                }
            }
            h = add(fromNorm ? x : h, linear(m, p + "mlp.dense_4h_to_h"));
        }
        return linear(layerNorm(h, "transformer.ln_f", eps), "transformer.word_embeddings");
    }

    private static double[][] attend(
            double[][] q, double[][] k, double[][] v, int heads, int kvHeads, int dim, double[] slopes) {
        double[][] result = new double[q.length][heads * dim];
        for (int head = 0; head < heads; head++) {
            int kv = head / (heads / kvHeads);
            for (int t = 0; t < q.length; t++) {
                double[] weight = new double[t + 1];
                double sum = 0;
                for (int s = 0; s <= t; s++) {
                    double dot = 0;
                    for (int i = 0; i < dim; i++) {
                        dot += q[t][head * dim + i] * k[s][kv * dim + i];
                    }
                    weight[s] = Math.exp(dot / Math.sqrt(dim) + (slopes == null ? 0 : slopes[head] * (s - t)));
                    sum += weight[s];
                }
                for (int s = 0; s <= t; s++) {
                    for (int i = 0; i < dim; i++) {
                        result[t][head * dim + i] += weight[s] / sum * v[s][kv * dim + i];
                    }
                }
            }
        }
        return result;
    }

    private double[][] linear(double[][] x, String name) {
        float[] w = tensors.get(name + ".weight");
        float[] b = tensors.get(name + ".bias");
        int in = x[0].length;
        int out = w.length / in;
        double[][] y = new double[x.length][out];
        for (int t = 0; t < x.length; t++) {
            for (int o = 0; o < out; o++) {
                double sum = b == null ? 0 : b[o];
                for (int i = 0; i < in; i++) {
                    sum += w[o * in + i] * x[t][i];
                }
                y[t][o] = sum;
            }
        }
        return y;
    }

    private double[][] rmsNorm(double[][] x, String name, double eps) {
        float[] w = tensors.get(name + ".weight");
        double[][] y = new double[x.length][x[0].length];
        for (int t = 0; t < x.length; t++) {
            double square = 0;
            for (double value : x[t]) {
                square += value * value;
            }
            for (int i = 0; i < w.length; i++) {
                y[t][i] = w[i] * x[t][i] / Math.sqrt(square / w.length + eps);
            }
        }
        return y;
    }

    private double[][] layerNorm(double[][] x, String name, double eps) {
        float[] w = tensors.get(name + ".weight");
        float[] b = tensors.get(name + ".bias");
        int n = x[0].length;
        double[][] y = new double[x.length][n];
        for (int t = 0; t < x.length; t++) {
            double mean = 0;
            for (double value : x[t]) {
                mean += value / n;
            }
            double variance = 0;
            for (double value : x[t]) {
                variance += (value - mean) * (value - mean) / n;
            }
            for (int i = 0; i < n; i++) {
                double z = (x[t][i] - mean) / Math.sqrt(variance + eps);
                y[t][i] = w == null ? z : z * w[i] + b[i];
            }
        }
        return y;
    }

    private double[][] rows(String name, int[] ids, int offset, int width) {
        float[] table = tensors.get(name);
        double[][] y = new double[ids.length][width];
        for (int t = 0; t < ids.length; t++) {
            for (int i = 0; i < width; i++) {
                y[t][i] = table[(ids[t] + offset) * width + i];
            }
        }
        return y;
    }

    private static double[][] add(double[][] a, double[][] b) {
        double[][] y = new double[a.length][a[0].length];
        for (int t = 0; t < a.length; t++) {
            for (int i = 0; i < y[t].length; i++) {
                y[t][i] = a[t][i] + b[t][i];
            }
        }
        return y;
    }

    private int integer(String key, int defaultValue) {
        return ((Number) config.getOrDefault(key, defaultValue)).intValue();
    }

    private double number(String key, double defaultValue) {
        return ((Number) config.getOrDefault(key, defaultValue)).doubleValue();
    }
}
