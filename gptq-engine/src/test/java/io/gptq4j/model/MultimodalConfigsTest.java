package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** config.json files of multimodal models as they are published, most keys of the text model left out. */
class MultimodalConfigsTest {
    private static Architecture read(Map<String, Object> values) throws CheckpointException {
        return ModelFamilies.architecture(ModelConfig.of(values, "config.json"));
    }

    private static Map<String, Object> with(String type, Map<String, Object> text) {
        return Map.of("model_type", type, "text_config", text, "vision_config", Map.of("hidden_size", 1024));
    }

    @Test
    void takesWhatLlava15LeavesOutFromLlama() throws Exception {
        Architecture llava = read(with(
                "llava",
                Map.of(
                        "model_type",
                        "llama",
                        "max_position_embeddings",
                        4096,
                        "rms_norm_eps",
                        1e-5,
                        "vocab_size",
                        32064)));
        assertThat(llava.family()).isEqualTo("llava");
        assertThat(llava.layers()).isEqualTo(32);
        assertThat(llava.maxPositions()).isEqualTo(4096);
        assertThat(llava.tensors())
                .containsEntry("language_model.model.embed_tokens.weight", List.of(32064L, 4096L))
                .containsEntry("language_model.model.layers.31.mlp.down_proj.weight", List.of(4096L, 11008L))
                .containsEntry("language_model.lm_head.weight", List.of(32064L, 4096L));
    }

    @Test
    void takesWhatLlavaNextLeavesOutFromMistral() throws Exception {
        Map<String, Object> text = new LinkedHashMap<>(Map.of(
                "model_type", "mistral",
                "intermediate_size", 14336,
                "max_position_embeddings", 32768,
                "num_key_value_heads", 8,
                "rope_theta", 1000000.0,
                "vocab_size", 32064));
        assertThat(((Attention.MultiHead)
                                read(with("llava_next", text)).block(0).attention())
                        .window())
                .isEqualTo(4096);
    }

    @Test
    void takesWhatGemma3LeavesOutFromItsTextModel() throws Exception {
        Architecture gemma = read(with(
                "gemma3",
                Map.of(
                        "hidden_size", 2560,
                        "intermediate_size", 10240,
                        "num_hidden_layers", 34,
                        "rope_scaling", Map.of("factor", 8.0, "rope_type", "linear"),
                        "sliding_window", 1024)));
        assertThat(gemma.vocabSize()).isEqualTo(262208);
        assertThat(gemma.head().tied()).isTrue();
        assertThat(gemma.tensors())
                .containsEntry("language_model.model.layers.33.self_attn.q_proj.weight", List.of(2048L, 2560L))
                .containsEntry("language_model.model.layers.0.self_attn.k_proj.weight", List.of(1024L, 2560L));
    }

    @Test
    void takesWhatLlavaNextLeavesOutFromMixtralAndGranite() throws Exception {
        Attention.MultiHead mixtral = (Attention.MultiHead) read(with("llava_next", Map.of("model_type", "mixtral")))
                .block(0)
                .attention();
        assertThat(mixtral.kvHeads()).isEqualTo(8);
        assertThat(((Position.Rotary) mixtral.position()).theta()).isEqualTo(1e6);
        Architecture granite =
                read(with("llava_next", Map.of("model_type", "granite", "hidden_size", 2048, "num_hidden_layers", 40)));
        assertThat(granite.tensors())
                .containsEntry("language_model.model.layers.39.mlp.down_proj.weight", List.of(2048L, 11008L));
    }

    @Test
    void looksOnlyBackInTextThatFollowsAPromptOfPaligemma() throws Exception {
        Map<String, Object> text = Map.of("model_type", "gemma", "use_bidirectional_attention", true);
        assertThat(read(with("paligemma", text))).isEqualTo(read(with("paligemma", Map.of("model_type", "gemma"))));
        assertThatThrownBy(() -> read(with("llava", text))).hasMessageContaining("use_bidirectional_attention");
    }

    @ParameterizedTest(name = "{0}, text {1}, whole {2}, head stored {3}: tied {4}")
    @CsvSource({
        "gemma, , false, false, true", // as transformers 4 saves it
        "gemma, true, false, true, false", // as 5 does
        "mistral, false, true, false, true",
        "mistral, , , true, false",
        "mistral, false, false, false, false", // a shard is missing
        "gemma, , , true, true",
        "qwen2, , true, false, true",
    })
    void believesInATiedHeadWhatTheCheckpointHas(
            String type, @Nullable Boolean text, @Nullable Boolean whole, boolean stored, boolean tied)
            throws Exception {
        Map<String, Object> values =
                new LinkedHashMap<>(with("llava", new LinkedHashMap<>(Map.of("model_type", type))));
        if (whole != null) {
            values.put("tie_word_embeddings", whole);
        }
        if (text != null) {
            values.put("text_config", Map.of("model_type", type, "tie_word_embeddings", text));
        }
        Set<String> tensors = new HashSet<>(Set.of("language_model.model.layers.0.input_layernorm.weight"));
        if (stored) {
            tensors.add("language_model.lm_head.weight");
        }
        ModelFamily llava = ModelFamilies.ALL.stream()
                .filter(family -> family.name().equals("llava"))
                .findFirst()
                .orElseThrow();
        Architecture architecture = llava.reader()
                .read(ModelConfig.of(values, "config.json"), tensors)
                .architecture();
        assertThat(architecture.head().tied()).isEqualTo(tied);
    }

