package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every variant of the GPT-like families against the plain restatement of its definition. */
class GptFamiliesTest extends FamilyTest {
    static Stream<Arguments> variants() {
        return GptConfigs.variants().entrySet().stream().map(e -> Arguments.of(e.getKey(), e.getValue()));
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("variants")
    void computesWhatTheDefinitionSays(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        double[][] expected = new PlainGpts(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.FLOAT32, expected, 1e-4);
    }

    @ParameterizedTest(name = "{0} in bfloat16, seed 1")
    @MethodSource("variants")
    void computesInHalfPrecision(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        double[][] expected = new PlainGpts(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.BFLOAT16, expected, 0.25);
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                Arguments.of(GptConfigs.gpt2("activation_function", "softsign"), "activation_function"),
                Arguments.of(GptConfigs.gpt2("attention_head_type", "multiquery"), "attention_head_type"),
                Arguments.of(GptConfigs.gpt2("add_cross_attention", true), "add_cross_attention"),
                Arguments.of(GptConfigs.gpt2("n_head", 5), "heads"),
                Arguments.of(GptConfigs.bigcode("activation_function", "softsign"), "activation_function"),
                Arguments.of(GptConfigs.bigcode("rope_scaling", Map.of("type", "linear")), "rope_scaling"),
                Arguments.of(GptConfigs.gptj("activation_function", "softsign"), "activation_function"),
                Arguments.of(GptConfigs.gptj("rotary_dim", 7), "rotary_dim"),
                Arguments.of(GptConfigs.gptj("rotary", false), "rotary"),
                Arguments.of(GptConfigs.codegen("activation_function", "softsign"), "activation_function"),
                Arguments.of(GptConfigs.codegen("n_head", 2), "four stretches"),
                Arguments.of(GptConfigs.neo("activation_function", "softsign"), "activation_function"),
                Arguments.of(
                        GptConfigs.neo("attention_layers", List.of("local", "linear", "local", "local")), "linear"),
                Arguments.of(
                        GptConfigs.neo("attention_types", List.of(List.of(List.of("local"), 3))), "attention_types"),
                Arguments.of(GptConfigs.neox("hidden_act", "softsign"), "hidden_act"),
                Arguments.of(GptConfigs.neox("rope_scaling", Map.of("type", "spiral", "factor", 2.0)), "spiral"),
                Arguments.of(GptConfigs.falcon("activation", "softsign"), "activation"),
                Arguments.of(GptConfigs.falcon("rope_scaling", Map.of("type", "spiral", "factor", 2.0)), "spiral"),
                Arguments.of(
                        GptConfigs.falcon("new_decoder_architecture", true, "parallel_attn", false), "parallel_attn"),
                Arguments.of(GptConfigs.falcon("num_ln_in_parallel_attn", 2), "num_ln_in_parallel_attn"),
                Arguments.of(
                        GptConfigs.falcon("apply_residual_connection_post_layernorm", true),
                        "apply_residual_connection_post_layernorm"),
                Arguments.of(GptConfigs.mpt("norm_type", "rmsnorm"), "norm_type"),
                Arguments.of(GptConfigs.mpt("logit_scale", 0.5), "logit_scale"),
                Arguments.of(GptConfigs.mpt("attn_config", Map.of("prefix_lm", true)), "prefix_lm"),
                Arguments.of(GptConfigs.mpt("attn_config", Map.of("rope", true)), "rope"),
                Arguments.of(GptConfigs.mpt("attn_config", Map.of("attn_type", "spiral")), "spiral"),
                Arguments.of(GptConfigs.mpt("ffn_config", Map.of("ffn_type", "mptglu")), "ffn_config"),
                Arguments.of(GptConfigs.nemotron("hidden_act", "softsign"), "hidden_act"),
                Arguments.of(GptConfigs.nemotron("rope_scaling", Map.of("type", "spiral", "factor", 2.0)), "spiral"),
                Arguments.of(GptConfigs.chatglm("position_encoding_2d", true), "position_encoding_2d"),
                Arguments.of(GptConfigs.chatglm("original_rope", false), "original_rope"),
                Arguments.of(GptConfigs.chatglm("quantization_bit", 4), "quantization_bit"),
                Arguments.of(GptConfigs.chatglm("hidden_act", "softsign"), "hidden_act"),
                Arguments.of(GptConfigs.exaone("activation_function", "softsign"), "activation_function"),
                Arguments.of(GptConfigs.exaone("rope_scaling", Map.of("type", "spiral", "factor", 2.0)), "spiral"),
                Arguments.of(GptConfigs.exaone("num_key_value_heads", 3), "num_key_value_heads"),
                Arguments.of(GptConfigs.exaone("head_dim", 16), "head_dim"),
                Arguments.of(GptConfigs.exaone("attention_bias", true), "attention_bias"),
                Arguments.of(GptConfigs.qwen("hidden_act", "softsign"), "hidden_act"),
                Arguments.of(GptConfigs.qwen("rope_scaling", Map.of("type", "linear", "factor", 2.0)), "rope_scaling"),
                Arguments.of(GptConfigs.qwen("kv_channels", 16), "kv_channels"),
                Arguments.of(GptConfigs.qwen("rope_theta", 500), "rope_theta"),
                Arguments.of(GptConfigs.qwen("seq_length_expansion", 2), "seq_length_expansion"),
                Arguments.of(GptConfigs.qwen("use_cache_quantization", true), "use_cache_quantization"),
                Arguments.of(GptConfigs.qwen("scale_attn_weights", false), "scale_attn_weights"),
                Arguments.of(GptConfigs.qwen("intermediate_size", 95), "intermediate_size"),
                Arguments.of(bloom("pretraining_tp", 2), "slow_but_exact"));
    }

