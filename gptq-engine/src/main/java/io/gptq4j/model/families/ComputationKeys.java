package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Keys of config.json that change what some model computes, with the values under which they change nothing. A family that does
 * not read such a key computes as if it were not there, so any other value is refused.
 */
final class ComputationKeys {
    private static final Map<String, List<Object>> NEUTRAL = new LinkedHashMap<>();

    static {
        neutral(List.of(), "hidden_act", "hidden_activation", "activation_function", "activation_type", "norm_type");
        neutral(List.of(), "attn_config", "ffn_config", "rope_scaling", "rope_parameters", "layer_types");
        neutral(List.of(), "attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "clip_qkv");
        neutral(List.of(), "attention_multiplier", "attn_scale", "embedding_size", "window_size", "attention_types");
        neutral(List.of(), "no_rope_layers", "no_rope_layer_interval", "rope_local_base_freq", "rope_ratio");
        neutral(List.of(), "kv_lora_rank", "q_lora_rank", "n_group", "topk_group", "topk_method", "scoring_func");
        neutral(List.of(), "mup_width_scale", "scale_depth", "dim_model_base", "attention_chunk_size", "swiglu_limit");
        neutral(List.of(), "sliding_window_pattern", "cross_attention_layers", "mrope_section");
        neutral(
                List.of(0),
                "num_experts",
                "num_local_experts",
                "n_routed_experts",
                "n_shared_experts",
                "moe_num_experts");
        neutral(List.of(0), "rotary_dim", "first_k_dense_replace", "shared_expert_intermediate_size");
        neutral(List.of(1), "partial_rotary_factor", "rotary_pct", "rope_pct", "embedding_multiplier", "scale_emb");
        neutral(List.of(1), "residual_multiplier", "logits_scaling", "logit_scale", "lm_head_multiplier");
        neutral(List.of(1), "routed_scaling_factor", "decoder_sparse_step");
        neutral(List.of(true), "scale_attn_weights", "is_causal", "causal");
        neutral(List.of(false), "attention_bias", "mlp_bias", "qkv_bias", "use_qkv_bias", "add_qkv_bias", "use_bias");
        neutral(List.of(false), "add_bias_linear", "bias", "no_bias", "enable_bias", "attention_out_bias", "o_bias");
        neutral(
                List.of(false),
                "qk_layernorm",
                "qk_norm",
                "use_qk_norm",
                "alibi",
                "parallel_attn",
                "new_decoder_architecture");
        neutral(List.of(false), "multi_query", "multi_query_attention", "use_parallel_residual", "parallel_attention");
        neutral(List.of(false), "scale_attn_by_inverse_layer_idx", "apply_residual_connection_post_layernorm");
        neutral(List.of(false), "use_mup", "use_scaled_rope", "attn_temperature_tuning", "norm_topk_prob");
        neutral(List.of(false), "add_cross_attention", "is_encoder_decoder", "tie_encoder_decoder", "post_layer_norm");
        neutral(
                List.of(false),
                "use_sliding_window",
                "attention_sinks",
                "use_attention_sinks",
                "use_bidirectional_attention");
        neutral(List.of(), "rotary", "block_configs", "num_key_value_heads_per_layer", "per_layer_config");
        neutral(List.of("default"), "mlp_type");
        neutral(List.of(), "hidden_size_per_layer_input", "attention_k_eq_v", "yoco_kv");
        neutral(List.of(0), "num_kv_shared_layers");
        neutral(List.of(false), "use_cla", "use_alibi", "lm_head_bias");
    }

    private ComputationKeys() {}

    private static void neutral(List<Object> values, String... keys) {
        for (String key : keys) {
            NEUTRAL.put(key, values);
        }
    }

    /** All of them. */
    static Collection<String> all() {
        return NEUTRAL.keySet();
    }

    /** Whether two values are the same, 1 and 1.0 among them. */
    static boolean same(Object a, Object b) {
        return a instanceof Number first && b instanceof Number second
                ? first.doubleValue() == second.doubleValue()
                : a.equals(b);
    }

    /**
     * Checks what the family did not ask for.
     *
     * @throws CheckpointException naming a key whose value it would have to obey
     */
    static void requireObeyed(Keys keys) throws CheckpointException {
        for (Map.Entry<String, List<Object>> entry : NEUTRAL.entrySet()) {
            @Nullable Object value = keys.config().values().get(entry.getKey());
            boolean obeyed = value == null
                    || keys.asked().contains(entry.getKey())
                    || entry.getValue().stream().anyMatch(neutral -> same(value, neutral));
            if (!obeyed) {
                throw keys.error(entry.getKey() + " = " + value + " is not supported for model_type \""
                        + keys.config().modelType() + "\": it changes what the model computes, and this family does not"
                        + " read it");
            }
        }
    }
}
