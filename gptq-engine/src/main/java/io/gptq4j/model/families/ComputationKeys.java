package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
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
        neutral(List.of(), "sliding_window", "sliding_window_pattern", "cross_attention_layers", "mrope_section");
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
                "use_bidirectional_attention",
                "rope_interleaved");
        neutral(List.of(), "activation", "attention_layers", "attention_head_type", "num_ln_in_parallel_attn");
        neutral(List.of(true), "rotary", "original_rope", "learned_pos_emb");
        neutral(List.of(), "block_configs", "num_key_value_heads_per_layer", "per_layer_config");
        neutral(List.of("default"), "mlp_type");
        neutral(List.of(), "hidden_size_per_layer_input", "attention_k_eq_v", "yoco_kv");
        neutral(List.of(0), "num_kv_shared_layers");
        neutral(List.of(false), "use_cla", "use_alibi", "lm_head_bias");
    }

    /** Keys that have nothing to do with the forward pass: tokens, training, generation, where things are from. */
    private static final Pattern HARMLESS = Pattern.compile(
            String.join(
                    "|",
                    "_.*",
                    "(bos|eos|eod|pad|unk|sep|cls|mask|decoder_start|begin_suppress|image|video|audio|vision|boi|eoi|num_image|forced_.*)_?.*token.*",
                    ".*dropout.*|.*_pdrop|layerdrop|.*init.*|.*_loss.*|z_loss.*|aux_.*|seq_aux|router_jitter_noise|.*_std",
                    "model_type|architectures|transformers_version|auto_map|torch_dtype|dtype|quantization_config|tokenizer_class",
                    "use_cache|cache_implementation|output_.*|return_dict.*|problem_type|id2label|label2id|finetuning_task|prefix",
                    "summary_.*|task_specific_params|gradient_checkpointing|pretraining_tp|ep_size|tp_.*|.*_fusion|slow_but_exact",
                    "attn_implementation|use_flash.*|flash_.*|fused_.*|use_fused.*|.*_fused.*|.*in_fp32|reorder_and_upcast_attn",
                    "(max|min)_length|max_new_tokens|do_sample|temperature|top_[kp]|typical_p|num_(return|beam).*|diversity_penalty",
                    "repetition_penalty|length_penalty|no_repeat_ngram_size|encoder_no_repeat_ngram_size|bad_words_ids|early_stopping",
                    "remove_invalid_values|exponential_decay.*|suppress_tokens|chunk_size_feed_forward|pruned_heads|torchscript",
                    "use_bfloat16|tf_legacy_loss|is_decoder|cross_attention_hidden_size|num_nextn_predict_layers|.*_version|(original_)?max_position_embeddings"));

    private ComputationKeys() {}

    private static void neutral(List<Object> values, String... keys) {
        for (String key : keys) {
            NEUTRAL.put(key, values);
        }
    }

    /** The keys that neither the family has asked for nor anything here knows. */
    static List<String> unknown(Keys keys) {
        return keys.config().values().entrySet().stream()
                .filter(entry -> entry.getValue() != null)
                .map(Map.Entry::getKey)
                .filter(key -> !keys.asked().contains(key)
                        && !NEUTRAL.containsKey(key)
                        && !HARMLESS.matcher(key).matches())
                .toList();
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
                    || entry.getValue().stream().anyMatch(neutral -> same(value, neutral))
                    || (value instanceof List<?> types && types.stream().allMatch("full_attention"::equals));
            if (!obeyed) {
                throw keys.error(entry.getKey() + " = " + value + " is not supported for model_type \""
                        + keys.config().modelType() + "\": it changes what the model computes, and this family does not"
                        + " read it");
            }
        }
    }
}
