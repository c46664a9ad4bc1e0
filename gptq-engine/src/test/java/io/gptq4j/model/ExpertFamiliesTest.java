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
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Mixtures of experts against the plain restatement of their definitions. */
class ExpertFamiliesTest extends FamilyTest {
    static Map<String, Object> config(String type, Object... changes) {
        Map<String, Object> config = new LinkedHashMap<>(Map.of(
                "model_type", type,
                "hidden_size", 32,
                "intermediate_size", 48,
                "num_hidden_layers", 2,
                "num_attention_heads", 4,
                "num_key_value_heads", 2,
                "vocab_size", 64,
                "max_position_embeddings", 64,
                "num_experts_per_tok", 2));
        if (type.startsWith("deepseek") || type.equals("glm4_moe")) {
            config.putAll(Map.of("n_routed_experts", 6, "n_shared_experts", 2, "moe_intermediate_size", 24));
            config.putAll(Map.of("first_k_dense_replace", 1));
        }
        if (type.startsWith("deepseek")) {
            config.put("num_key_value_heads", 4);
            config.put("q_lora_rank", null);
            config.putAll(Map.of("kv_lora_rank", 20, "qk_nope_head_dim", 6, "qk_rope_head_dim", 4, "v_head_dim", 10));
            config.putAll(Map.of("n_group", 1, "topk_group", 1));
        }
        if (type.equals("mixtral")) {
            config.put("num_local_experts", 4);
            config.put("rope_theta", 10000.0);
        } else if (type.startsWith("granitemoe")) {
            config.put("num_local_experts", 6);
        } else if (type.equals("olmoe")) {
            config.put("num_experts", 20);
        } else if (type.startsWith("qwen")) {
            config.put("num_experts", 6);
            config.put("moe_intermediate_size", 24);
        }
        if (type.equals("granitemoehybrid")) {
            config.put("layer_types", List.of("attention", "attention"));
            config.put("shared_intermediate_size", 40);
        }
        if (type.equals("qwen2_moe")) {
            config.put("shared_expert_intermediate_size", 40);
        }
        return TinyCheckpoint.changed(config, changes);
    }

