package io.gptq4j.model;

import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntPredicate;
import org.jspecify.annotations.NullUnmarked;

/** What models that are built like Llama are wired of: norms, attention, the gated network and all around the blocks. */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
abstract class PlainLlamaParts extends PlainParts {
    final int hidden = integer("hidden_size", 0);
    final int heads = integer("num_attention_heads", 0);
    final int kv = integer("num_key_value_heads", heads);
    final int dim = integer("head_dim", hidden / heads);
    final int layers = integer("num_hidden_layers", 0);
    final PlainRope rope = new PlainRope(config);

    PlainLlamaParts(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    /** A block's output from its input; {@code p} is the path of the block with a dot. */
    interface BlockOf {
        double[][] apply(double[][] h, String p, int layer);
    }

    /** Embedding, blocks, final norm and head; the latter two under the names there are. */
    double[][] whole(int[] ids, double scale, String norm, double eps, BlockOf block) {
        boolean intern = tensors.containsKey("model.tok_embeddings.weight");
        String embedding = intern ? "model.tok_embeddings" : "model.embed_tokens";
        double[][] h = map(rows(embedding + ".weight", ids, 0, hidden), v -> v * scale);
        for (int l = 0; l < layers; l++) {
            h = block.apply(h, "model.layers." + l + ".", l);
        }
        String type = (String) config.get("model_type");
        boolean centred = List.of("phi", "starcoder2", "stablelm", "olmo", "cohere", "cohere2", "nemotron")
                .contains(type);
        double more = type.startsWith("gemma") || type.equals("nemotron") ? 1 : 0;
        String head = intern ? "output" : tensors.containsKey("lm_head.weight") ? "lm_head" : embedding;
        double[][] logits = linear(norm(h, norm, 0, eps, more, centred), head);
        if (config.containsKey("z_loss_weight")) { // rows of unit length
            float[] w = tensors.get("lm_head.weight");
            for (double[] row : logits) {
                for (int v = 0; v < row.length; v++) {
                    double square = 0;
                    for (int i = 0; i < hidden; i++) {
                        square += (double) w[v * hidden + i] * w[v * hidden + i];
                    }
                    row[v] /= Math.sqrt(square);
                }
            }
        }
        return logits;
    }

    /** Llama's wiring around an attention. */
    double[][] llama(int[] ids, double eps, BlockOf attention) {
        return whole(ids, 1, "model.norm", eps, (h, p, l) -> {
            h = add(h, attention.apply(norm(h, p + "input_layernorm", 0, eps, 0, false), p, l));
            return add(h, gated(norm(h, p + "post_attention_layernorm", 0, eps, 0, false), p, PlainParts::silu));
        });
    }

    double[][] gemma(int[] ids, double cap, BlockOf block) {
        double[][] logits = whole(ids, Math.sqrt(hidden), "model.norm", 1e-6, block);
        return cap == 0 ? logits : map(logits, v -> cap * Math.tanh(v / cap));
    }

    /** The rest of a block with norms on both sides of its parts. */
    double[][] around(double[][] h, String p, double[][] attended) {
        h = add(h, rms(attended, p + "post_attention_layernorm", 1));
        double[][] m = gated(rms(h, p + "pre_feedforward_layernorm", 1), p, PlainParts::geluTanh);
        return add(h, rms(m, p + "post_feedforward_layernorm", 1));
    }

    double[][][] qkv(double[][] x, String p) {
        return new double[][][] {
            linear(x, p + "self_attn.q_proj"), linear(x, p + "self_attn.k_proj"), linear(x, p + "self_attn.v_proj")
        };
    }

    double[][] attention(double[][] x, String p, PlainRope.Rotation rotation, int window) {
        return attention(qkv(x, p), p, rotation, window, 1 / Math.sqrt(dim), 0);
    }

    double[][] attention(
            double[][][] qkv, String p, PlainRope.Rotation rotation, int window, double scale, double cap) {
        if (rotation != null) {
            rotation.turn(qkv[0], heads, dim);
            rotation.turn(qkv[1], kv, dim);
        }
        double[][] a = attend(qkv[0], qkv[1], qkv[2], heads, kv, scale, window, cap, null);
        return linear(
                a, p + (tensors.containsKey(p + "self_attn.dense.weight") ? "self_attn.dense" : "self_attn.o_proj"));
    }

    double[][] gated(double[][] x, String p, DoubleUnaryOperator activation) {
        double[][] gate;
        double[][] up;
        if (tensors.containsKey(p + "mlp.gate_up_proj.weight")) {
            double[][] both = linear(x, p + "mlp.gate_up_proj");
            gate = columns(both, 0, both[0].length / 2);
            up = columns(both, both[0].length / 2, both[0].length);
        } else {
            gate = linear(x, p + "mlp.gate_proj");
            up = linear(x, p + "mlp.up_proj");
        }
        return linear(times(map(gate, activation), up), p + "mlp.down_proj");
    }

    double[][] rms(double[][] x, String name, double more) {
        return norm(x, name, 0, 1e-6, more, false);
    }

    /** Nemotron's LayerNorm with its weights less one, or an RMSNorm. */
    double[][] oneMore(double[][] x, String name, boolean rms) {
        return norm(x, name, 0, 1e-5, rms ? 0 : 1, !rms);
    }

    /** Norms of each head of q and k with weights for one: RMSNorm, or LayerNorm where there are biases. */
    double[][][] headNorms(double[][][] qkv, String p, String query, String key, double eps, double more) {
        boolean centred = tensors.containsKey(p + "self_attn." + query + ".bias");
        qkv[0] = norm(qkv[0], p + "self_attn." + query, dim, eps, more, centred);
        qkv[1] = norm(qkv[1], p + "self_attn." + key, dim, eps, more, centred);
        return qkv;
    }

    /** LayerNorm of each head with a tensor of weights for each. */
    double[][] eachHead(double[][] x, String name) {
        for (int head = 0; head < x[0].length / dim; head++) {
            double[][] y = norm(columns(x, head * dim, (head + 1) * dim), name + ".norms." + head, 0, 1e-5, 0, true);
            for (int t = 0; t < x.length; t++) {
                System.arraycopy(y[t], 0, x[t], head * dim, dim);
            }
        }
        return x;
    }

    /** A norm over stretches of {@code size} channels, 0 for all; weights are those of a stretch or of all. */
    double[][] norm(double[][] x, String name, int size, double eps, double more, boolean centred) {
        float[] w = tensors.get(name + ".weight");
        float[] b = tensors.get(name + ".bias");
        int n = size == 0 ? x[0].length : size;
        double[][] y = new double[x.length][x[0].length];
        for (int t = 0; t < x.length; t++) {
            for (int start = 0; start < y[t].length; start += n) {
                double mean = 0;
                for (int i = start; i < start + n && centred; i++) {
                    mean += x[t][i] / n;
                }
                double square = 0;
                for (int i = start; i < start + n; i++) {
                    square += (x[t][i] - mean) * (x[t][i] - mean) / n;
                }
                for (int i = start; i < start + n; i++) {
                    double z = (x[t][i] - mean) / Math.sqrt(square + eps);
                    y[t][i] = w == null ? z : z * (w[i % w.length] + more) + (b == null ? 0 : b[i % w.length]);
                }
            }
        }
        return y;
    }

    int share(double defaultShare) {
        return (int) (dim * number("partial_rotary_factor", defaultShare));
    }

    /** The window of a layer, of those that slide. */
    int window(IntPredicate slides, int layer, int defaultWindow) {
        int window = config.containsKey("sliding_window") && config.get("sliding_window") == null
                ? 0
                : integer("sliding_window", defaultWindow);
        return slides.test(layer) ? window : 0;
    }

    IntPredicate sliding(IntPredicate rule) {
        List<?> types = (List<?>) config.get("layer_types");
        return types == null ? rule : l -> types.get(l).equals("sliding_attention");
    }

    /** Qwen's rule. */
    IntPredicate laterLayers() {
        return l -> flag("use_sliding_window", false)
                && sliding(i -> i >= integer("max_window_layers", 28)).test(l);
    }

    /** A number, 0 for null. */
    double numberOrNull(String key, double defaultValue) {
        return config.containsKey(key) && config.get(key) == null ? 0 : number(key, defaultValue);
    }
}
