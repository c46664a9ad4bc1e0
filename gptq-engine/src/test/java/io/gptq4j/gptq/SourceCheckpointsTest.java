package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.model.families.FamilyExamples;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.rotation.RotatedCheckpoint;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints whose weights lie on the disk otherwise than the model takes them, against plain ones of the same weights. */
class SourceCheckpointsTest {
    private static final int[] IDS = {5, 1, 60, 33, 2, 2, 47, 18, 9, 40, 63, 0, 12};

    private static Torch torch;

    @TempDir
    private Path directory;

    @BeforeAll
    static void open() {
        torch = Torch.open("cpu");
    }

    @AfterAll
    static void close() {
        torch.close();
    }

    static Map<String, Object> example(String family) {
        return new LinkedHashMap<>(
                Objects.requireNonNull(FamilyExamples.all().get(family)).values());
    }

    private static float[] logits(Checkpoint checkpoint) throws Exception {
        try (LanguageModel model =
                LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), FloatType.FLOAT32)) {
            List<float[]> parts = new ArrayList<>();
            new Evaluator(model, (done, blocks) -> {}).score(IDS, parts::add);
            return parts.get(0);
        }
    }

    private static float[] logits(Path model) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            return logits(checkpoint);
        }
    }

    private Path quantize(Path model, String name) throws Exception {
        Path out = directory.resolve(name);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = LanguageModel.open(
                        torch, checkpoint, ModelFamilies.architecture(checkpoint), FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(4, 32, true, true, true, 128));
            ArtifactWriter.Plan files = ArtifactPlans.of(checkpoint, language.weights(), plan, "gptq4j:test", 1L << 30);
            try (ArtifactWriter writer = ArtifactWriter.create(out, files)) {
                GptqQuantizer.builder(language, plan)
                        .build()
                        .run(TinyModels.windows(5), writer::write, QuantizationListener.SILENT);
                return writer.commit();
            }
        }
    }

    private static ByteBuffer bytes(Checkpoint checkpoint, String name) throws Exception {
        TensorInfo info = checkpoint.tensors().tensor(name);
        ByteBuffer bytes = ByteBuffer.allocate((int) info.byteLength()).order(ByteOrder.LITTLE_ENDIAN);
        checkpoint.tensors().read(name, 0, bytes);
        return bytes.flip();
    }

    /** DeepSeek-V3 as it is published: weights of blocks in 8 bits, an extra block for prediction ahead. */
    private Path eightBits(TinyCheckpoint tiny) throws Exception {
        tiny.tensors().put("model.layers.2.eh_proj.weight", new float[40 * 24]);
        tiny.tensors().put("model.layers.2.enorm.weight", new float[] {1, 2, 65536});
        for (int i = 0; i < 40 * 24; i++) {
            tiny.tensors().get("model.layers.2.eh_proj.weight")[i] = (float) Math.sin(i);
        }
        Map<String, List<Long>> shapes = new LinkedHashMap<>(tiny.architecture().tensors());
        shapes.put("model.layers.2.eh_proj.weight", List.of(40L, 24L));
        RawCheckpoint raw = new RawCheckpoint(tiny.config().values());
        raw.config.put(
                "quantization_config",
                Map.of(
                        "quant_method", "fp8",
                        "fmt", "e4m3",
                        "weight_block_size", List.of(16, 24),
                        "activation_scheme", "dynamic"));
        for (Map.Entry<String, float[]> tensor : tiny.tensors().entrySet()) {
            List<Long> shape = shapes.getOrDefault(tensor.getKey(), List.of((long) tensor.getValue().length));
            if (tensor.getKey().contains("proj") && shape.size() == 2) {
                raw.eightBits(tensor.getKey(), tensor.getValue(), shape, 16, 24);
            } else {
                raw.floats(tensor.getKey(), tensor.getValue(), shape);
            }
        }
        return raw.write(directory.resolve("eight"));
    }

    @Test
    void weightsOf8BitsAreThoseTheyStandFor() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example("deepseek_v3"), 21);
        Path eight = eightBits(tiny); // rounds the weights in tiny, too
        Path plain = tiny.write(directory.resolve("plain"));
        assertThat(logits(eight)).containsExactly(logits(plain));

        Path ours = quantize(eight, "of-eight");
        Path theirs = quantize(plain, "of-plain");
        assertThat(Files.readString(ours.resolve("config.json")))
                .isEqualTo(Files.readString(theirs.resolve("config.json")))
                .contains("\"quant_method\": \"gptq\"")
                .doesNotContain("fp8");
        try (Checkpoint a = Checkpoint.open(ours);
                Checkpoint b = Checkpoint.open(theirs)) {
            assertThat(a.tensors().tensors().keySet())
                    .isEqualTo(b.tensors().tensors().keySet())
                    .noneMatch(name -> name.contains("_scale"));
            for (String name : a.tensors().tensors().keySet()) {
                if (!name.equals("model.layers.2.eh_proj.weight")) {
                    assertThat(bytes(a, name)).as(name).isEqualTo(bytes(b, name));
                }
            }
            assertThat(a.tensors().tensor("model.layers.2.enorm.weight").dtype())
                    .isEqualTo(DType.F32);
            assertThat(a.tensors().tensor("model.layers.2.eh_proj.weight"))
                    .isEqualTo(TensorInfo.of("model.layers.2.eh_proj.weight", DType.BF16, 40, 24));
            ByteBuffer ahead = bytes(a, "model.layers.2.eh_proj.weight");
            for (float value : tiny.tensors().get("model.layers.2.eh_proj.weight")) {
                float stored = Float.intBitsToFloat(ahead.getShort() << 16);
                assertThat(Math.abs(stored - value)).isLessThanOrEqualTo(Math.abs(value) / 256);
            }
        }
    }

    @Test
    void weightsOf8BitsAreRotatedAsTheOnesTheyStandFor() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example("qwen3_moe"), 22);
        Path eight = eightBits(tiny);
        Path plain = tiny.write(directory.resolve("plain"));
        try (Checkpoint a = RotatedCheckpoint.of(Checkpoint.open(eight), 3);
                Checkpoint b = RotatedCheckpoint.of(Checkpoint.open(plain), 3)) {
            assertThat(a.config())
                    .extracting(ModelConfig::values)
                    .isEqualTo(b.config().values());
            assertThat(logits(a)).containsExactly(logits(b));
        }
    }
}
