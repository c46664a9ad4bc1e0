package io.gptq4j.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.params.provider.Arguments;

/** Configs of tiny models that are built like Llama: each variant of each family. */
@NullUnmarked // keys of config.json may be null
final class LlamaVariants {
    private static final List<Double> SHORT = List.of(1.0, 1.1, 1.2, 1.3);
    private static final List<Double> LONG = List.of(2.0, 2.5, 3.5, 5.0);
    private static final List<String> BY_TURNS = List.of("sliding_attention", "full_attention", "sliding_attention");

    private final List<Arguments> all = new ArrayList<>();

    private LlamaVariants() {}

    /** The config of a family, changed; a change to "absent" removes a key, one to "null" makes it null. */
    static Map<String, Object> config(String family, Object... changes) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", family);
        config.put("hidden_size", 32);
        config.put("intermediate_size", 48);
        config.put("num_hidden_layers", 3);
        config.put("num_attention_heads", 4);
        config.put("num_key_value_heads", 2);
        config.put("head_dim", 8);
        config.put("vocab_size", 64);
        config.put("max_position_embeddings", 64);
        if (family.equals("deci")) {
            config.put("num_key_value_heads_per_layer", List.of(4, 1, 2));
        }
        for (int i = 0; i < changes.length; i += 2) {
            config.put((String) changes[i], "null".equals(changes[i + 1]) ? null : changes[i + 1]);
        }
        config.values().removeIf("absent"::equals);
        return config;
    }

    /** The config with Granite's four multipliers. */
    static Map<String, Object> multiplied(Map<String, Object> config) {
        return TinyCheckpoint.changed(
                config,
                "embedding_multiplier",
                6.0,
                "attention_multiplier",
                0.2,
                "residual_multiplier",
                0.3,
                "logits_scaling",
                1.5);
    }

    private void add(String name, String family, Object... changes) {
        all.add(Arguments.of(family + ", " + name, config(family, changes)));
    }

    private static Map<String, Object> rope(String type, Object... entries) {
        Map<String, Object> rope = new LinkedHashMap<>();
        rope.put("rope_type", type);
        for (int i = 0; i < entries.length; i += 2) {
            rope.put((String) entries[i], entries[i + 1]);
        }
        return rope;
    }

    /** A name and a config each. */
    static List<Arguments> all() {
        LlamaVariants variants = new LlamaVariants();
        variants.ropes();
        variants.windows();
        variants.wirings();
        return variants.all;
    }

    private void ropes() {
        String scaling = "rope_scaling";
        String original = "original_max_position_embeddings";
        add("dynamic within the context", "llama", scaling, rope("dynamic", "factor", 4.0));
        add("dynamic beyond it", "llama", "max_position_embeddings", 6, scaling, rope("dynamic", "factor", 4.0));
        add("yarn", "llama", "rope_theta", 100.0, scaling, rope("yarn", "factor", 4.0, original, 32));
        add(
                "yarn in full",
                "llama",
                "rope_theta",
                100.0,
                scaling,
                rope("yarn", "factor", 4.0, original, 64, "beta_fast", 8.0, "beta_slow", 2.0, "attention_factor", 1.3));
        add(
                "yarn with mscale",
                "llama",
                scaling,
                rope("yarn", "factor", 4.0, "truncate", false, "mscale", 0.7, "mscale_all_dim", 0.4));
        add(
                "yarn as rope_parameters",
                "llama",
                "rope_parameters",
                rope("yarn", "rope_theta", 100.0, "factor", 2.0, original, 32));
        add(
                "llama3 as rope_parameters",
                "llama",
                "rope_parameters",
                rope(
                        "llama3",
                        "rope_theta",
                        100.0,
                        "factor",
                        8.0,
                        "low_freq_factor",
                        1.0,
                        "high_freq_factor",
                        4.0,
                        original,
                        32));
        Map<String, Object> su = new LinkedHashMap<>(Map.of("type", "su", "short_factor", SHORT, "long_factor", LONG));
        add("longrope within", "phi3", original, 32, scaling, su);
        add("longrope beyond", "phi3", original, 8, scaling, su);
        add(
                "longrope with a factor",
                "llama",
                scaling,
                rope("longrope", "factor", 3.0, "short_factor", SHORT, "long_factor", LONG));
        add(
                "part of a head",
                "phi3",
                "partial_rotary_factor",
                0.75,
                original,
                8,
                scaling,
                rope("longrope", "short_factor", SHORT.subList(0, 3), "long_factor", LONG.subList(0, 3)),
                "tie_word_embeddings",
                true);
        add(
                "a base for each type of layers",
                "gemma3_text",
                "sliding_window",
                4,
                "rope_parameters",
                Map.of(
                        "sliding_attention",
                        rope("default", "rope_theta", 50.0),
                        "full_attention",
                        rope("linear", "rope_theta", 1000.0, "factor", 4.0)));
        add(
                "longrope, multipliers, sparse later",
                "minicpm",
                scaling,
                rope("longrope", "short_factor", SHORT, "long_factor", LONG, original, 64),
                "scale_emb",
                3,
                "sparse_config",
                Map.of("dense_len", 64, "topk", 4));
        add("alpha", "hunyuan_v1_dense", scaling, Map.of("type", "dynamic", "alpha", 50.0, "factor", 1.0));
    }

    private void windows() {
        String window = "sliding_window";
        add("window off", "qwen2", window, 4, "max_window_layers", 1);
        add("window from a layer on", "qwen2", window, 4, "max_window_layers", 1, "use_sliding_window", true);
        add("window by type", "qwen2", window, 4, "layer_types", BY_TURNS, "use_sliding_window", true);
        add("window from a layer on", "qwen3", window, 4, "max_window_layers", 2, "use_sliding_window", true);
        add("window", "mistral", window, 4);
        add("no window, own head_dim", "mistral", window, "null", "head_dim", 12);
        add("window everywhere", "ministral", window, 4);
        add("window by type", "ministral", window, 4, "layer_types", BY_TURNS);
        add(
                "yarn",
                "ministral3",
                window,
                "null",
                "rope_parameters",
                rope(
                        "yarn",
                        "rope_theta",
                        100.0,
                        "factor",
                        2.0,
                        "original_max_position_embeddings",
                        32,
                        "llama_4_scaling_beta",
                        0.1));
        add("window", "phi3", window, 4);
        add("window", "starcoder2", window, 4);
        add("window", "gemma2", window, 4, "query_pre_attn_scalar", 20, "attn_logit_softcapping", 3.0);
        add(
                "window by type, nothing bounded",
                "gemma2",
                window,
                4,
                "layer_types",
                BY_TURNS,
                "attn_logit_softcapping",
                "null",
                "final_logit_softcapping",
                "null");
        add("window by pattern", "gemma3_text", window, 4, "sliding_window_pattern", 2, "rope_local_base_freq", 50.0);
        add("window by pattern", "cohere2", window, 4, "sliding_window_pattern", 2);
        add("window by type", "cohere2", window, 4, "layer_types", BY_TURNS, "logit_scale", 0.5);
        add(
                "window where there are no positions",
                "smollm3",
                window,
                4,
                "no_rope_layers",
                List.of(1, 0, 1),
                "use_sliding_window",
                true);
        add(
                "window in three of four",
                "olmo3",
                window,
                4,
                "num_hidden_layers",
                4,
                "rope_scaling",
                rope("linear", "factor", 3.0));
        add("window in three of four", "exaone4", window, 4, "num_hidden_layers", 4);
        add("no window", "exaone4", window, "null");
    }

    private void wirings() {
        add("tied", "qwen2", "tie_word_embeddings", true);
        add("plain", "mimo", "num_nextn_predict_layers", 1);
        add("own head_dim, biases", "qwen3", "head_dim", 12, "attention_bias", true);
        add("one key head", "gemma", "num_key_value_heads", 1, "head_dim", 12);
        add("untied, first release's activation", "gemma", "tie_word_embeddings", false, "hidden_act", "gelu");
        add("plain", "phi");
        add("norms on heads, other share", "phi", "qk_layernorm", true, "partial_rotary_factor", 0.25);
        add("no biases, untied", "starcoder2", "use_bias", false, "tie_word_embeddings", false);
        add("plain", "stablelm");
        add(
                "12B",
                "stablelm",
                "use_parallel_residual",
                true,
                "qk_layernorm",
                true,
                "use_qkv_bias",
                true,
                "partial_rotary_factor",
                0.5);
        add("plain", "olmo");
        add("clipped", "olmo", "clip_qkv", 0.5, "attention_bias", true);
        add("plain", "olmo2");
        all.add(Arguments.of("granite, multipliers", multiplied(config("granite", "mlp_bias", true))));
        add("no multipliers", "minicpm", "head_dim", "absent");
        add(
                "multipliers, biases, untied",
                "minicpm",
                "scale_emb",
                6,
                "scale_depth",
                1.4,
                "dim_model_base",
                16,
                "attention_bias",
                true,
                "tie_word_embeddings",
                false);
        add("other key heads in each block", "deci");
        add(
                "biases, stretched",
                "deci",
                "num_key_value_heads_per_layer",
                List.of(2, 2, 4),
                "attention_bias",
                true,
                "max_position_embeddings",
                6,
                "rope_scaling",
                rope("dynamic", "factor", 4.0));
        add("plain", "cohere");
        add("norms on heads", "cohere", "use_qk_norm", true, "logit_scale", 0.3, "attention_bias", true);
        add("no positions in every second", "smollm3", "no_rope_layer_interval", 2, "mlp_bias", true);
        add("plain", "glm");
        add("no biases, whole heads", "glm", "attention_bias", false, "partial_rotary_factor", 1.0);
        add("norms around", "glm4");
        add("7B", "baichuan", "num_key_value_heads", "absent");
        add("13B", "baichuan", "num_key_value_heads", "absent", "max_position_embeddings", "absent");
        add("second 7B", "baichuan", "num_key_value_heads", "absent", "z_loss_weight", 0);
        add("biases", "internlm");
        add("no biases, stretched", "internlm", "bias", false, "rotary", Map.of("type", "dynamic", "base", 50));
        add("plain", "xverse");
        add("plain", "internlm2");
        add("no biases", "internlm2", "bias", false);
        add("plain", "seed_oss");
        add("other biases", "seed_oss", "attention_bias", false, "attention_out_bias", true, "mlp_bias", true);
        add("plain", "nemotron");
        add("biases", "nemotron", "attention_bias", true, "mlp_bias", true);
        add("biases", "helium", "attention_bias", true, "mlp_bias", true);
        add("plain", "arcee");
        add("plain", "hunyuan_v1_dense");
        add("plain", "ernie4_5");
        add("biases, untied", "ernie4_5", "use_bias", true, "tie_word_embeddings", false);
    }
}
