package io.gptq4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.cost.CostModel;
import io.gptq4j.cost.Estimate;
import io.gptq4j.cost.Run;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DryRunTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path directory;

    private final TestConsole test = TestConsole.piped();

    /** A llama whose weights are all there by the header: either a hole in the file, or NaN throughout. */
    private Path model(int layers, int hidden, boolean nan) throws Exception {
        Map<String, Object> config = Map.of(
                "model_type",
                "llama",
                "hidden_size",
                hidden,
                "intermediate_size",
                3 * hidden,
                "num_hidden_layers",
                layers,
                "num_attention_heads",
                hidden / 64,
                "vocab_size",
                4096,
                "max_position_embeddings",
                2048,
                "rms_norm_eps",
                1e-5);
        Path model = Files.createDirectory(directory.resolve("model"));
        Files.writeString(model.resolve("config.json"), JSON.writeValueAsString(config));
        Files.copy(Path.of("../examples/tiny-llama/tokenizer.json"), model.resolve("tokenizer.json"));
        long offset = 0;
        StringJoiner header = new StringJoiner(",", "{", "}");
        for (Map.Entry<String, List<Long>> tensor : ModelFamilies.architecture(ModelConfig.of(config, "config.json"))
                .tensors()
                .entrySet()) {
            long end = offset + 2 * tensor.getValue().stream().reduce(1L, Math::multiplyExact);
            header.add("\"" + tensor.getKey() + "\":{\"dtype\":\"BF16\",\"shape\":" + tensor.getValue()
                    + ",\"data_offsets\":[" + offset + "," + end + "]}");
            offset = end;
        }
        byte[] text = header.toString().getBytes(UTF_8);
        try (RandomAccessFile file =
                new RandomAccessFile(model.resolve("model.safetensors").toFile(), "rw")) {
            file.write(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(text.length)
                    .array());
            file.write(text);
            if (nan) {
                byte[] data = new byte[Math.toIntExact(offset)];
                Arrays.fill(data, (byte) 0xFF);
                file.write(data);
            } else {
                file.setLength(8 + text.length + offset);
            }
        }
        return model;
    }

    private int quantize(Path model, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "quantize", model.toString(), "--samples", "4", "--seqlen", "64", "--group-size", "64", "--no-eval"));
        arguments.addAll(List.of(more));
        return Main.run(test.console, arguments.toArray(String[]::new));
    }

    @Test
    void readsNoTensorAndWritesNothing() throws Exception {
        Path model = model(2, 64, true);
        Path out = directory.resolve("out");
        assertThat(quantize(model, "--out", out.toString(), "--dry-run")).isZero();
        assertThat(test.out())
                .contains(
                        "4 windows of 64 tokens and 2 that the model makes up, float32",
                        "hessian",
                        "time     about",
                        "memory   ",
                        "disk     ");
        assertThat(test.err()).contains("about five seconds").doesNotContain("NaN", "warning");
        assertThat(out).doesNotExist();
        // A real run looks at the weights, and at once finds what they are.
        assertThat(quantize(model, "--out", out.toString())).isEqualTo(ExitCode.BAD_INPUT.number());
        assertThat(test.err()).contains("NaN");
    }

    @Test
    void tellsOfAModelThatTheMachineCannotHold() throws Exception {
        Path model = model(80, 16_384, false); // 559 GB, none of it on the disk
        assertThat(quantize(model, "--dry-run", "--json")).isZero();
        JsonNode result = JSON.readTree(test.out());
        // 2 * 16384^2 * (4 + 3 * 3) * 80 for the blocks, 2 * 2 * 4096 * 16384 for embedding and head, 2 * 161 * 16384
        // for norms.
        assertThat(result.path("steps").path(0).path("bytes").asLong()).isEqualTo(558_619_459_584L);
        assertThat(result.path("memory").path("host").asLong())
                .isGreaterThan(
                        4L * 13 * 16_384 * 16_384 + 4L * 49_152 * (2 * 49_152 + 16_384)); // Hessian, factor, drift
        assertThat(result.path("seconds").asDouble())
                .isGreaterThan(result.path("floor_seconds").asDouble());
        assertThat(result.path("floor_seconds").asDouble()).isGreaterThan(100);
        assertThat(result.path("fits").asBoolean()).isEqualTo(!test.err().contains("warning: It takes about"));
    }

    @Test
    void countsTheChoiceOfWidthsAndKeepsItsBudget() throws Exception {
        Path model = model(2, 256, false);
        assertThat(quantize(model, "--dry-run", "--json", "--target-bpw", "3.3", "--self-samples", "64"))
                .isZero();
        JsonNode result = JSON.readTree(test.out());
        assertThat(result.path("bits_per_weight").asDouble()).isBetween(3.0, 3.3);
        assertThat(result.path("steps").path(1).path("step").asText()).isEqualTo("sensitivity");
        assertThat(result.path("steps").path(1).path("seconds").asDouble()).isPositive();
        assertThat(result.path("self_windows").asInt()).isEqualTo(64);
        assertThat(result.path("steps").path(2).path("step").asText()).isEqualTo("self calibration");
        assertThat(result.path("steps").path(2).path("seconds").asDouble()).isPositive();
        // Weights of the blocks, packed, and two matrices of 4096 x 256 and five norms in float16.
        long weights = 2L * (4 * 256 * 256 + 3 * 256 * 768);
        assertThat(result.path("memory").path("artifact").asDouble())
                .isEqualTo(result.path("bits_per_weight").asDouble() * weights / 8 + 2 * (2 * 4096 * 256 + 5 * 256));
    }

    @Test
    void proposesTheSmallestChangeWithWhichARunFits() throws Exception {
        Path model = model(2, 256, false);
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            QuantizationPlan plan = QuantizationPlan.of(
                    ModelFamilies.architecture(checkpoint.config()),
                    GptqOptions.defaults().withBits(4, 64));
            long bytes = checkpoint.tensors().tensors().values().stream()
                    .mapToLong(tensor -> tensor.byteLength())
                    .sum();
            DryRun dryRun = new DryRun(
                    "m",
                    checkpoint,
                    plan,
                    128,
                    count -> 0,
                    2048,
                    null,
                    Long.MAX_VALUE,
                    Long.MAX_VALUE,
                    false,
                    directory.resolve("out"));
            Estimate.Memory memory = new CostModel(
                            plan, new Run(128, 2048, FloatType.FLOAT32, false, bytes, 0, 0, Long.MAX_VALUE))
                    .memory();
            assertThat(dryRun.misfits(memory, FloatType.FLOAT32, false, memory.host() * 2, Long.MAX_VALUE))
                    .isEmpty();
            assertThat(dryRun.misfits(memory, FloatType.FLOAT32, false, memory.host(), Long.MAX_VALUE))
                    .singleElement()
                    .asString()
                    .contains("with --dtype bfloat16 it would be");
            assertThat(dryRun.misfits(memory, FloatType.BFLOAT16, false, memory.host() / 2, Long.MAX_VALUE))
                    .singleElement()
                    .asString()
                    .contains("with --samples ");
            assertThat(dryRun.misfits(memory, FloatType.FLOAT32, false, 1_000_000, Long.MAX_VALUE))
                    .singleElement()
                    .asString()
                    .contains("1.0 MB are available", "no option brings it below");
            assertThat(dryRun.misfits(memory, FloatType.FLOAT32, false, Long.MAX_VALUE, 1000))
                    .singleElement()
                    .asString()
                    .contains("of disk, and 1.0 kB are free", "--out on another disk");
        }
    }

    @Test
    void readsTheKernelsOwnNumberOfAvailableMemory() {
        assertThat(HostMemory.available(List.of("MemTotal:  9 kB", "MemAvailable:   2048 kB"), 7))
                .isEqualTo(2_097_152);
        assertThat(HostMemory.available(List.of("MemTotal:  9 kB"), 7)).isEqualTo(7);
        assertThat(HostMemory.available()).isPositive();
    }

    @Test
    void saysSecondsAsPeopleDo() {
        assertThat(DryRun.duration(0.0123)).isEqualTo("0.012 s");
        assertThat(DryRun.duration(12.34)).isEqualTo("12.3 s");
        assertThat(DryRun.duration(90)).isEqualTo("1.5 min");
        assertThat(DryRun.duration(5400)).isEqualTo("1.5 h");
    }
}
