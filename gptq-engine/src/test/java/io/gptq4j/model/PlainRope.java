package io.gptq4j.model;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/** Restatements of the ways to stretch rotary positions, from their papers and from config.json in both of its spellings. */
@NullUnmarked // absent keys are nulls here, as in the loops of a sketch
final class PlainRope {
    private final Map<String, Object> config;

    PlainRope(Map<String, Object> config) {
        this.config = config;
    }

    /** Frequencies of pairs of channels, what sines and cosines are multiplied by, and which channels make a pair. */
    record Rotation(double[] frequencies, double factor, boolean neighbours) {
        Rotation inPairs() {
            return new Rotation(frequencies, factor, true);
        }

        /** Rotates the first channels of each head, in place. */
        void turn(double[][] x, int heads, int dim) {
            int half = frequencies.length;
            for (int t = 0; t < x.length; t++) {
                for (int i = 0; i < heads * half; i++) {
                    int pair = i % half;
                    int a = i / half * dim + (neighbours ? 2 * pair : pair);
                    int b = neighbours ? a + 1 : a + half;
                    double cos = factor * Math.cos(t * frequencies[pair]);
                    double sin = factor * Math.sin(t * frequencies[pair]);
                    double first = x[t][a];
                    x[t][a] = first * cos - x[t][b] * sin;
                    x[t][b] = x[t][b] * cos + first * sin;
                }
            }
        }
    }

    Rotation of(int channels, int length) {
        return of(channels, length, 10000);
    }

    @SuppressWarnings("unchecked")
    Rotation of(int channels, int length, double defaultTheta) {
        Map<String, Object> rope = (Map<String, Object>) config.get("rope_scaling");
        rope = rope == null ? (Map<String, Object>) config.get("rope_parameters") : rope;
        Map<String, Object> rotary = (Map<String, Object>) config.getOrDefault("rotary", config); // InternLM's
        return scaled(rope, number(rotary, "base", number(config, "rope_theta", defaultTheta)), channels, length);
    }

    /** The rotation of one type of layers, in both spellings. */
    @SuppressWarnings("unchecked")
    Rotation layered(String type, String thetaKey, double defaultTheta, int channels, int length) {
        Map<String, Object> types = (Map<String, Object>) config.get("rope_parameters");
        if (types != null) {
            return scaled((Map<String, Object>) types.get(type), defaultTheta, channels, length);
        }
        return thetaKey.equals("rope_theta")
                ? of(channels, length, defaultTheta)
                : plain(thetaKey, defaultTheta, channels);
    }

    Rotation plain(String thetaKey, double defaultTheta, int channels) {
        return scaled(null, number(config, thetaKey, defaultTheta), channels, 0);
    }

    /** Hunyuan's: the base times alpha^(d / (d - 2)). */
    @SuppressWarnings("unchecked")
    Rotation stretched(int channels) {
        Map<String, Object> rope = (Map<String, Object>) config.get("rope_scaling");
        double alpha = rope == null ? 1 : number(rope, "alpha", 1);
        return scaled(null, 10000 * Math.pow(alpha, channels / (channels - 2.0)), channels, 0);
    }

    private Rotation scaled(Map<String, Object> rope, double configTheta, int d, int length) {
        double theta = rope == null ? configTheta : number(rope, "rope_theta", configTheta);
        String type = rope == null ? "default" : (String) rope.getOrDefault("rope_type", rope.get("type"));
        double positions = number(config, "max_position_embeddings", 0);
        double original = rope == null
                ? 0
                : number(
                        rope,
                        "original_max_position_embeddings",
                        number(config, "original_max_position_embeddings", positions));
        double s = rope == null ? 1 : number(rope, "factor", positions / original);
        double[] f = new double[d / 2];
        double attention = 1;
        for (int i = 0; i < f.length; i++) {
            f[i] = Math.pow(theta, -2.0 * i / d);
            switch (type) {
                case "linear" -> f[i] /= s;
                case "dynamic" -> {
                    double base = theta * Math.pow(s * length / positions - (s - 1), d / (d - 2.0));
                    f[i] = length > positions ? Math.pow(base, -2.0 * i / d) : f[i];
                }
                case "llama3" -> {
                    double wavelength = 2 * Math.PI / f[i];
                    double low = number(rope, "low_freq_factor", 0);
                    double high = number(rope, "high_freq_factor", 0);
                    double smooth = (original / wavelength - low) / (high - low);
                    f[i] = wavelength > original / low
                            ? f[i] / s
                            : wavelength < original / high ? f[i] : (1 - smooth) * f[i] / s + smooth * f[i];
                }
                case "longrope", "su" -> {
                    List<?> factors = (List<?>) rope.get(length > original ? "long_factor" : "short_factor");
                    f[i] /= ((Number) factors.get(i)).doubleValue();
                    attention = s > 1 ? Math.sqrt(1 + Math.log(s) / Math.log(original)) : 1;
                }
                case "yarn" -> {
                    double start = index(number(rope, "beta_fast", 32), original, theta, d);
                    double end = index(number(rope, "beta_slow", 1), original, theta, d);
                    if (!Boolean.FALSE.equals(rope.get("truncate"))) {
                        start = Math.floor(start);
                        end = Math.ceil(end);
                    }
                    start = Math.max(start, 0);
                    double share = Math.min(1, Math.max(0, (i - start) / (Math.min(end, d - 1) - start)));
                    f[i] = share * f[i] / s + (1 - share) * f[i];
                    double m = number(rope, "mscale", 0);
                    double all = number(rope, "mscale_all_dim", 0);
                    attention = m > 0 && all > 0
                            ? (0.1 * m * Math.log(s) + 1) / (0.1 * all * Math.log(s) + 1)
                            : 0.1 * Math.log(s) + 1;
                }
                default -> {}
            }
        }
        return new Rotation(f, rope == null ? attention : number(rope, "attention_factor", attention), false);
    }

    /** Which pair of channels turns so many times. */
    private static double index(double turns, double original, double theta, int d) {
        return d * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
    }

    private static double number(Map<String, Object> map, String key, double defaultValue) {
        return map.get(key) == null ? defaultValue : ((Number) map.get(key)).doubleValue();
    }
}
