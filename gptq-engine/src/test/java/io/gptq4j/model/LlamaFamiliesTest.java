package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every variant of every family that is built like Llama against the plain restatement of its definition. */
class LlamaFamiliesTest extends FamilyTest {
    static List<Arguments> variants() {
        return LlamaVariants.all();
    }

    private static Architecture read(String family, Object... changes) throws CheckpointException {
        return ModelFamilies.architecture(ModelConfig.of(LlamaVariants.config(family, changes), "config.json"));
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("variants")
    void computesWhatTheDefinitionSays(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        double[][] expected = new PlainLlamas(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.FLOAT32, expected, 1e-4);
    }

    @ParameterizedTest(name = "{0} in bfloat16, seed 1")
    @MethodSource("variants")
    void computesInHalfPrecision(String name, Map<String, Object> config) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 1);
        // norms that store their weights less one multiply by about 2 here, where the others multiply by about 1
        double tolerance = name.startsWith("gemma") || name.startsWith("nemotron") ? 0.75 : 0.25;
        double[][] expected = new PlainLlamas(config, tiny.tensors()).logits(IDS);
        assertComputes(tiny.write(directory), FloatType.BFLOAT16, expected, tolerance);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "qwen2", "qwen3", "mistral", "ministral", "phi3", "phi", "starcoder2", "stablelm",
                "olmo", "olmo2", "olmo3", "granite", "cohere", "cohere2", "smollm3", "glm",
                "glm4", "exaone4", "seed_oss", "nemotron", "helium", "arcee", "hunyuan_v1_dense", "ernie4_5",
                "baichuan", "internlm", "internlm2", "gemma", "minicpm", "deci"
            })
    void refusesByNameWhatAFamilyDoesNotObey(String family) {
        assertRefused("hidden_act", family, "hidden_act", "softsign");
        assertRefused("spiral", family, "rope_scaling", Map.of("type", "spiral", "factor", 2.0));
        assertRefused("norm_type", family, "norm_type", "power_norm");
        assertRefused("num_experts", family, "num_experts", 8);
        assertRefused("attn_scale", family, "attn_scale", 0.5);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gemma2", "gemma3_text"})
    void refusesByNameWhatTheLaterGemmasDoNotObey(String family) {
        assertRefused("hidden_activation", family, "hidden_activation", "softsign");
        assertRefused("spiral", family, "rope_scaling", Map.of("type", "spiral", "factor", 2.0));
        assertRefused("norm_type", family, "norm_type", "power_norm");
        assertRefused("use_bidirectional_attention", family, "use_bidirectional_attention", true);
        assertRefused("chunked_attention", family, "layer_types", List.of("chunked_attention", "full_attention", "x"));
        assertRefused("layer_types", family, "layer_types", List.of("full_attention"));
    }

    private static void assertRefused(String message, String family, Object... changes) {
        assertThatThrownBy(() -> read(family, changes))
                .as("%s with %s", family, List.of(changes))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("config.json: ")
                .hasMessageContaining(message);
    }

    @Test
    void refusesScalingsThatItCannotCompute() {
        assertRefused("alpha", "llama", "rope_scaling", Map.of("type", "dynamic", "factor", 2.0, "alpha", 9.0));
        assertRefused("rotary type", "internlm", "rotary", Map.of("type", "spiral"));
        assertRefused("factor", "llama", "rope_scaling", Map.of("type", "linear"));
        assertRefused("factor -1.0", "llama", "rope_scaling", Map.of("type", "linear", "factor", -1.0));
        assertRefused(
                "long_factor",
                "phi3",
                "rope_scaling",
                Map.of("type", "su", "factor", 2.0, "short_factor", List.of(1, 1, 1, 1), "long_factor", List.of(1)));
        assertRefused(
                "differ by layer type",
                "qwen3",
                "rope_parameters",
                Map.of("full_attention", Map.of("rope_theta", 5.0, "rope_type", "default")));
    }

    @ParameterizedTest(name = "{0}: {2} positions, {1}")
    @CsvSource({
        "default, 3.0, 64",
        "linear,  3.0, 192",
        "dynamic, 3.0, 192",
        "yarn,    8.0, 256",
        "yarn,    2.0, 64",
    })
    void takesWindowsAsLongAsTheScalingReaches(String type, double factor, int positions) throws Exception {
        Map<String, Object> rope = Map.of("type", type, "factor", factor, "original_max_position_embeddings", 32);
        assertThat(read("llama", "rope_scaling", rope).maxPositions()).isEqualTo(positions);
    }

    @Test
    void endsWindowsWhereQueriesBeginToGrow() throws Exception {
        Map<String, Object> rope = Map.of(
                "type", "yarn", "factor", 4.0, "original_max_position_embeddings", 16, "llama_4_scaling_beta", 0.1);
        assertThat(read("ministral3", "rope_parameters", rope).maxPositions()).isEqualTo(16);
    }

    @Test
    void refusesOfMiniCpmWhatItDoesNotCompute() {
        assertRefused("num_experts = 8", "minicpm", "num_experts", 8);
        assertRefused("sparse_config", "minicpm", "sparse_config", Map.of("dense_len", -1));
        assertRefused("sparse_config", "minicpm", "sparse_config", Map.of("topk", 64));
        Map<String, Object> factors = Map.of(
                "type",
                "longrope",
                "short_factor",
                List.of(1, 1, 1, 1),
                "long_factor",
                List.of(2, 2, 2, 2),
                "original_max_position_embeddings",
                32);
        assertRefused("original_max_position_embeddings", "minicpm", "rope_scaling", factors);
    }

    @Test
    void endsWindowsOfMiniCpmBeforeItsAttentionIsSparse() throws Exception {
        assertThat(read("minicpm", "sparse_config", Map.of("dense_len", 32)).maxPositions())
                .isEqualTo(31);
        assertThat(read("minicpm", "sparse_config", Map.of("dense_len", 8192)).maxPositions())
                .isEqualTo(64);
    }

    @Test
    void refusesOfDeciNumbersOfKeyHeadsThatDoNotFit() {
        String key = "num_key_value_heads_per_layer";
        for (Object wrong :
                List.of("absent", 4, List.of(4, 4), List.of(4, 4, 3), List.of(4, 4, 0), List.of(4, 4, "4"))) {
            assertRefused(key, "deci", key, wrong);
        }
        assertRefused("block_configs", "deci", "block_configs", List.of(Map.of()));
    }

    /** The defaults of the models' own configuration classes, for keys that a config.json leaves out. */
    @Test
    void takesTheFamilysOwnDefaults() throws Exception {
        Object[] bare = {
            "num_key_value_heads", "absent", "head_dim", "absent", "num_attention_heads", 32, "hidden_size", 512
        };
        assertThat(read("gemma", bare).block(0).attention().headDim()).isEqualTo(256);
        assertThat(read("qwen3", bare).block(0).attention().headDim()).isEqualTo(128);
        assertThat(kvHeads(read("mistral", bare))).isEqualTo(8);
        assertThat(kvHeads(read("mistral", "num_key_value_heads", "null"))).isEqualTo(4);
        assertThat(kvHeads(read("starcoder2", bare))).isEqualTo(2);
        assertThat(((Attention.MultiHead) read("mistral").block(0).attention()).window())
                .isEqualTo(4096);
        assertThat(((Attention.MultiHead) read("gemma2").block(1).attention()).softcap())
                .isEqualTo(50);
        assertThat(List.of("gemma", "gemma2", "gemma3_text", "cohere", "cohere2", "starcoder2", "smollm3", "ernie4_5"))
                .allMatch(LlamaFamiliesTest::isTied);
        assertThat(List.of("llama", "qwen2", "qwen3", "mistral", "phi3", "phi", "stablelm", "olmo2", "granite", "glm"))
                .noneMatch(LlamaFamiliesTest::isTied);
        assertThat(isTied("minicpm")).isTrue();
        assertThat(isTied("deci")).isFalse();
    }

    private static int kvHeads(Architecture architecture) {
        return ((Attention.MultiHead) architecture.block(0).attention()).kvHeads();
    }

    private static boolean isTied(String family) {
        try {
            return read(family).head().tied();
        } catch (CheckpointException e) {
            throw new IllegalStateException(e);
        }
    }
}
