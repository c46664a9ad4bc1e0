package io.gptq4j.model;

import java.util.Map;
import org.jspecify.annotations.NullUnmarked;

/** Models between GPT and Llama, most with q, k and v in one matrix, loop by loop in double precision. */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
final class PlainFusedGpts extends PlainParts {
    PlainFusedGpts(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    @Override
    double[][] logits(int[] ids) {
        return switch ((String) config.get("model_type")) {
            case "falcon", "RefinedWeb", "RefinedWebModel" -> falcon(ids);
            case "mpt" -> mpt(ids);
            case "chatglm" -> chatglm(ids);
            case "qwen" -> qwen(ids);
            case "exaone" -> exaone(ids);
            case "nemotron" -> nemotron(ids);
            default -> throw new IllegalArgumentException();
        };
    }

    private double[][] falcon(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", integer("n_head", 0));
        int dim = hidden / heads;
        boolean groups =
                flag("new_decoder_architecture", config.get("model_type").equals("RefinedWeb"));
        boolean parallel = flag("parallel_attn", true);
        boolean one = !groups && flag("multi_query", true);
        int kv = groups ? integer("num_kv_heads", integer("n_head_kv", heads)) : one ? 1 : heads;
        int each = heads / kv;
        boolean twoNorms = groups && integer("num_ln_in_parallel_attn", 2) == 2;
        boolean alibi = flag("alibi", false);
        double[][] h = rows("transformer.word_embeddings.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", integer("n_layer", 0)); l++) {
            String p = "transformer.h." + l + ".";
            double[][] x = layerNorm(h, p + (twoNorms ? "ln_attn" : "input_layernorm"), 1e-5);
            double[][] fused = linear(x, p + "self_attention.query_key_value");
            double[][] q = new double[ids.length][hidden];
            double[][] k = new double[ids.length][kv * dim];
            double[][] v = new double[ids.length][kv * dim];
            for (int t = 0; t < ids.length; t++) {
                for (int g = 0; g < kv; g++) {
                    int start = g * (each + 2) * dim;
                    System.arraycopy(fused[t], start, q[t], g * each * dim, each * dim);
                    System.arraycopy(fused[t], start + each * dim, k[t], g * dim, dim);
                    System.arraycopy(fused[t], start + (each + 1) * dim, v[t], g * dim, dim);
                }
            }
            if (!alibi) {
                q = rotate(q, heads, dim, dim, frequencies(dim), false);
                k = rotate(k, kv, dim, dim, frequencies(dim), false);
            }
            q = alibi ? besideBiases(q, heads, heads, dim, false) : q;
            k = alibi ? besideBiases(k, heads, kv, dim, true) : k;
            double[][] a = attend(q, k, v, heads, kv, 1 / Math.sqrt(dim), 0, 0, null);
            a = linear(a, p + "self_attention.dense");
            double[][] y = x;
            if (twoNorms) {
                y = layerNorm(h, p + "ln_mlp", 1e-5);
            } else if (!parallel) {
                y = layerNorm(add(h, a), p + "post_attention_layernorm", 1e-5);
            }
            double[][] m = activated(linear(y, p + "mlp.dense_h_to_4h"), "activation");
            h = add(add(h, a), linear(m, p + "mlp.dense_4h_to_h"));
        }
        h = layerNorm(h, "transformer.ln_f", 1e-5);
        return linear(h, flag("tie_word_embeddings", true) ? "transformer.word_embeddings" : "lm_head");
    }

    /** Each head with as many channels more as there are heads: for a key all heads' biases, for a query a one at its own. */
    private static double[][] besideBiases(double[][] x, int heads, int own, int dim, boolean keys) {
        double[] slopes = slopes(heads, 8);
        double[][] y = new double[x.length][own * (dim + heads)];
        for (int t = 0; t < x.length; t++) {
            for (int head = 0; head < own; head++) {
                System.arraycopy(x[t], head * dim, y[t], head * (dim + heads), dim);
                for (int h = 0; h < heads; h++) {
                    double bias = bfloat16(bfloat16(slopes[h]) * t);
                    y[t][head * (dim + heads) + dim + h] = keys ? bias : h == head ? 1 : 0;
                }
            }
        }
        return y;
    }

