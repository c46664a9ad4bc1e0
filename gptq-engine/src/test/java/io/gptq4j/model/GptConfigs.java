package io.gptq4j.model;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Tiny configs of the GPT-like families; all sizes are multiples of 32. */
public final class GptConfigs {
    private GptConfigs() {}

    private static Map<String, Object> old(String modelType, Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", modelType,
                        "n_embd", 32,
                        "n_head", 4,
                        "n_layer", 2,
                        "n_positions", 64,
                        "vocab_size", 64),
                changes);
    }

    public static Map<String, Object> gpt2(Object... changes) {
        return old("gpt2", changes);
    }

    public static Map<String, Object> bigcode(Object... changes) {
        return old("gpt_bigcode", changes);
    }

    public static Map<String, Object> gptj(Object... changes) {
        return TinyCheckpoint.changed(old("gptj", "rotary_dim", 4), changes);
    }

    public static Map<String, Object> codegen(Object... changes) {
        return TinyCheckpoint.changed(old("codegen", "rotary_dim", 4), changes);
    }

    public static Map<String, Object> neo(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "gpt_neo",
                        "hidden_size", 32,
                        "num_heads", 4,
                        "num_layers", 4,
                        "max_position_embeddings", 64,
                        "vocab_size", 64,
                        "window_size", 4),
                changes);
    }

    public static Map<String, Object> neox(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "gpt_neox",
                        "hidden_size", 32,
                        "intermediate_size", 64,
                        "num_attention_heads", 4,
                        "num_hidden_layers", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64),
                changes);
    }

    public static Map<String, Object> falcon(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "falcon",
                        "hidden_size", 32,
                        "num_attention_heads", 4,
                        "num_hidden_layers", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64),
                changes);
    }

    public static Map<String, Object> mpt(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "mpt",
                        "d_model", 32,
                        "n_heads", 4,
                        "n_layers", 2,
                        "max_seq_len", 64,
                        "vocab_size", 64),
                changes);
    }

    public static Map<String, Object> chatglm(Object... changes) {
        Map<String, Object> config = TinyCheckpoint.changed(
                Map.of(
                        "model_type", "chatglm",
                        "hidden_size", 32,
                        "num_attention_heads", 4,
                        "num_layers", 2,
                        "kv_channels", 16,
                        "ffn_hidden_size", 64,
                        "padded_vocab_size", 64,
                        "seq_length", 64),
                "multi_query_attention",
                true,
                "multi_query_group_num",
                2,
                "add_qkv_bias",
                true);
        return TinyCheckpoint.changed(config, changes);
    }

    public static Map<String, Object> qwen(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "qwen",
                        "hidden_size", 32,
                        "intermediate_size", 96,
                        "num_attention_heads", 4,
                        "num_hidden_layers", 2,
                        "kv_channels", 8,
                        "vocab_size", 64,
                        "seq_length", 64),
                changes);
    }

    public static Map<String, Object> exaone(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "exaone",
                        "hidden_size", 32,
                        "num_attention_heads", 4,
                        "num_layers", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64),
                changes);
    }

    public static Map<String, Object> nemotron(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "nemotron",
                        "hidden_size", 32,
                        "intermediate_size", 64,
                        "num_attention_heads", 4,
                        "num_key_value_heads", 4,
                        "num_hidden_layers", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64),
                changes);
    }

    /** By what they are. */
    public static Map<String, Map<String, Object>> variants() {
        Map<String, Map<String, Object>> all = new LinkedHashMap<>();
        all.put("gpt2", gpt2());
        all.put("gpt2, own n_inner and activation", gpt2("n_inner", 64, "activation_function", "gelu"));
        all.put("gpt2, relu, untied", gpt2("activation_function", "relu", "tie_word_embeddings", false));
        all.put(
                "gpt2, scaled by layer",
                gpt2("scale_attn_by_inverse_layer_idx", true, "reorder_and_upcast_attn", true));
        all.put("gpt2, not scaled", gpt2("scale_attn_weights", false));
        all.put("gpt_bigcode, one key head", bigcode());
        all.put("gpt_bigcode, all heads", bigcode("multi_query", false));
        all.put(
                "gpt_bigcode, exact gelu, not scaled",
                bigcode("activation_function", "gelu", "scale_attn_weights", false));
        all.put("gptj", gptj("rotary", true));
        all.put("gptj, whole heads rotated, tied", gptj("rotary_dim", 8, "tie_word_embeddings", true));
        all.put("codegen", codegen());
        all.put("codegen, eight heads, own n_inner", codegen("n_head", 8, "n_inner", 64));
        all.put("gpt_neo", neo());
        all.put("gpt_neo, all global", neo("attention_types", List.of(List.of(List.of("global"), 4))));
        all.put(
                "gpt_neo, three to one",
                neo("attention_types", List.of(List.of(List.of("local", "local", "local", "global"), 1))));
        all.put(
                "gpt_neo, layers",
                neo("attention_layers", List.of("local", "global", "global", "local"), "intermediate_size", 64));
        all.put("gpt_neox", neox("hidden_act", "gelu_fast"));
        all.put(
                "gpt_neox, sequential",
                neox("use_parallel_residual", false, "rotary_pct", 1.0, "rotary_emb_base", 100));
        all.put(
                "gpt_neox, no attention bias",
                neox("attention_bias", false, "rotary_pct", 0.5, "tie_word_embeddings", true));
        all.put(
                "gpt_neox of transformers 5",
                neox(
                        "rope_parameters",
                        Map.of("rope_type", "default", "rope_theta", 500.0, "partial_rotary_factor", 0.5)));
        all.put("falcon 7b", falcon("multi_query", true, "num_kv_heads", 4, "tie_word_embeddings", false));
        all.put("falcon 40b", falcon("new_decoder_architecture", true, "num_kv_heads", 2, "rope_theta", 500.0));
        all.put("falcon 40b of the first kind", falcon("model_type", "RefinedWeb", "n_head_kv", 2));
        all.put(
                "falcon 11b",
                falcon(
                        "new_decoder_architecture",
                        true,
                        "num_kv_heads",
                        2,
                        "num_ln_in_parallel_attn",
                        1,
                        "ffn_hidden_size",
                        64));
        all.put("falcon rw 1b", falcon("alibi", true, "multi_query", false, "parallel_attn", false, "bias", true));
        all.put(
                "falcon rw 7b",
                falcon(
                        "model_type",
                        "RefinedWebModel",
                        "alibi",
                        true,
                        "multi_query",
                        false,
                        "bias",
                        true,
                        "num_attention_heads",
                        2));
        all.put(
                "falcon rw, slopes that bfloat16 rounds",
                falcon("alibi", true, "multi_query", false, "num_attention_heads", 16));
        all.put("falcon, one key head, alibi", falcon("alibi", true));
        all.put("falcon, one key head, sequential", falcon("parallel_attn", false, "activation", "gelu_new"));
        all.put("mpt", mpt());
        all.put(
                "mpt, clipped, own scale and slopes",
                mpt("attn_config", Map.of("clip_qkv", 0.5, "softmax_scale", 0.2, "alibi_bias_max", 16)));
        all.put("mpt, heads no power of two", mpt("d_model", 96, "n_heads", 6, "expansion_ratio", 2));
        all.put("mpt, biases, norms on queries and keys", mpt("no_bias", false, "attn_config", Map.of("qk_ln", true)));
        all.put("mpt, learned positions", mpt("attn_config", Map.of("alibi", false), "tie_word_embeddings", false));
        all.put("mpt, one key head", mpt("attn_config", Map.of("attn_type", "multiquery_attention", "qk_ln", true)));
        all.put(
                "mpt, two key heads",
                mpt("attn_config", Map.of("attn_type", "grouped_query_attention", "kv_n_heads", 2)));
        all.put("chatglm", chatglm());
        all.put("glm-4", chatglm("rope_ratio", 500, "layernorm_epsilon", 1.5625e-7, "post_layer_norm", true));
        all.put("chatglm2-6b-32k", chatglm("rope_ratio", 8, "_name_or_path", "chatglm2-6b-32k"));
        all.put(
                "chatglm, all heads, all biases",
                chatglm("multi_query_attention", false, "multi_query_group_num", 4, "add_bias_linear", true));
        all.put("chatglm, layer norms, none at the end", chatglm("rmsnorm", false, "post_layer_norm", false));
        all.put("chatglm, residual from the norm", chatglm("apply_residual_connection_post_layernorm", true));
        all.put("qwen", qwen());
        all.put(
                "qwen, all biases, part of a head, other base and epsilon",
                qwen("no_bias", false, "rotary_pct", 0.5, "rotary_emb_base", 500, "layer_norm_epsilon", 0.01));
        all.put(
                "qwen, tied, as VL",
                qwen("tie_word_embeddings", true, "visual", Map.of("image_start_id", 60), "seq_length", 16));
        all.put("exaone", exaone());
        all.put(
                "exaone 3.5, few key heads, untied, other epsilon",
                exaone(
                        "num_key_value_heads",
                        2,
                        "intermediate_size",
                        96,
                        "layer_norm_epsilon",
                        0.01,
                        "tie_word_embeddings",
                        false,
                        "rope_theta",
                        100.0,
                        "rope_scaling",
                        Map.of(
                                "rope_type", "llama3",
                                "factor", 8.0,
                                "low_freq_factor", 1.0,
                                "high_freq_factor", 4.0,
                                "original_max_position_embeddings", 32)));
        all.put("nemotron", nemotron("hidden_act", "relu2"));
        all.put(
                "minitron, few key heads, own head_dim, biases",
                nemotron(
                        "num_key_value_heads",
                        2,
                        "head_dim",
                        16,
                        "attention_bias",
                        true,
                        "mlp_bias",
                        true,
                        "norm_eps",
                        1e-3));
        return all;
    }
}