    @ParameterizedTest(name = "{1} in {0}")
    @MethodSource("refusals")
    void refusesWhatItCannotObeyByName(Map<String, Object> config, String named) {
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining(named);
    }

    @Test
    void knowsAllKeysOfTheFirstQwensConfig() throws Exception {
        Map<String, Object> config = GptConfigs.qwen("bf16", true, "fp16", false, "fp32", false);
        config.putAll(Map.of("attn_dropout_prob", 0.1, "params_dtype", "torch.bfloat16", "use_flash_attn", "auto"));
        config.putAll(Map.of("no_bias", true, "rotary_emb_base", 1000000, "rope_theta", 1000000, "rotary_pct", 1.0));
        config.putAll(Map.of("use_cache_kernel", false, "use_cache_quantization", false, "softmax_in_fp32", false));
        config.putAll(Map.of("use_logn_attn", false, "use_dynamic_ntk", false, "tokenizer_type", "QWenTokenizer"));
        config.putAll(Map.of("padded_vocab_size", 64, "onnx_safe", false));
        for (ModelFamily family : ModelFamilies.ALL) {
            if (family.name().equals("qwen")) {
                assertThat(family.reader()
                                .read(ModelConfig.of(config, "config.json"))
                                .warnings())
                        .isEmpty();
            }
        }
    }

    /** Beyond seq_length Qwen multiplies queries by log(position) and rotates with another base, unless it is told not to. */
    @Test
    void endsWindowsOfQwenWhereItsAttentionChanges() throws Exception {
        Map<String, Object> both = GptConfigs.qwen("seq_length", 16, "max_position_embeddings", 64);
        assertThat(architecture(both).maxPositions()).isEqualTo(16);
        Map<String, Object> one = TinyCheckpoint.changed(both, "use_logn_attn", false);
        assertThat(architecture(one).maxPositions()).isEqualTo(16);
        Map<String, Object> none = TinyCheckpoint.changed(one, "use_dynamic_ntk", false);
        assertThat(architecture(none).maxPositions()).isEqualTo(64);
    }

    @Test
    void readsBloomThatIsSlowButExactInOneStretch() throws Exception {
        assertThat(architecture(bloom("pretraining_tp", 1)).family()).isEqualTo("bloom");
    }

    private static Map<String, Object> bloom(String key, Object value) {
        return Map.of(
                "model_type",
                "bloom",
                "hidden_size",
                32,
                "n_layer",
                2,
                "n_head",
                4,
                "vocab_size",
                64,
                "slow_but_exact",
                true,
                key,
                value);
    }

    @Test
    void readsCheckpointsOfGpt2WithoutTheBasePrefix() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(GptConfigs.gpt2(), 2);
        double[][] expected = new PlainGpts(GptConfigs.gpt2(), tiny.tensors()).logits(IDS);
        tiny.write(directory, name -> name.substring("transformer.".length()));
        assertComputes(directory, FloatType.FLOAT32, expected, 1e-4);
    }

    @Test
    void readsOldSpellingsOfSizes() throws Exception {
        Map<String, Object> old = new LinkedHashMap<>(GptConfigs.gpt2("n_ctx", 64));
        old.remove("n_positions");
        assertThat(architecture(old)).isEqualTo(architecture(GptConfigs.gpt2()));
        Map<String, Object> web = new LinkedHashMap<>(GptConfigs.falcon("n_head", 4, "n_layer", 2));
        web.remove("num_attention_heads");
        web.remove("num_hidden_layers");
        web.put("model_type", "RefinedWebModel");
        assertThat(architecture(web)).isEqualTo(architecture(GptConfigs.falcon()));
    }

    private static Architecture architecture(Map<String, Object> config) throws CheckpointException {
        return ModelFamilies.architecture(ModelConfig.of(config, "config.json"));
    }
}