    private double[][] mpt(int[] ids) {
        int hidden = integer("d_model", 0);
        int heads = integer("n_heads", 0);
        int dim = hidden / heads;
        Map<?, ?> own = config.get("attn_config") instanceof Map<?, ?> map ? map : Map.of();
        int kv = "multiquery_attention".equals(own.get("attn_type"))
                ? 1
                : own.get("kv_n_heads") instanceof Integer some ? some : heads;
        double scale = own.get("softmax_scale") instanceof Double given ? given : 1 / Math.sqrt(dim);
        double bound = own.get("clip_qkv") instanceof Double given ? given : Double.POSITIVE_INFINITY;
        boolean alibi = !Boolean.FALSE.equals(own.get("alibi"));
        double[] slopes = slopes(heads, own.get("alibi_bias_max") instanceof Integer most ? most : 8);
        double[][] h = rows("transformer.wte.weight", ids, 0, hidden);
        if (!alibi && flag("learned_pos_emb", true)) {
            h = add(h, learned("transformer.wpe", ids, hidden));
        }
        for (int l = 0; l < integer("n_layers", 0); l++) {
            String p = "transformer.blocks." + l + ".";
            double[][] fused = map(
                    linear(layerNorm(h, p + "norm_1", 1e-5), p + "attn.Wqkv"),
                    x -> Math.max(-bound, Math.min(bound, x)));
            double[][] q = columns(fused, 0, hidden);
            double[][] k = columns(fused, hidden, hidden + kv * dim);
            if (Boolean.TRUE.equals(own.get("qk_ln"))) {
                q = layerNorm(q, p + "attn.q_ln", 1e-5);
                k = layerNorm(k, p + "attn.k_ln", 1e-5);
            }
            double[][] v = columns(fused, hidden + kv * dim, hidden + 2 * kv * dim);
            double[][] a = attend(q, k, v, heads, kv, scale, 0, 0, alibi ? slopes : null);
            h = add(h, linear(a, p + "attn.out_proj"));
            double[][] m = map(linear(layerNorm(h, p + "norm_2", 1e-5), p + "ffn.up_proj"), PlainGpts::gelu);
            h = add(h, linear(m, p + "ffn.down_proj"));
        }
        h = layerNorm(h, "transformer.norm_f", 1e-5);
        return linear(h, flag("tie_word_embeddings", true) ? "transformer.wte" : "lm_head");
    }

