package io.gptq4j.model;

import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.NullUnmarked;

/**
 * Restatements of the models that are built like Llama, from their published definitions: a wiring of norms and parts each, in
 * double precision.
 */
@NullUnmarked // absent tensors and keys are nulls here, as in the loops of a sketch
final class PlainLlamas extends PlainLlamaParts {
    PlainLlamas(Map<String, Object> config, Map<String, float[]> tensors) {
        super(config, tensors);
    }

    @Override
    double[][] logits(int[] ids) {
        int t = ids.length;
        String type = (String) config.get("model_type");
        UnaryOperator<String> self = name -> "self_attn." + name;
        return switch (type) {
            case "qwen2", "mistral", "ministral", "seed_oss" -> {
                IntPredicate slides = type.equals("qwen2") ? laterLayers() : sliding(l -> true);
                yield llama(ids, 1e-6, (x, p, l) -> attention(x, p, rope.of(dim, t), window(slides, l, 4096)));
            }
            case "qwen3" ->
                llama(
                        ids,
                        1e-6,
                        (x, p, l) -> attention(
                                headNorms(qkv(x, p), p, "q_norm", "k_norm", 1e-6, 0),
                                p,
                                rope.of(dim, t),
                                window(laterLayers(), l, 4096),
                                1 / Math.sqrt(dim),
                                0));
            case "gemma" ->
                gemma(ids, 0, (h, p, l) -> {
                    h = add(h, attention(rms(h, p + "input_layernorm", 1), p, rope.of(dim, t), 0));
                    return add(h, gated(rms(h, p + "post_attention_layernorm", 1), p, PlainParts::geluTanh));
                });
            case "gemma2" -> {
                double scale = 1 / Math.sqrt(number("query_pre_attn_scalar", 256));
                double cap = numberOrNull("attn_logit_softcapping", 50);
                yield gemma(ids, numberOrNull("final_logit_softcapping", 30), (h, p, l) -> {
                    double[][] x = rms(h, p + "input_layernorm", 1);
                    int window = window(sliding(i -> i % 2 == 0), l, 4096);
                    return around(h, p, attention(qkv(x, p), p, rope.of(dim, t), window, scale, cap));
                });
            }
            case "gemma3_text" -> {
                double scale = 1 / Math.sqrt(number("query_pre_attn_scalar", 256));
                int pattern = integer("sliding_window_pattern", 6);
                IntPredicate slides = sliding(l -> (l + 1) % pattern > 0);
                yield gemma(ids, numberOrNull("final_logit_softcapping", 0), (h, p, l) -> {
                    double[][][] qkv =
                            headNorms(qkv(rms(h, p + "input_layernorm", 1), p), p, "q_norm", "k_norm", 1e-6, 1);
                    PlainRope.Rotation rotation = slides.test(l)
                            ? rope.layered("sliding_attention", "rope_local_base_freq", 10000, dim, t)
                            : rope.layered("full_attention", "rope_theta", 1e6, dim, t);
                    return around(h, p, attention(qkv, p, rotation, window(slides, l, 4096), scale, 0));
                });
            }
            case "phi3" ->
                llama(ids, 1e-5, (x, p, l) -> {
                    double[][] all = linear(x, p + self.apply("qkv_proj"));
                    double[][][] qkv = {
                        columns(all, 0, heads * dim),
                        columns(all, heads * dim, (heads + kv) * dim),
                        columns(all, (heads + kv) * dim, (heads + 2 * kv) * dim)
                    };
                    int window = window(i -> true, l, 0);
                    return attention(qkv, p, rope.of(share(1), t), window, 1 / Math.sqrt(dim), 0);
                });
            case "phi" ->
                whole(ids, 1, "model.final_layernorm", 1e-5, (h, p, l) -> {
                    double[][] x = layerNorm(h, p + "input_layernorm", 1e-5);
                    double[][][] qkv = qkv(x, p);
                    if (flag("qk_layernorm", false)) {
                        qkv = headNorms(qkv, p, "q_layernorm", "k_layernorm", 1e-5, 0);
                    }
                    double[][] a = attention(qkv, p, rope.of(share(0.5), t), 0, 1 / Math.sqrt(dim), 0);
                    double[][] m = map(linear(x, p + "mlp.fc1"), PlainParts::geluTanh);
                    return add(add(h, a), linear(m, p + "mlp.fc2"));
                });
            case "starcoder2" ->
                whole(ids, 1, "model.norm", 1e-5, (h, p, l) -> {
                    int window = window(i -> true, l, 0);
                    h = add(h, attention(layerNorm(h, p + "input_layernorm", 1e-5), p, rope.of(dim, t), window));
                    double[][] x = layerNorm(h, p + "post_attention_layernorm", 1e-5);
                    return add(h, linear(map(linear(x, p + "mlp.c_fc"), PlainParts::geluTanh), p + "mlp.c_proj"));
                });
            case "stablelm" ->
                whole(ids, 1, "model.norm", 1e-5, (h, p, l) -> {
                    double[][] x = layerNorm(h, p + "input_layernorm", 1e-5);
                    double[][][] qkv = qkv(x, p);
                    if (flag("qk_layernorm", false)) {
                        qkv[0] = eachHead(qkv[0], p + self.apply("q_layernorm"));
                        qkv[1] = eachHead(qkv[1], p + self.apply("k_layernorm"));
                    }
                    double[][] a = attention(qkv, p, rope.of(share(0.25), t), 0, 1 / Math.sqrt(dim), 0);
                    if (flag("use_parallel_residual", false)) {
                        return add(add(h, a), gated(x, p, PlainParts::silu));
                    }
                    h = add(h, a);
                    return add(h, gated(layerNorm(h, p + "post_attention_layernorm", 1e-5), p, PlainParts::silu));
                });
            case "olmo" ->
                whole(ids, 1, "none", 1e-5, (h, p, l) -> {
                    double bound = number("clip_qkv", 1e9);
                    double[][][] qkv = qkv(layerNorm(h, "none", 1e-5), p);
                    for (int i = 0; i < 3; i++) {
                        qkv[i] = map(qkv[i], v -> Math.min(bound, Math.max(-bound, v)));
                    }
                    h = add(h, attention(qkv, p, rope.of(dim, t), 0, 1 / Math.sqrt(dim), 0));
                    return add(h, gated(layerNorm(h, "none", 1e-5), p, PlainParts::silu));
                });
            case "olmo2", "olmo3", "exaone4" -> {
                boolean olmo = type.startsWith("olmo");
                IntPredicate slides = sliding(l -> !type.equals("olmo2") && (l + 1) % 4 != 0);
                int norm = olmo ? 0 : dim; // how many channels a norm on queries and keys spans; 0 for all
                yield whole(ids, 1, "model.norm", 1e-5, (h, p, l) -> {
                    double[][][] qkv = qkv(h, p);
                    qkv[0] = norm(qkv[0], p + self.apply("q_norm"), norm, 1e-5, 0, false);
                    qkv[1] = norm(qkv[1], p + self.apply("k_norm"), norm, 1e-5, 0, false);
                    boolean slide = slides.test(l);
                    PlainRope.Rotation rotation = type.equals("olmo3") && slide
                            ? rope.plain("rope_theta", 10000, dim)
                            : olmo || slide || config.get("sliding_window") == null ? rope.of(dim, t) : null;
                    double[][] a = attention(qkv, p, rotation, window(slides, l, 4096), 1 / Math.sqrt(dim), 0);
                    h = add(h, norm(a, p + "post_attention_layernorm", 0, 1e-5, 0, false));
                    double[][] m = gated(h, p, PlainParts::silu);
                    return add(h, norm(m, p + "post_feedforward_layernorm", 0, 1e-5, 0, false));
                });
            }
            case "minicpm" -> {
                double factor = number("scale_depth", 1) / Math.sqrt(layers);
                double[][] logits = whole(ids, number("scale_emb", 1), "model.norm", 1e-6, (h, p, l) -> {
                    double[][] a = attention(rms(h, p + "input_layernorm", 0), p, rope.of(dim, t), 0);
                    h = add(h, map(a, v -> v * factor));
                    double[][] m = gated(rms(h, p + "post_attention_layernorm", 0), p, PlainParts::silu);
                    return add(h, map(m, v -> v * factor));
                });
                yield map(logits, v -> v / (hidden / number("dim_model_base", 1)));
            }
            case "deci" ->
                llama(ids, 1e-6, (x, p, l) -> {
                    int own = (Integer) ((List<?>) config.get("num_key_value_heads_per_layer")).get(l);
                    double[][][] qkv = qkv(x, p);
                    rope.of(dim, t).turn(qkv[0], heads, dim);
                    rope.of(dim, t).turn(qkv[1], own, dim);
                    double[][] a = attend(qkv[0], qkv[1], qkv[2], heads, own, 1 / Math.sqrt(dim), 0, 0, null);
                    return linear(a, p + self.apply("o_proj"));
                });
            case "granite" -> {
                double factor = number("residual_multiplier", 1);
                double[][] logits = whole(ids, number("embedding_multiplier", 1), "model.norm", 1e-6, (h, p, l) -> {
                    double[][] x = rms(h, p + "input_layernorm", 0);
                    double[][] a = attention(qkv(x, p), p, rope.of(dim, t), 0, number("attention_multiplier", 1), 0);
                    h = add(h, map(a, v -> v * factor));
                    double[][] m = gated(rms(h, p + "post_attention_layernorm", 0), p, PlainParts::silu);
                    return add(h, map(m, v -> v * factor));
                });
                yield map(logits, v -> v / number("logits_scaling", 1));
            }
            case "cohere", "cohere2" -> {
                int pattern = integer("sliding_window_pattern", 4);
                IntPredicate slides = sliding(l -> type.equals("cohere2") && (l + 1) % pattern != 0);
                double[][] logits = whole(ids, 1, "model.norm", 1e-5, (h, p, l) -> {
                    double[][] x = layerNorm(h, p + "input_layernorm", 1e-5);
                    double[][][] qkv = qkv(x, p);
                    if (flag("use_qk_norm", false)) {
                        qkv[0] = norm(qkv[0], p + self.apply("q_norm"), dim, 1e-5, 0, true);
                        qkv[1] = norm(qkv[1], p + self.apply("k_norm"), dim, 1e-5, 0, true);
                    }
                    PlainRope.Rotation rotation = type.equals("cohere") || slides.test(l)
                            ? rope.of(dim, t).inPairs()
                            : null;
                    double[][] a = attention(qkv, p, rotation, window(slides, l, 4096), 1 / Math.sqrt(dim), 0);
                    return add(add(h, a), gated(x, p, PlainParts::silu));
                });
                yield map(logits, v -> v * number("logit_scale", 0.0625));
            }
            case "smollm3" -> {
                List<?> rotates = (List<?>) config.get("no_rope_layers");
                IntPredicate plain = l -> rotates != null
                        ? rotates.get(l).equals(0)
                        : (l + 1) % integer("no_rope_layer_interval", 4) == 0;
                IntPredicate slides =
                        l -> flag("use_sliding_window", false) && sliding(plain).test(l);
                yield llama(
                        ids,
                        1e-6,
                        (x, p, l) ->
                                attention(x, p, plain.test(l) ? null : rope.of(dim, t, 2e6), window(slides, l, 0)));
            }
            case "glm" ->
                llama(
                        ids,
                        1.5625e-7,
                        (x, p, l) -> attention(x, p, rope.of(share(0.5), t).inPairs(), 0));
            case "glm4" ->
                whole(ids, 1, "model.norm", 1.5625e-7, (h, p, l) -> {
                    UnaryOperator<String> at = name -> p + name + "layernorm";
                    double[][] x = norm(h, at.apply("input_"), 0, 1.5625e-7, 0, false);
                    double[][] a = attention(x, p, rope.of(share(0.5), t).inPairs(), 0);
                    h = add(h, norm(a, at.apply("post_self_attn_"), 0, 1.5625e-7, 0, false));
                    x = norm(h, at.apply("post_attention_"), 0, 1.5625e-7, 0, false);
                    double[][] m = gated(x, p, PlainParts::silu);
                    return add(h, norm(m, at.apply("post_mlp_"), 0, 1.5625e-7, 0, false));
                });
            case "helium", "ernie4_5" -> {
                double theta = type.equals("helium") ? 1e5 : 5e5;
                double eps = type.equals("helium") ? 1e-8 : 1e-5;
                yield llama(
                        ids,
                        eps,
                        (x, p, l) -> attention(x, p, rope.of(dim, t, theta).inPairs(), 0));
            }
            case "arcee", "nemotron" -> {
                boolean arcee = type.equals("arcee");
                yield whole(ids, 1, "model.norm", 1e-5, (h, p, l) -> {
                    PlainRope.Rotation rotation = rope.of(arcee ? dim : share(0.5), t);
                    h = add(h, attention(oneMore(h, p + "input_layernorm", arcee), p, rotation, 0));
                    double[][] up = linear(oneMore(h, p + "post_attention_layernorm", arcee), p + "mlp.up_proj");
                    return add(h, linear(map(up, v -> v > 0 ? v * v : 0), p + "mlp.down_proj"));
                });
            }
            case "hunyuan_v1_dense" ->
                llama(ids, 1e-5, (x, p, l) -> {
                    double[][][] qkv = qkv(x, p);
                    PlainRope.Rotation rotation = rope.stretched(dim);
                    rotation.turn(qkv[0], heads, dim);
                    rotation.turn(qkv[1], kv, dim);
                    qkv = headNorms(qkv, p, "query_layernorm", "key_layernorm", 1e-5, 0);
                    return attention(qkv, p, null, 0, 1 / Math.sqrt(dim), 0);
                });
            case "ministral3" ->
                llama(ids, 1e-5, (x, p, l) -> attention(x, p, rope.of(dim, t), window(i -> true, l, 0)));
            case "baichuan" ->
                llama(ids, 1e-6, (x, p, l) -> {
                    double[][] all = linear(x, p + self.apply("W_pack"));
                    double[][] q = columns(all, 0, hidden);
                    double[][] k = columns(all, hidden, 2 * hidden);
                    double[] slopes = null;
                    if (config.containsKey("max_position_embeddings")) {
                        rope.of(dim, t).turn(q, heads, dim);
                        rope.of(dim, t).turn(k, heads, dim);
                    } else {
                        slopes = new double[] {0.25, 0.0625, 0.015625, 0.00390625}; // of four heads
                    }
                    double[][] v = columns(all, 2 * hidden, 3 * hidden);
                    double[][] a = attend(q, k, v, heads, heads, 1 / Math.sqrt(dim), 0, 0, slopes);
                    return linear(a, p + self.apply("o_proj"));
                });
            case "internlm2" ->
                whole(ids, 1, "model.norm", 1e-6, (h, p, l) -> {
                    double[][] all = linear(norm(h, p + "attention_norm", 0, 1e-6, 0, false), p + "attention.wqkv");
                    double[][][] qkv = {new double[t][heads * dim], new double[t][kv * dim], new double[t][kv * dim]};
                    int shared = heads / kv;
                    for (int i = 0; i < t; i++) {
                        for (int g = 0; g < kv; g++) {
                            int start = g * (shared + 2) * dim;
                            System.arraycopy(all[i], start, qkv[0][i], g * shared * dim, shared * dim);
                            System.arraycopy(all[i], start + shared * dim, qkv[1][i], g * dim, dim);
                            System.arraycopy(all[i], start + (shared + 1) * dim, qkv[2][i], g * dim, dim);
                        }
                    }
                    rope.of(dim, t).turn(qkv[0], heads, dim);
                    rope.of(dim, t).turn(qkv[1], kv, dim);
                    double[][] a = attend(qkv[0], qkv[1], qkv[2], heads, kv, 1 / Math.sqrt(dim), 0, 0, null);
                    h = add(h, linear(a, p + "attention.wo"));
                    double[][] x = norm(h, p + "ffn_norm", 0, 1e-6, 0, false);
                    return add(h, gated(x, p + "feed_forward.", "w1", "w3", "w2"));
                });
            default -> llama(ids, 1e-6, (x, p, l) -> attention(x, p, rope.of(dim, t), 0));
        };
    }
}