    @Test
    void readsQwen2VlWithItsKeysBesideTheOthers() throws Exception {
        Map<String, Object> values = new LinkedHashMap<>(Map.of(
                "model_type", "qwen2_vl",
                "hidden_size", 1536,
                "intermediate_size", 8960,
                "num_attention_heads", 12,
                "num_hidden_layers", 28,
                "num_key_value_heads", 2,
                "tie_word_embeddings", true,
                "vocab_size", 151936));
        values.put("rope_scaling", Map.of("type", "mrope", "mrope_section", List.of(16, 24, 24)));
        Architecture qwen = read(values);
        Position.Rotary rotary = (Position.Rotary) qwen.block(0).attention().position();
        assertThat(rotary.theta()).isEqualTo(1e6);
        assertThat(rotary.scaling()).isEqualTo(new RopeScaling.None());
        assertThat(qwen.block(0).norms().attentionIn().orElseThrow().eps()).isEqualTo(1e-5);
        assertThat(qwen.head().tied()).isTrue();
        assertThat(qwen.path()).isEqualTo("model.layers");
        assertThat(qwen.head().name()).isEqualTo("lm_head");
    }

    @Test
    void takesPositionsInSectionsForOrdinaryOnes() throws Exception {
        Map<String, Object> text = new LinkedHashMap<>(Map.of("model_type", "qwen3_vl_text"));
        text.put(
                "rope_scaling",
                Map.of("rope_type", "default", "mrope_interleaved", true, "mrope_section", List.of(24, 20, 20)));
        Position.Rotary four = (Position.Rotary)
                read(with("qwen3_vl", text)).block(0).attention().position();
        assertThat(four).isEqualTo(new Position.Rotary(128, 5e6, false, new RopeScaling.None()));
        text.remove("rope_scaling");
        text.put(
                "rope_parameters",
                Map.of("rope_type", "default", "rope_theta", 7e6, "mrope_section", List.of(24, 20, 20)));
        Position.Rotary five = (Position.Rotary)
                read(with("qwen3_vl", text)).block(0).attention().position();
        assertThat(five).isEqualTo(new Position.Rotary(128, 7e6, false, new RopeScaling.None()));
    }

    @Test
    void skipsTheLayersOfMllamaThatLookAtImages() throws Exception {
        Architecture mllama = read(with("mllama", Map.of("model_type", "mllama_text_model")));
        assertThat(mllama.layers()).isEqualTo(32);
        assertThat(mllama.numbers()).startsWith(0, 1, 2, 4).endsWith(36, 37, 39).doesNotContain(3, 8, 38);
        assertThat(mllama.inBlock(3, "mlp.up_proj")).isEqualTo("language_model.model.layers.4.mlp.up_proj");
        assertThat(mllama.tensors())
                .containsEntry("language_model.model.embed_tokens.weight", List.of(128264L, 4096L))
                .containsEntry("language_model.lm_head.weight", List.of(128256L, 4096L));
    }

    @Test
    void refusesSectionsOfPositionsInAModelOfTextAlone() {
        Map<String, Object> values = Map.of(
                "model_type", "qwen2",
                "hidden_size", 64,
                "intermediate_size", 96,
                "num_attention_heads", 4,
                "num_key_value_heads", 2,
                "num_hidden_layers", 1,
                "vocab_size", 64,
                "rope_scaling", Map.of("type", "mrope", "mrope_section", List.of(2, 3, 3)));
        assertThatThrownBy(() -> read(values))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("mrope");
    }

    @Test
    void refusesWhatHasNoTextModel() {
        assertThatThrownBy(() -> read(Map.of("model_type", "llava", "hidden_size", 64)))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("config.json: key 'text_config' is missing, expected the keys of the text model of"
                        + " model_type \"llava\"");
        assertThatThrownBy(() -> read(with("llava", Map.of("model_type", "mamba", "vocab_size", 7))))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("model_type \"mamba\" is not supported");
        assertThatThrownBy(() -> read(with("llava", Map.of("model_type", "llama", "clip_qkv", 8.0))))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("clip_qkv");
    }
}