    private double[][] chatglm(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int dim = integer("kv_channels", 128);
        int kv = integer("multi_query_group_num", heads);
        int inner = integer("ffn_hidden_size", 0);
        boolean fromNorm = flag("apply_residual_connection_post_layernorm", false);
        double ratio = number("rope_ratio", 1);
        boolean stretched = "chatglm2-6b-32k".equals(config.get("_name_or_path"));
        double[] frequencies = new double[dim / 4];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] =
                    Math.pow(stretched ? 10000 : 10000 * ratio, -2.0 * i / (dim / 2)) / (stretched ? ratio : 1);
        }
        double[][] h = rows("transformer.embedding.word_embeddings.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_layers", 0); l++) {
            String p = "transformer.encoder.layers." + l + ".";
            double[][] x = norm(h, p + "input_layernorm");
            double[][] fused = linear(x, p + "self_attention.query_key_value");
            boolean shared = flag("multi_query_attention", false);
            int keys = heads * dim;
            int values = keys + kv * dim;
            double[][] q = shared ? columns(fused, 0, keys) : everyThird(fused, 0, heads, dim);
            double[][] k = shared ? columns(fused, keys, values) : everyThird(fused, 1, heads, dim);
            double[][] v = shared ? columns(fused, values, values + kv * dim) : everyThird(fused, 2, heads, dim);
            q = rotate(q, heads, dim, dim / 2, frequencies, true);
            k = rotate(k, kv, dim, dim / 2, frequencies, true);
            double[][] a = attend(q, k, v, heads, kv, 1 / Math.sqrt(dim), 0, 0, null);
            h = add(fromNorm ? x : h, linear(a, p + "self_attention.dense"));
            x = norm(h, p + "post_attention_layernorm");
            double[][] both = linear(x, p + "mlp.dense_h_to_4h");
            double[][] m = times(map(columns(both, 0, inner), PlainParts::silu), columns(both, inner, 2 * inner));
            h = add(fromNorm ? x : h, linear(m, p + "mlp.dense_4h_to_h"));
        }
        h = flag("post_layer_norm", true) ? norm(h, "transformer.encoder.final_layernorm") : h;
        return linear(h, "transformer.output_layer");
    }

    private double[][] qwen(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int dim = hidden / heads;
        double eps = number("layer_norm_epsilon", 1e-6);
        double[] frequencies = new double[(int) (dim * number("rotary_pct", 1)) / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = Math.pow(number("rotary_emb_base", 10000), -(double) i / frequencies.length);
        }
        double[][] h = rows("transformer.wte.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] qkv = linear(rmsNorm(h, p + "ln_1", eps), p + "attn.c_attn");
            double[][] a = attend(
                    rotate(columns(qkv, 0, hidden), heads, dim, 2 * frequencies.length, frequencies, false),
                    rotate(columns(qkv, hidden, 2 * hidden), heads, dim, 2 * frequencies.length, frequencies, false),
                    columns(qkv, 2 * hidden, 3 * hidden),
                    heads,
                    heads,
                    1 / Math.sqrt(dim),
                    0,
                    0,
                    null);
            h = add(h, linear(a, p + "attn.c_proj"));
            h = add(h, gated(rmsNorm(h, p + "ln_2", eps), p + "mlp.", "w2", "w1", "c_proj"));
        }
        h = rmsNorm(h, "transformer.ln_f", eps);
        return linear(h, flag("tie_word_embeddings", false) ? "transformer.wte" : "lm_head");
    }

    private double[][] exaone(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int kv = integer("num_key_value_heads", heads);
        int dim = hidden / heads;
        double eps = number("layer_norm_epsilon", 1e-5);
        double[][] h = rows("transformer.wte.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_layers", 0); l++) {
            String p = "transformer.h." + l + ".";
            double[][] x = rmsNorm(h, p + "ln_1", eps);
            double[][] a = attend(
                    rotate(linear(x, p + "attn.attention.q_proj"), heads, dim, dim, frequencies(dim), false),
                    rotate(linear(x, p + "attn.attention.k_proj"), kv, dim, dim, frequencies(dim), false),
                    linear(x, p + "attn.attention.v_proj"),
                    heads,
                    kv,
                    1 / Math.sqrt(dim),
                    0,
                    0,
                    null);
            h = add(h, linear(a, p + "attn.attention.out_proj"));
            h = add(h, gated(rmsNorm(h, p + "ln_2", eps), p + "mlp.", "c_fc_0", "c_fc_1", "c_proj"));
        }
        h = rmsNorm(h, "transformer.ln_f", eps);
        return linear(h, flag("tie_word_embeddings", true) ? "transformer.wte" : "lm_head");
    }

    private double[][] nemotron(int[] ids) {
        int hidden = integer("hidden_size", 0);
        int heads = integer("num_attention_heads", 0);
        int kv = integer("num_key_value_heads", heads);
        int dim = integer("head_dim", hidden / heads);
        int rotated = (int) (dim * number("partial_rotary_factor", 0.5));
        double eps = number("norm_eps", 1e-5);
        double[][] h = rows("model.embed_tokens.weight", ids, 0, hidden);
        for (int l = 0; l < integer("num_hidden_layers", 0); l++) {
            String p = "model.layers." + l + ".";
            double[][] x = layerNormPlusOne(h, p + "input_layernorm", eps);
            double[][] q = linear(x, p + "self_attn.q_proj");
            double[][] k = linear(x, p + "self_attn.k_proj");
            q = rotate(q, heads, dim, rotated, frequencies(rotated), false);
            k = rotate(k, kv, dim, rotated, frequencies(rotated), false);
            double[][] a = attend(q, k, linear(x, p + "self_attn.v_proj"), heads, kv, 1 / Math.sqrt(dim), 0, 0, null);
            h = add(h, linear(a, p + "self_attn.o_proj"));
            x = layerNormPlusOne(h, p + "post_attention_layernorm", eps);
            double[][] m = map(linear(x, p + "mlp.up_proj"), v -> v > 0 ? v * v : 0);
            h = add(h, linear(m, p + "mlp.down_proj"));
        }
        return linear(layerNormPlusOne(h, "model.norm", eps), "lm_head");
    }

    /** A LayerNorm that multiplies by one more than its weights: the sum of what they and a weight of one give. */
    private double[][] layerNormPlusOne(double[][] x, String name, double eps) {
        return add(layerNorm(x, name, eps), layerNorm(x, "no norm of this model", eps));
    }

    private double[][] norm(double[][] x, String name) {
        double eps = number("layernorm_epsilon", 1e-5);
        return flag("rmsnorm", true) ? rmsNorm(x, name, eps) : layerNorm(x, name, eps);
    }

    /** The slopes of n heads, as MosaicML writes them: those of the next power of two, every other one first. */
    private static double[] slopes(int heads, double largest) {
        int power = 1;
        while (power < heads) {
            power *= 2;
        }
        double[] slopes = new double[heads];
        for (int i = 0; i < heads; i++) {
            int place = power == heads ? i + 1 : i < power / 2 ? 2 * (i + 1) : 2 * (i - power / 2) + 1;
            slopes[i] = Math.pow(2, -place * largest / power);
        }
        return slopes;
    }

    /** Rounded to seven bits after the leading one. */
    private static double bfloat16(double x) {
        double unit = Math.scalb(1.0, Math.getExponent(x) - 7);
        return Math.rint(x / unit) * unit;
    }
}
