package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every variant of every family against the plain restatement of its definition. */
class ModelFamiliesTest extends FamilyTest {
    private static Map<String, Object> llama(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "llama",
                        "hidden_size", 32,
                        "intermediate_size", 48,
                        "num_hidden_layers", 2,
                        "num_attention_heads", 4,
                        "num_key_value_heads", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64,
                        "rms_norm_eps", 1e-5),
                changes);
    }

    private static Map<String, Object> opt(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of(
                        "model_type", "opt",
                        "hidden_size", 32,
                        "ffn_dim", 64,
                        "num_hidden_layers", 2,
                        "num_attention_heads", 4,
                        "vocab_size", 64,
                        "max_position_embeddings", 64),
                changes);
    }

    private static Map<String, Object> bloom(Object... changes) {
        return TinyCheckpoint.changed(
                Map.of("model_type", "bloom", "hidden_size", 32, "n_layer", 2, "n_head", 4, "vocab_size", 64), changes);
    }

    static Stream<Arguments> variants() {
        Map<String, Object> llama3 = Map.of(
                "rope_type", "llama3",
                "factor", 8.0,
                "low_freq_factor", 1.0,
                "high_freq_factor", 4.0,
                "original_max_position_embeddings", 32);
        return Stream.of(
                Arguments.of("llama, grouped queries", llama()),
                Arguments.of("llama, all heads", llama("num_key_value_heads", 4)),
                Arguments.of("llama, one key head", llama("num_key_value_heads", 1)),
                Arguments.of("llama, biases", llama("attention_bias", true, "mlp_bias", true)),
                Arguments.of("llama, own head_dim", llama("head_dim", 12)),
                Arguments.of("llama, tied", llama("tie_word_embeddings", true)),
                Arguments.of("llama, theta", llama("rope_theta", 500000.0)),
                Arguments.of("llama, linear rope", llama("rope_scaling", Map.of("rope_type", "linear", "factor", 4.0))),
                Arguments.of("llama 3.1 rope", llama("rope_theta", 100.0, "rope_scaling", llama3)),
                Arguments.of("opt", opt()),
                Arguments.of(
                        "opt 350m: norms after, narrow embedding",
                        opt("do_layer_norm_before", false, "word_embed_proj_dim", 16)),
                Arguments.of("opt, no final norm", opt("_remove_final_layer_norm", true)),
                Arguments.of("galactica: no biases", opt("enable_bias", false)),
                Arguments.of("opt, norms without weights", opt("layer_norm_elementwise_affine", false)),
                Arguments.of("opt, untied", opt("tie_word_embeddings", false)),
                Arguments.of("bloom", bloom()),
                Arguments.of("bloom, heads no power of two", bloom("n_head", 3, "hidden_size", 24)),
                Arguments.of("bloom, residual from the norm", bloom("apply_residual_connection_post_layernorm", true)));
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("variants")
    void computesWhatTheDefinitionSays(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        double[][] expected = new PlainDecoder(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.FLOAT32, expected, 1e-4);
    }

    @ParameterizedTest(name = "{0} in bfloat16, seed 1")
    @MethodSource("variants")
    void computesInHalfPrecision(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        double[][] expected = new PlainDecoder(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.BFLOAT16, expected, 0.25);
    }

    @ParameterizedTest(name = "{0} saved from the base model")
    @CsvSource({"llama,model.", "opt,model.", "bloom,transformer."})
    void readsCheckpointsWithoutTheBasePrefix(String family, String prefix) throws Exception {
        Map<String, Object> config = family.equals("llama") ? llama() : family.equals("opt") ? opt() : bloom();
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 2);
        double[][] expected = new PlainDecoder(config, tiny.tensors()).logits(IDS);
        UnaryOperator<String> strip = name -> name.startsWith(prefix) ? name.substring(prefix.length()) : name;
        assertComputes(tiny.write(directory, strip), FloatType.FLOAT32, expected, 1e-4);
    }

    @Test
    void scalesQueriesTwiceWhereTheSavingReleaseDid() throws Exception {
        TinyCheckpoint once = TinyCheckpoint.of(opt("transformers_version", "4.52.4"), 3);
        TinyCheckpoint twice = TinyCheckpoint.of(opt("transformers_version", "4.52.0.dev0"), 3);
        assertThat(once.architecture().block(0).attention().scale()).isCloseTo(1 / Math.sqrt(8), within(1e-12));
        assertThat(twice.architecture().block(0).attention().scale()).isEqualTo(1.0 / 8);
    }

    @Test
    void namesAMissingTensor() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 4);
        tiny.tensors().remove("model.layers.1.mlp.up_proj.weight");
        tiny.write(directory);
        assertThatThrownBy(() -> logits(directory))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("model.layers.1.mlp.up_proj.weight is missing");
    }

    @Test
    void namesATensorOfAnotherShape() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 5);
        Map<String, Object> wider = llama("intermediate_size", 64);
        new TinyCheckpoint(ModelConfig.of(wider, "config.json"), tiny.architecture(), tiny.tensors()).write(directory);
        assertThatThrownBy(() -> logits(directory))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("model.layers.0.mlp.gate_proj.weight")
                .hasMessageContaining("[48, 32]")
                .hasMessageContaining("[64, 32]");
    }

    @Test
    void namesATensorWithNaN() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 6);
        tiny.tensors().computeIfPresent("model.layers.0.self_attn.q_proj.weight", (name, data) -> {
            data[7] = Float.NaN;
            return data;
        });
        tiny.write(directory);
        assertThatThrownBy(() -> logits(directory))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("model.layers.0.self_attn.q_proj.weight")
                .hasMessageContaining("1 NaN or infinite");
    }

    @ParameterizedTest(name = "{0} = {1}")
    @CsvSource({
        "hidden_act, softsign",
        "partial_rotary_factor, 0.5",
        "num_key_value_heads, 3",
        "num_attention_heads, 5",
    })
    void refusesWhatItCannotObeyByName(String key, String value) {
        Object typed = value.matches("\\d+")
                ? Integer.valueOf(value)
                : value.matches("[\\d.]+") ? (Object) Double.valueOf(value) : value;
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(llama(key, typed), "config.json")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining(key);
    }

    @Test
    void refusesAnUnknownRopeType() {
        Map<String, Object> config = llama("rope_scaling", Map.of("type", "spiral", "factor", 2.0));
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("spiral");
    }

    @Test
    void refusesAnUnknownModelTypeNamingTheKnownOnes() {
        assertThatThrownBy(
                        () -> ModelFamilies.architecture(ModelConfig.of(Map.of("model_type", "mamba"), "config.json")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("\"mamba\"")
                .hasMessageContaining("supported are llama, ")
                .hasMessageContaining(", bloom");
    }

    @Test
    void namesTheFamilyWhoseTensorsAreNearestAndWhatDiffers() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 8);
        tiny.tensors().put("model.layers.0.self_attn.sinks", new float[4]);
        Map<String, Object> other = llama("model_type", "llama_next");
        new TinyCheckpoint(ModelConfig.of(other, "config.json"), tiny.architecture(), tiny.tensors()).write(directory);
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThatThrownBy(() -> ModelFamilies.architecture(checkpoint))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageEndingWith(
                            "model_type \"llama_next\" is not supported; the nearest family is llama: of what"
                                    + " that needs it lacks nothing, and it has besides 1 tensor,"
                                    + " model.layers.0.self_attn.sinks. If it computes the same, say --family llama");
            assertThat(ModelFamilies.architecture(checkpoint.config().readAs("llama")))
                    .isEqualTo(tiny.architecture());
            assertThatThrownBy(
                            () -> ModelFamilies.architecture(checkpoint.config().readAs("lama")))
                    .hasMessageStartingWith("There is no family \"lama\"; there are llama, ");
        }
    }

    @Test
    void tellsKeysOfWhichNobodyKnowsWhatTheyDo() throws Exception {
        Map<String, Object> config =
                llama("attention_sparkle", 3, "bos_token_id", 1, "attention_dropout", 0.0, "use_cache", true);
        TinyCheckpoint.of(config, 9).write(directory);
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(ModelFamilies.reading(checkpoint).warnings())
                    .singleElement()
                    .asString()
                    .contains("keys that llama is not known to read: attention_sparkle;");
        }
    }
}
