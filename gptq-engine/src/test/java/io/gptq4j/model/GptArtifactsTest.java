package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.TinyModels;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** GPT-like models quantized, written, read back and computed again. */
class GptArtifactsTest extends FamilyTest {
    private static List<List<String>> groups(String... names) {
        return Stream.of(names).map(group -> List.of(group.split(" "))).toList();
    }

    /** The groups are those that servers and AutoGPTQ know by these names. */
    static Stream<Arguments> models() {
        List<List<String>> gpt2 = groups("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj");
        List<List<String>> fused = groups(
                "self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h");
        return Stream.of(
                Arguments.of(GptConfigs.gpt2(), "transformer.h", gpt2),
                Arguments.of(GptConfigs.gpt2("tie_word_embeddings", false), "transformer.h", gpt2),
                Arguments.of(GptConfigs.bigcode("n_embd", 64), "transformer.h", gpt2),
                Arguments.of(GptConfigs.bigcode("multi_query", false), "transformer.h", gpt2),
                Arguments.of(
                        GptConfigs.gptj(),
                        "transformer.h",
                        groups("attn.q_proj attn.k_proj attn.v_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out")),
                Arguments.of(
                        GptConfigs.codegen(),
                        "transformer.h",
                        groups("attn.qkv_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out")),
                Arguments.of(
                        GptConfigs.neo(),
                        "transformer.h",
                        groups(
                                "attn.attention.q_proj attn.attention.k_proj attn.attention.v_proj",
                                "attn.attention.out_proj",
                                "mlp.c_fc",
                                "mlp.c_proj")),
                Arguments.of(
                        GptConfigs.neox(),
                        "gpt_neox.layers",
                        groups(
                                "attention.query_key_value",
                                "attention.dense",
                                "mlp.dense_h_to_4h",
                                "mlp.dense_4h_to_h")),
                Arguments.of(GptConfigs.falcon("multi_query", false), "transformer.h", fused),
                Arguments.of(
                        GptConfigs.falcon("new_decoder_architecture", true, "num_kv_heads", 2), "transformer.h", fused),
                Arguments.of(
                        GptConfigs.mpt("no_bias", false),
                        "transformer.blocks",
                        groups("attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj")),
                Arguments.of(
                        GptConfigs.nemotron(),
                        "model.layers",
                        groups(
                                "self_attn.q_proj self_attn.k_proj self_attn.v_proj",
                                "self_attn.o_proj",
                                "mlp.up_proj",
                                "mlp.down_proj")),
                Arguments.of(GptConfigs.chatglm(), "transformer.encoder.layers", fused));
    }

    @ParameterizedTest(name = "{0}, seed 3")
    @MethodSource("models")
    void artifactsHoldTheFamilysModulesAndComputeWhatTheyHold(
            Map<String, Object> config, String path, List<List<String>> groups) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(config, 3);
        tiny.tensors().values().forEach(GptArtifactsTest::roundToHalves);
        Path artifact = quantize(tiny.write(directory.resolve("float")));
        Map<String, float[]> expected = new LinkedHashMap<>(tiny.tensors());
        try (Checkpoint checkpoint = Checkpoint.open(artifact)) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);
            assertThat(reader.config().modulesInBlockToQuantize()).isEqualTo(groups);
            assertThat(reader.modules())
                    .containsExactlyInAnyOrderElementsOf(IntStream.range(
                                    0, tiny.architecture().layers())
                            .boxed()
                            .flatMap(layer ->
                                    groups.stream().flatMap(List::stream).map(name -> path + "." + layer + "." + name))
                            .toList());
            assertThat(tiny.tensors().keySet())
                    .allSatisfy(name -> assertThat(checkpoint.tensors().tensors())
                            .containsKey(
                                    name.endsWith(".weight")
                                                    && reader.modules().contains(name.substring(0, name.length() - 7))
                                            ? name.substring(0, name.length() - 7) + ".qweight"
                                            : name));
            for (String module : reader.modules()) {
                boolean conv1d = "gpt2".equals(config.get("model_type"));
                expected.put(module + ".weight", dequantized(reader.read(module), conv1d));
            }
        }
        assertComputes(artifact, FloatType.FLOAT32, new PlainGpts(config, expected).logits(IDS), 1e-4);
    }

    private static Path quantize(Path model) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            return TinyModels.artifact(
                    checkpoint,
                    language,
                    TinyModels.options(4, 32, true, true, true, 128),
                    model.resolveSibling("artifact"));
        }
    }

    @Test
    void leavesOutTheMasksThatOldCheckpointsStore() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(GptConfigs.gpt2(), 4);
        int weights = tiny.tensors().size();
        tiny.tensors().put("transformer.h.0.attn.bias", new float[64 * 64]);
        tiny.tensors().put("transformer.h.1.attn.masked_bias", new float[1]);
        tiny.tensors().put("transformer.h.1.attn.causal_mask", new float[64]);
        tiny.tensors().put("transformer.h.1.attn.attention.bias", new float[64]);
        tiny.write(directory, name -> name.substring("transformer.".length()));
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(4, 32, true, true, true, 128));
            assertThat(ArtifactPlans.of(checkpoint, language.weights(), plan, "test:1", 1 << 20)
                            .carried())
                    .hasSize(weights - 8)
                    .containsEntry("transformer.h.0.attn.c_attn.bias", "h.0.attn.c_attn.bias");
        }
    }

    /** To what float16 can express, so that the artifact's copies are exact. */
    private static void roundToHalves(float[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.max(-2, Math.min(2, Math.round(values[i] * 512) / 512f));
        }
    }

    /** scale * (code - zero), row-major as the checkpoint stores it: [out, in], or [in, out]. */
    private static float[] dequantized(QuantizedLinear linear, boolean transposed) {
        int in = linear.inFeatures();
        int out = linear.outFeatures();
        float[] weight = new float[out * in];
        for (int o = 0; o < out; o++) {
            for (int i = 0; i < in; i++) {
                int group = linear.gIdx()[i];
                int code = Byte.toUnsignedInt(linear.codes()[o][i]) - Byte.toUnsignedInt(linear.zeros()[group][o]);
                weight[transposed ? i * out + o : o * in + i] = Half.toFloat(linear.scales()[group][o]) * code;
            }
        }
        return weight;
    }
}
