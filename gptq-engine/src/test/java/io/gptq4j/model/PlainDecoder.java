package io.gptq4j.model;

import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/**
 * The models' published definitions, loop by loop in double precision: an independent restatement against which the
 * tensor code is checked. It reads config.json itself and shares nothing with the families but tensor names.
 */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
final class PlainDecoder extends PlainParts {
    PlainDecoder(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    @Override
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
            double[][] q = rotate(linear(x, p + "self_attn.q_proj"), heads, dim, dim, frequencies(dim), false);
            double[][] k = rotate(linear(x, p + "self_attn.k_proj"), kv, dim, dim, frequencies(dim), false);
            double[][] a = attend(q, k, linear(x, p + "self_attn.v_proj"), heads, kv, 1 / Math.sqrt(dim), 0, 0, null);
            h = add(h, linear(a, p + "self_attn.o_proj"));
            x = rmsNorm(h, p + "post_attention_layernorm", eps);
            h = add(h, gated(x, p + "mlp.", "gate_proj", "up_proj", "down_proj"));
        }
        boolean tied = flag("tie_word_embeddings", false);
        return linear(rmsNorm(h, "model.norm", eps), tied ? "model.embed_tokens" : "lm_head");
    }

    private double[][] opt(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int width = integer("word_embed_proj_dim", hidden);
        boolean pre = flag("do_layer_norm_before", true);
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
                    1 / Math.sqrt(hidden / heads),
                    0,
                    0,
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
        if (pre && !flag("_remove_final_layer_norm", false)) {
            h = layerNorm(h, "model.decoder.final_layer_norm", 1e-5);
        }
        if (width != hidden) {
            h = linear(h, "model.decoder.project_out");
        }
        boolean tied = flag("tie_word_embeddings", true);
        return linear(h, tied ? "model.decoder.embed_tokens" : "lm_head");
    }

    private double[][] bloom(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("n_head", 0);
        int dim = hidden / heads;
        boolean fromNorm = flag("apply_residual_connection_post_layernorm", false);
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
            double[][] a = attend(qkv[0], qkv[1], qkv[2], heads, heads, 1 / Math.sqrt(dim), 0, 0, slopes);
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
}
