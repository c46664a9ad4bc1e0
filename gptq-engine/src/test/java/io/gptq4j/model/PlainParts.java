package io.gptq4j.model;

import java.util.Arrays;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.NullUnmarked;

/**
 * The parts of decoders loop by loop in double precision, for restatements of models' published definitions. These read
 * config.json themselves and share nothing with the families but tensor names. Matrices are [tokens][channels].
 */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
abstract class PlainParts {
    final Map<String, Object> config;
    final Map<String, float[]> tensors;

    PlainParts(Map<String, Object> config, Map<String, float[]> tensors) {
        this.config = config;
        this.tensors = tensors;
    }

    /** Logits [tokens][vocab]. */
    abstract double[][] logits(int[] ids);

    /** The plain frequencies rope_theta^(-2i/channels), changed by rope_scaling where it is linear or llama3. */
    @SuppressWarnings("unchecked")
    double[] frequencies(int channels) {
        Map<String, Object> scaling = (Map<String, Object>) config.get("rope_scaling");
        double[] frequencies = new double[channels / 2];
        for (int i = 0; i < channels / 2; i++) {
            double f = Math.pow(number("rope_theta", 10000), -2.0 * i / channels);
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
            frequencies[i] = f;
        }
        return frequencies;
    }

    /** Rotates the first channels of each head in place, in pairs (i, i + channels/2), or (2i, 2i + 1). */
    static double[][] rotate(
            double[][] x, int heads, int dim, int channels, double[] frequencies, boolean interleaved) {
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < channels / 2; i++) {
                double cos = Math.cos(t * frequencies[i]);
                double sin = Math.sin(t * frequencies[i]);
                for (int head = 0; head < heads; head++) {
                    int a = head * dim + (interleaved ? 2 * i : i);
                    int b = interleaved ? a + 1 : a + channels / 2;
                    double first = x[t][a];
                    double second = x[t][b];
                    x[t][a] = first * cos - second * sin;
                    x[t][b] = second * cos + first * sin;
                }
            }
        }
        return x;
    }

    /**
     * Causal attention. Keys {@code window} positions back or more are not seen (0: all are); scores are bounded by {@code cap}
     * (0: not); {@code slopes} times the distance is subtracted (null: nothing).
     */
    static double[][] attend(
            double[][] q,
            double[][] k,
            double[][] v,
            int heads,
            int kvHeads,
            double scale,
            int window,
            double cap,
            double[] slopes) {
        int dim = q[0].length / heads;
        int valueDim = v[0].length / kvHeads;
        double[][] result = new double[q.length][heads * valueDim];
        for (int head = 0; head < heads; head++) {
            int kv = head / (heads / kvHeads);
            for (int t = 0; t < q.length; t++) {
                int first = window == 0 ? 0 : Math.max(0, t - window + 1);
                double[] weight = new double[t + 1];
                double sum = 0;
                for (int s = first; s <= t; s++) {
                    double score = 0;
                    for (int i = 0; i < dim; i++) {
                        score += q[t][head * dim + i] * k[s][kv * dim + i];
                    }
                    score *= scale;
                    score = cap == 0 ? score : cap * Math.tanh(score / cap);
                    weight[s] = Math.exp(score + (slopes == null ? 0 : slopes[head] * (s - t)));
                    sum += weight[s];
                }
                for (int s = first; s <= t; s++) {
                    for (int i = 0; i < valueDim; i++) {
                        result[t][head * valueDim + i] += weight[s] / sum * v[s][kv * valueDim + i];
                    }
                }
            }
        }
        return result;
    }

    /** Some columns of x. */
    static double[][] columns(double[][] x, int start, int end) {
        double[][] y = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            y[t] = Arrays.copyOfRange(x[t], start, end);
        }
        return y;
    }

    static double[][] map(double[][] x, DoubleUnaryOperator f) {
        double[][] y = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            y[t] = Arrays.stream(x[t]).map(f).toArray();
        }
        return y;
    }

    static double[][] times(double[][] x, double[][] y) {
        double[][] z = new double[x.length][x[0].length];
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < z[t].length; i++) {
                z[t][i] = x[t][i] * y[t][i];
            }
        }
        return z;
    }

    static double silu(double x) {
        return x / (1 + Math.exp(-x));
    }

    static double geluTanh(double x) {
        return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    }

    /** The RMSNorm of each head. */
    double[][] headNorm(double[][] x, int heads, String name, double eps) {
        int dim = x[0].length / heads;
        double[][] y = new double[x.length][x[0].length];
        for (int head = 0; head < heads; head++) {
            double[][] part = rmsNorm(columns(x, head * dim, (head + 1) * dim), name, eps);
            for (int t = 0; t < x.length; t++) {
                System.arraycopy(part[t], 0, y[t], head * dim, dim);
            }
        }
        return y;
    }

    /** down(silu(gate(x)) * up(x)), by the names of the three modules after {@code p}. */
    double[][] gated(double[][] x, String p, String gate, String up, String down) {
        return linear(times(map(linear(x, p + gate), PlainParts::silu), linear(x, p + up)), p + down);
    }

    double[][] linear(double[][] x, String name) {
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

    double[][] rmsNorm(double[][] x, String name, double eps) {
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

    double[][] layerNorm(double[][] x, String name, double eps) {
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
                y[t][i] = w == null ? z : z * w[i] + (b == null ? 0 : b[i]);
            }
        }
        return y;
    }

    double[][] rows(String name, int[] ids, int offset, int width) {
        float[] table = tensors.get(name);
        double[][] y = new double[ids.length][width];
        for (int t = 0; t < ids.length; t++) {
            for (int i = 0; i < width; i++) {
                y[t][i] = table[(ids[t] + offset) * width + i];
            }
        }
        return y;
    }

    static double[][] add(double[][] a, double[][] b) {
        double[][] y = new double[a.length][a[0].length];
        for (int t = 0; t < a.length; t++) {
            for (int i = 0; i < y[t].length; i++) {
                y[t][i] = a[t][i] + b[t][i];
            }
        }
        return y;
    }

    int integer(String key, int defaultValue) {
        return ((Number) config.getOrDefault(key, defaultValue)).intValue();
    }

    double number(String key, double defaultValue) {
        return ((Number) config.getOrDefault(key, defaultValue)).doubleValue();
    }

    /** One part of what is q, k and v head by head. */
    static double[][] everyThird(double[][] fused, int part, int heads, int dim) {
        double[][] y = new double[fused.length][heads * dim];
        for (int t = 0; t < fused.length; t++) {
            for (int c = 0; c < heads * dim; c++) {
                y[t][c] = fused[t][(c / dim * 3 + part) * dim + c % dim];
            }
        }
        return y;
    }

    double[][] learned(String name, int[] ids, int hidden) {
        int[] positions = new int[ids.length];
        for (int t = 0; t < ids.length; t++) {
            positions[t] = t;
        }
        return rows(name + ".weight", positions, 0, hidden);
    }

    /** The exact GELU, or what the config calls it; absent means GELU's approximation for those that derive from GPT-2. */
    double[][] activated(double[][] x, String key) {
        String name = (String) config.getOrDefault(key, key.equals("activation_function") ? "gelu_new" : "gelu");
        return map(x, v -> switch (name) {
            case "gelu" -> gelu(v);
            case "gelu_new", "gelu_fast", "gelu_pytorch_tanh" -> geluTanh(v);
            case "relu" -> Math.max(0, v);
            default -> throw new IllegalArgumentException(name);
        });
    }

    /** x times the normal distribution's integral up to x, by Simpson's rule. */
    static double gelu(double x) {
        int steps = 2000;
        double sum = 0;
        for (int i = 0; i <= steps; i++) {
            double at = x * i / steps;
            sum += Math.exp(-at * at / 2) * (i == 0 || i == steps ? 1 : i % 2 == 0 ? 2 : 4);
        }
        return x * (0.5 + sum * x / steps / 3 / Math.sqrt(2 * Math.PI));
    }

    boolean flag(String key, boolean defaultValue) {
        return (Boolean) config.getOrDefault(key, defaultValue);
    }
}
