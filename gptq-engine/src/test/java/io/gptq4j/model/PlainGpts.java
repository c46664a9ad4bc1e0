package io.gptq4j.model;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/** GPT-like models' published definitions, loop by loop in double precision. */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
final class PlainGpts extends PlainParts {
    PlainGpts(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    @Override
    double[][] logits(int[] ids) {
        return switch ((String) config.get("model_type")) {
            case "gpt2" -> gpt2(ids);
            case "gpt_bigcode" -> bigcode(ids);
            case "gptj", "codegen" -> gptj(ids);
            case "gpt_neo" -> neo(ids);
            case "gpt_neox" -> neox(ids);
            default -> new PlainFusedGpts(config, tensors).logits(ids);
        };
    }

    private double[][] gpt2(int[] ids) {
        int hidden = integer("n_embd", integer("hidden_size", 0));
        int heads = integer("n_head", integer("num_attention_heads", 0));
        double[][] h = add(rows("transformer.wte.weight", ids, 0, hidden), learned("transformer.wpe", ids, hidden));
        for (int l = 0; l < integer("n_layer", integer("num_hidden_layers", 0)); l++) {
            String p = "transformer.h." + l + ".";
            double[][] qkv = conv1d(layerNorm(h, p + "ln_1", 1e-5), p + "attn.c_attn");
            double scale = flag("scale_attn_weights", true) ? 1 / Math.sqrt(hidden / heads) : 1;
            scale = flag("scale_attn_by_inverse_layer_idx", false) ? scale / (l + 1) : scale;
            double[][] a = attend(
                    columns(qkv, 0, hidden),
                    columns(qkv, hidden, 2 * hidden),
                    columns(qkv, 2 * hidden, 3 * hidden),
                    heads,
                    heads,
                    scale,
                    0,
                    0,
                    null);
            h = add(h, conv1d(a, p + "attn.c_proj"));
            double[][] m = activated(conv1d(layerNorm(h, p + "ln_2", 1e-5), p + "mlp.c_fc"), "activation_function");
            h = add(h, conv1d(m, p + "mlp.c_proj"));
        }
        return linear(
                layerNorm(h, "transformer.ln_f", 1e-5),
                flag("tie_word_embeddings", true) ? "transformer.wte" : "lm_head");
    }

    private double[][] bigcode(int[] ids) {
        int hidden = integer("n_embd", 0);
        int heads = integer("n_head", 0);
        int dim = hidden / heads;
        boolean one = flag("multi_query", true);
        double[][] h = add(rows("transformer.wte.weight", ids, 0, hidden), learned("transformer.wpe", ids, hidden));
        for (int l = 0; l < integer("n_layer", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] qkv = linear(layerNorm(h, p + "ln_1", 1e-5), p + "attn.c_attn");
            double[][] q = one ? columns(qkv, 0, hidden) : everyThird(qkv, 0, heads, dim);
            double[][] k = one ? columns(qkv, hidden, hidden + dim) : everyThird(qkv, 1, heads, dim);
            double[][] v = one ? columns(qkv, hidden + dim, hidden + 2 * dim) : everyThird(qkv, 2, heads, dim);
            double scale = flag("scale_attn_weights", true) ? Math.pow(dim, -0.5) : 1;
            double[][] a = attend(q, k, v, heads, one ? 1 : heads, scale, 0, 0, null);
            h = add(h, linear(a, p + "attn.c_proj"));
            double[][] m = activated(linear(layerNorm(h, p + "ln_2", 1e-5), p + "mlp.c_fc"), "activation_function");
            h = add(h, linear(m, p + "mlp.c_proj"));
        }
        return linear(layerNorm(h, "transformer.ln_f", 1e-5), "transformer.wte");
    }

    /** GPT-J and CodeGen, which fuses its projections: four times a quarter of q, of v, of k. */
    private double[][] gptj(int[] ids) {
        int hidden = integer("n_embd", 0);
        int heads = integer("n_head", 0);
        int dim = hidden / heads;
        int rotated = integer("rotary_dim", 64);
        double[][] h = rows("transformer.wte.weight", ids, 0, hidden);
        for (int l = 0; l < integer("n_layer", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] x = layerNorm(h, p + "ln_1", 1e-5);
            double[][] q = new double[ids.length][hidden];
            double[][] k = new double[ids.length][hidden];
            double[][] v = new double[ids.length][hidden];
            if (config.get("model_type").equals("gptj")) {
                q = linear(x, p + "attn.q_proj");
                k = linear(x, p + "attn.k_proj");
                v = linear(x, p + "attn.v_proj");
            } else {
                double[][] fused = linear(x, p + "attn.qkv_proj");
                int local = hidden / 4;
                for (int t = 0; t < ids.length; t++) {
                    for (int c = 0; c < hidden; c++) {
                        int start = c / local * 3 * local + c % local;
                        q[t][c] = fused[t][start];
                        v[t][c] = fused[t][start + local];
                        k[t][c] = fused[t][start + 2 * local];
                    }
                }
            }
            q = rotate(q, heads, dim, rotated, frequencies(rotated), true);
            k = rotate(k, heads, dim, rotated, frequencies(rotated), true);
            double[][] a = linear(attend(q, k, v, heads, heads, 1 / Math.sqrt(dim), 0, 0, null), p + "attn.out_proj");
            double[][] m = linear(activated(linear(x, p + "mlp.fc_in"), "activation_function"), p + "mlp.fc_out");
            h = add(add(a, m), h);
        }
        h = layerNorm(h, "transformer.ln_f", 1e-5);
        return flag("tie_word_embeddings", false)
                ? biased(linear(h, "transformer.wte"), "lm_head.bias")
                : linear(h, "lm_head");
    }

    private double[][] neo(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_heads", 0);
        String[] kinds = {"global", "local", "global", "local"};
        if (config.get("attention_layers") instanceof List<?> list) {
            kinds = list.toArray(new String[0]);
        } else if (config.get("attention_types") instanceof List<?> list) { // the tests have one pattern
            List<?> pattern = (List<?>) ((List<?>) list.get(0)).get(0);
            for (int l = 0; l < kinds.length; l++) {
                kinds[l] = (String) pattern.get(l % pattern.size());
            }
        }
        double[][] h = add(rows("transformer.wte.weight", ids, 0, hidden), learned("transformer.wpe", ids, hidden));
        for (int l = 0; l < integer("num_layers", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] x = layerNorm(h, p + "ln_1", 1e-5);
            double[][] a = attend(
                    linear(x, p + "attn.attention.q_proj"),
                    linear(x, p + "attn.attention.k_proj"),
                    linear(x, p + "attn.attention.v_proj"),
                    heads,
                    heads,
                    1,
                    kinds[l].equals("local") ? integer("window_size", 256) : 0,
                    0,
                    null);
            h = add(h, linear(a, p + "attn.attention.out_proj"));
            double[][] m = activated(linear(layerNorm(h, p + "ln_2", 1e-5), p + "mlp.c_fc"), "activation_function");
            h = add(h, linear(m, p + "mlp.c_proj"));
        }
        return linear(layerNorm(h, "transformer.ln_f", 1e-5), "transformer.wte");
    }

    private double[][] neox(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int dim = hidden / heads;
        Map<?, ?> rope = config.get("rope_parameters") instanceof Map<?, ?> map ? map : Map.of();
        double share = rope.containsKey("partial_rotary_factor")
                ? (Double) rope.get("partial_rotary_factor")
                : number("rotary_pct", 0.25);
        double base =
                rope.containsKey("rope_theta") ? (Double) rope.get("rope_theta") : number("rotary_emb_base", 10000);
        int rotated = (int) (dim * share);
        double[] frequencies = new double[rotated / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = Math.pow(base, -2.0 * i / rotated);
        }
        double eps = number("layer_norm_eps", 1e-5);
        double[][] h = rows("gpt_neox.embed_in.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "gpt_neox.layers." + l + ".";
            double[][] qkv = linear(layerNorm(h, p + "input_layernorm", eps), p + "attention.query_key_value");
            double[][] q = rotate(everyThird(qkv, 0, heads, dim), heads, dim, rotated, frequencies, false);
            double[][] k = rotate(everyThird(qkv, 1, heads, dim), heads, dim, rotated, frequencies, false);
            double[][] v = everyThird(qkv, 2, heads, dim);
            double[][] a = linear(attend(q, k, v, heads, heads, 1 / Math.sqrt(dim), 0, 0, null), p + "attention.dense");
            double[][] between = flag("use_parallel_residual", true) ? h : add(h, a);
            double[][] m = activated(
                    linear(layerNorm(between, p + "post_attention_layernorm", eps), p + "mlp.dense_h_to_4h"),
                    "hidden_act");
            h = add(add(h, a), linear(m, p + "mlp.dense_4h_to_h"));
        }
        h = layerNorm(h, "gpt_neox.final_layer_norm", eps);
        return linear(h, flag("tie_word_embeddings", false) ? "gpt_neox.embed_in" : "embed_out");
    }

    /** y = x W + b, with W as [in, out]. */
    private double[][] conv1d(double[][] x, String name) {
        float[] w = tensors.get(name + ".weight");
        float[] b = tensors.get(name + ".bias");
        double[][] y = new double[x.length][b.length];
        for (int t = 0; t < x.length; t++) {
            for (int o = 0; o < b.length; o++) {
                y[t][o] = b[o];
                for (int i = 0; i < x[t].length; i++) {
                    y[t][o] += x[t][i] * w[i * b.length + o];
                }
            }
        }
        return y;
    }

    private double[][] biased(double[][] x, String name) {
        float[] b = tensors.get(name);
        for (double[] row : x) {
            for (int i = 0; i < row.length; i++) {
                row[i] += b[i];
            }
        }
        return x;
    }
}