    static Stream<Arguments> variants() {
        return Stream.of(
                Arguments.of("mixtral", config("mixtral")),
                Arguments.of("mixtral, one expert per token", config("mixtral", "num_experts_per_tok", 1)),
                Arguments.of("mixtral, sliding window", config("mixtral", "sliding_window", 5)),
                Arguments.of("granitemoe", config("granitemoe")),
                Arguments.of(
                        "granitemoe, multipliers, biases, tied",
                        LlamaVariants.multiplied(config(
                                "granitemoe",
                                "attention_bias",
                                true,
                                "num_experts_per_tok",
                                4,
                                "tie_word_embeddings",
                                true))),
                Arguments.of("granitemoeshared, without", config("granitemoeshared")),
                Arguments.of(
                        "granitemoeshared, multipliers",
                        LlamaVariants.multiplied(config("granitemoeshared", "shared_intermediate_size", 40))),
                Arguments.of("granitemoehybrid, no positions", config("granitemoehybrid", "rope_theta", 7.0)),
                Arguments.of(
                        "granitemoehybrid, no experts, rotated, multipliers, biases, tied",
                        LlamaVariants.multiplied(config(
                                "granitemoehybrid",
                                "num_local_experts",
                                0,
                                "position_embedding_type",
                                "rope",
                                "layer_types",
                                List.of("full_attention", "attention"),
                                "attention_bias",
                                true,
                                "tie_word_embeddings",
                                true))),
                Arguments.of("qwen2_moe", config("qwen2_moe")),
                Arguments.of("qwen2_moe, normalized", config("qwen2_moe", "norm_topk_prob", true)),
                Arguments.of("qwen2_moe, without biases", config("qwen2_moe", "qkv_bias", false)),
                Arguments.of("qwen2_moe, every second block", config("qwen2_moe", "decoder_sparse_step", 2)),
                Arguments.of("qwen3_moe", config("qwen3_moe", "norm_topk_prob", true, "head_dim", 16)),
                Arguments.of("qwen3_moe, biases", config("qwen3_moe", "attention_bias", true)),
                Arguments.of(
                        "qwen3_moe, sliding window",
                        config("qwen3_moe", "use_sliding_window", true, "sliding_window", 5, "max_window_layers", 1)),
                Arguments.of("olmoe", config("olmoe")),
                Arguments.of(
                        "olmoe, normalized, biases, tied",
                        config(
                                "olmoe",
                                "norm_topk_prob",
                                true,
                                "attention_bias",
                                true,
                                "tie_word_embeddings",
                                true,
                                "rms_norm_eps",
                                0.01)),
                Arguments.of("deepseek_v2", config("deepseek_v2")),
                Arguments.of("deepseek_v2, latent queries", config("deepseek_v2", "q_lora_rank", 12)),
                Arguments.of(
                        "deepseek_v2, groups",
                        config("deepseek_v2", "topk_method", "group_limited_greedy", "n_group", 3, "topk_group", 2)),
                Arguments.of("deepseek_v2, factor", config("deepseek_v2", "routed_scaling_factor", 16.0)),
                Arguments.of("deepseek_v3", config("deepseek_v3", "n_group", 2, "topk_group", 1)),
                Arguments.of("deepseek_v3, one group", config("deepseek_v3", "norm_topk_prob", false)),
                Arguments.of(
                        "deepseek_v3, latent queries, halves rotated, biases",
                        config("deepseek_v3", "q_lora_rank", 12, "rope_interleave", false, "attention_bias", true)),
                Arguments.of("glm4_moe", config("glm4_moe")),
                Arguments.of(
                        "glm4_moe, norms, biases", config("glm4_moe", "use_qk_norm", true, "attention_bias", true)),
                Arguments.of(
                        "qwen3_moe, a dense block, tied",
                        config("qwen3_moe", "mlp_only_layers", List.of(0), "tie_word_embeddings", true)));
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("variants")
    void computesWhatTheDefinitionSays(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        boolean deepseek = config.containsKey("n_routed_experts");
        PlainParts plain =
                deepseek ? new PlainDeepseek(config, tiny.tensors()) : new PlainExperts(config, tiny.tensors());
        double[][] expected = plain.logits(IDS);
        assertComputes(tiny.write(directory), FloatType.FLOAT32, expected, 1e-4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"deepseek_v3", "glm4_moe"})
    void choosesFromOpenGroupsEvenWhatIsWorseThanNothing(String type) throws Exception {
        Map<String, Object> config = config(type, "n_group", 2, "topk_group", 1, "num_experts_per_tok", 3);
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        float[] correction =
                Objects.requireNonNull(tiny.tensors().get("model.layers.1.mlp.gate.e_score_correction_bias"));
        for (int e = 0; e < correction.length; e++) {
            correction[e] -= 2; // all scores for the choice are negative
        }
        double[][] expected = new PlainDeepseek(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.FLOAT32, expected, 1e-4);
    }

    @ParameterizedTest(name = "{0} without {1}, which is then {2}")
    @CsvSource({
        "mixtral, num_key_value_heads, 8",
        "mixtral, rope_theta, 1000000",
        "granitemoe, num_local_experts, 8",
        "granitemoe, num_experts_per_tok, 2",
        "granitemoeshared, num_local_experts, 8",
        "granitemoeshared, num_experts_per_tok, 2",
        "granitemoehybrid, num_local_experts, 8",
        "granitemoehybrid, num_experts_per_tok, 2",
        "granitemoehybrid, shared_intermediate_size, 1024",
        "qwen2_moe, num_key_value_heads, 16",
        "qwen3_moe, num_key_value_heads, 4",
        "olmoe, num_experts, 64",
        "olmoe, num_experts_per_tok, 8",
        "glm4_moe, num_key_value_heads, 8",
        "deepseek_v2, n_shared_experts, 2",
        "deepseek_v3, n_shared_experts, 1",
    })
    void assumesWhatTransformersDoesWhereKeysAreMissing(String type, String key, int value) throws Exception {
        Map<String, Object> config = config(type, "hidden_size", 128, "num_attention_heads", 32, key, value);
        Architecture said = ModelFamilies.architecture(ModelConfig.of(config, "config.json"));
        config.remove(key);
        assertThat(ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .isEqualTo(said);
        config.put(key, 2 * value);
        assertThat(ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .isNotEqualTo(said);
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource({
        "mixtral, hidden_act, tanh",
        "mixtral, num_experts_per_tok, 5",
        "mixtral, num_local_experts, 20000",
        "granitemoe, hidden_act, tanh",
        "granitemoe, num_experts_per_tok, 7",
        "granitemoe, mlp_bias, true",
        "granitemoe, sliding_window, 5",
        "granitemoe, position_embedding_type, nope",
        "granitemoeshared, mlp_bias, true",
        "granitemoeshared, position_embedding_type, nope",
        "granitemoeshared, shared_intermediate_size, -1",
        "granitemoehybrid, layer_types, x",
        "granitemoehybrid, normalization_function, layernorm",
        "granitemoehybrid, num_local_experts, -1",
        "granitemoehybrid, position_embedding_type, alibi",
        "granitemoehybrid, sliding_window, 5",
        "qwen2_moe, use_sliding_window, true",
        "qwen2_moe, mlp_only_layers, x",
        "qwen3_moe, n_group, 2",
        "qwen3_moe, scoring_func, sigmoid",
        "olmoe, clip_qkv, 8",
        "olmoe, hidden_act, tanh",
        "olmoe, num_experts_per_tok, 21",
        "olmoe, sliding_window, 5",
        "olmoe, shared_expert_intermediate_size, 64",
        "deepseek_v2, scoring_func, sigmoid",
        "deepseek_v2, topk_method, noaux_tc",
        "deepseek_v2, norm_topk_prob, true",
        "deepseek_v3, n_group, 4",
        "deepseek_v3, topk_method, greedy",
        "glm4_moe, sliding_window, 5",
    })
    void refusesWhatItCannotObeyByName(String type, String key, String value) {
        Object typed = value.matches("\\d+") ? Integer.valueOf(value) : value.equals("true") ? (Object) true : value;
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(config(type, key, typed), "config.json")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining(key);
    }

    @ParameterizedTest
    @ValueSource(strings = {"mamba", "linear_attention"})
    void refusesBlocksOfGraniteThatAreNotAttention(String other) {
        Map<String, Object> config = config("granitemoehybrid", "layer_types", List.of("attention", other));
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .hasMessageContaining("layer_types has \"" + other + "\"");
        config.remove("layer_types");
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(config, "config.json")))
                .hasMessageContaining("layer_types is missing");
    }

    @Test
    void groupsModulesByWhatTheyRead() throws Exception {
        Architecture architecture = ModelFamilies.architecture(ModelConfig.of(config("qwen2_moe"), "config.json"));
        List<ModuleGroup> groups = architecture.block(0).moduleGroups();
        assertThat(groups).hasSize(2 + 2 * (1 + 6));
        assertThat(groups.get(2).modules())
                .extracting(Architecture.Linear::name)
                .containsExactly("mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj");
        assertThat(groups.get(2).expert()).isEmpty();
        assertThat(groups.get(8).modules())
                .extracting(Architecture.Linear::name)
                .containsExactly("mlp.experts.5.gate_proj", "mlp.experts.5.up_proj");
        assertThat(groups.get(8).expert()).hasValue(5);
        assertThat(groups.get(15).modules())
                .extracting(Architecture.Linear::name)
                .containsExactly("mlp.experts.5.down_proj");
        assertThat(architecture.block(0).floatModules())
                .extracting(Architecture.Linear::name)
                .containsExactly("mlp.gate", "mlp.shared_expert_gate");
    }
}
