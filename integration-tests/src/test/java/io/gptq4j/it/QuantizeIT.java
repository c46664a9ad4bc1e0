package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.gptq.GptqOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The README's first command, with fewer calibration windows, and its artifact down to the bits. */
class QuantizeIT {
    private static final String MODEL = TinyModel.bundled().toString();
    private static final List<String> MODULES = List.of(
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj");

    @TempDir
    static Path directory;

    private static Path artifact = Path.of("");
    private static Path tiny = Path.of("");
    private static @Nullable CalibrationSet tinyWindows;
    private static Cli.Result result = new Cli.Result(-1, "", "");

    @BeforeAll
    static void runTheCommand() throws Exception {
        artifact = directory.resolve("build").resolve("tiny-llama-4bit");
        result = quantize(new Cli(), artifact);
        tiny = TinyModel.create().write(directory.resolve("tiny"));
        tinyWindows = Solver.windows(tiny, 4, 64);
    }

    private static Cli.Result quantize(Cli cli, Path out, String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(
                "quantize",
                MODEL,
                "--group-size",
                "64",
                "--samples",
                "16",
                "--seqlen",
                "128",
                "--out",
                out.toString()));
        arguments.addAll(List.of(more));
        Cli.Result result = cli.run(arguments.toArray(String[]::new));
        assertThat(result.exitCode()).as(result.err()).isZero();
        return result;
    }

    private static Set<String> names(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return new TreeSet<>(
                    files.map(file -> file.getFileName().toString()).toList());
        }
    }

    /** The SHA-256 of every file; of the card without the command, which names the output. */
    private static Map<String, String> contents(Path directory) throws Exception {
        Map<String, String> contents = new TreeMap<>();
        for (String name : names(directory)) {
            byte[] content = Files.readAllBytes(directory.resolve(name));
            if (name.equals("README.md")) {
                content = new String(content, UTF_8)
                        .replaceFirst("(?m)^gptq4j quantize .*$", "")
                        .getBytes(UTF_8);
            }
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
            contents.put(name, HexFormat.of().formatHex(digest));
        }
        return contents;
    }

    private static JsonNode json(Path file) throws IOException {
        return TinyModel.JSON.readTree(file.toFile());
    }

    private static double perplexity(Path model) throws Exception {
        Cli.Result result = new Cli()
                .run(
                        "eval",
                        model.toString(),
                        "--text",
                        SourceTree.root().resolve("LICENSE").toString(),
                        "--window",
                        "128",
                        "--windows",
                        "12",
                        "--json",
                        "--quiet");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.err()).isEmpty();
        return TinyModel.JSON.readTree(result.out()).path("perplexity").asDouble();
    }

    @Test
    void namesTheOutputOnStandardOutputAndTheProgressElsewhere() {
        assertThat(result.out()).startsWith(artifact + System.lineSeparator()).contains("42 modules to 4 bits");
        assertThat(result.err()).contains("42/42").doesNotContain("error", "warning", "Exception", "WARN");
    }

    @Test
    void writesTheFilesOfARepositoryAndNothingElse() throws Exception {
        assertThat(names(artifact))
                .containsExactly(
                        "README.md",
                        "config.json",
                        "generation_config.json",
                        "model.safetensors",
                        "quantize_config.json",
                        "special_tokens_map.json",
                        "tokenizer.json",
                        "tokenizer_config.json");
        assertThat(names(directory.resolve("build"))).containsExactly("tiny-llama-4bit");
        for (String name : List.of(
                "generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")) {
            assertThat(artifact.resolve(name))
                    .hasSameBinaryContentAs(TinyModel.bundled().resolve(name));
        }
    }

    @Test
    void saysInBothConfigurationsWhatIsTrueOfTheTensors() throws Exception {
        JsonNode config = json(artifact.resolve("config.json"));
        JsonNode quantization = json(artifact.resolve("quantize_config.json"));
        assertThat(config.path("quantization_config")).isEqualTo(quantization);
        assertThat(config.path("torch_dtype").asText()).isEqualTo("float16");
        assertThat(config.path("tie_word_embeddings").asBoolean(true)).isFalse();
        assertThat(quantization.path("quant_method").asText()).isEqualTo("gptq");
        assertThat(quantization.path("checkpoint_format").asText()).isEqualTo("gptq");
        assertThat(quantization.path("bits").asInt()).isEqualTo(4);
        assertThat(quantization.path("group_size").asInt()).isEqualTo(64);
        assertThat(quantization.path("sym").asBoolean()).isTrue();
        assertThat(quantization.path("desc_act").asBoolean(true)).isFalse();
        assertThat(quantization.path("lm_head").asBoolean(true)).isFalse();
        JsonNode source = json(TinyModel.bundled().resolve("config.json"));
        source.fieldNames().forEachRemaining(key -> {
            if (!key.equals("torch_dtype")) {
                assertThat(config.get(key)).as(key).isEqualTo(source.get(key));
            }
        });
    }

    @Test
    void holdsFourTensorsForEachModuleAndTheRestOfTheModelOnce() throws Exception {
        RawArtifact raw = RawArtifact.read(artifact);
        Set<String> expected =
                new TreeSet<>(List.of("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"));
        for (int layer = 0; layer < 6; layer++) {
            String block = "model.layers." + layer + ".";
            expected.add(block + "input_layernorm.weight");
            expected.add(block + "post_attention_layernorm.weight");
            for (String module : MODULES) {
                for (String part : List.of("qweight", "qzeros", "scales", "g_idx")) {
                    expected.add(block + module + "." + part);
                }
            }
        }
        assertThat(raw.tensors.keySet()).containsExactlyElementsOf(expected);
        raw.tensors.forEach((name, tensor) -> {
            boolean integers = name.endsWith(".qweight") || name.endsWith(".qzeros") || name.endsWith(".g_idx");
            assertThat(tensor.dtype()).as(name).isEqualTo(integers ? "I32" : "F16");
            for (int i = 0; i < tensor.bytes().capacity() / 4; i++) {
                if (name.endsWith(".qzeros")) {
                    assertThat(RawArtifact.intAt(tensor.bytes(), i)).as(name).isEqualTo(0x77777777);
                } else if (name.endsWith(".g_idx")) {
                    assertThat(RawArtifact.intAt(tensor.bytes(), i)).as(name).isEqualTo(i / 64);
                }
            }
        });
    }

    @Test
    void isTheSourceUpToTheRoundingOfFourBits() throws Exception {
        RawArtifact raw = RawArtifact.read(artifact);
        RawArtifact source = RawArtifact.read(TinyModel.bundled());
        for (int layer = 0; layer < 6; layer++) {
            for (String name : MODULES) {
                String module = "model.layers." + layer + "." + name;
                float[] original = source.floats(module + ".weight");
                float[][] weight = raw.module(module).weight();
                double error = 0;
                double norm = 0;
                for (int i = 0; i < original.length; i++) {
                    double difference = original[i] - weight[i / weight[0].length][i % weight[0].length];
                    error += difference * difference;
                    norm += (double) original[i] * original[i];
                }
                // What a module does for those before it moves its weights, too; so few tokens move them far.
                assertThat(Math.sqrt(error / norm)).as(module).isBetween(0.01, 0.3);
            }
        }
        for (String name : List.of("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")) {
            float[] original = source.floats(name);
            float[] carried = raw.floats(name);
            assertThat(carried).hasSameSizeAs(original);
            for (int i = 0;
                    i < original.length;
                    i++) { // float16 has three bits more than bfloat16, but a smaller range
                assertThat(carried[i]).as("%s, element %d", name, i).isCloseTo(original[i], within(0x1.01p-25f));
            }
        }
    }

    /** The command's run again, in this process. */
    private static List<QuantizedLinear> solve(int selfSamples, Path out) throws Exception {
        return Solver.run(
                TinyModel.bundled(),
                GptqOptions.defaults().withBits(4, 64),
                Solver.windows(TinyModel.bundled(), 16, 128),
                selfSamples,
                out);
    }

    @Test
    void isExactlyWhatTheSolverSaysInAnotherProcess() throws Exception {
        List<QuantizedLinear> solved = solve(8, directory.resolve("in-process"));
        assertThat(solved).hasSize(42);
        Solver.assertHolds(RawArtifact.read(artifact), solved);
    }

    @Test
    void isCalibratedOnTextThatTheModelMakesUpIfToldSo() throws Exception {
        Path out = directory.resolve("own-text");
        Cli.Result told = quantize(new Cli(), out, "--self-samples", "3", "--no-eval", "--json");
        assertThat(told.err()).contains("making text up: done");
        JsonNode report = TinyModel.JSON.readTree(told.out());
        assertThat(report.path("samples").asInt()).isEqualTo(16);
        assertThat(report.path("self_samples").asInt()).isEqualTo(3);
        assertThat(report.path("modules").path(0).path("tokens").asInt()).isEqualTo(19 * 128);
        assertThat(out.resolve("README.md"))
                .content()
                .contains(
                        "16 windows of 128 tokens from the embedded calibration text, 3 that the model made up, seed 0");
        Solver.assertHolds(RawArtifact.read(out), solve(3, directory.resolve("own-text-in-process")));
    }

    @Test
    void isAlmostAsGoodAsTheSourceInOneFileAndTheSameInSeveral() throws Exception {
        Path sharded = directory.resolve("sharded");
        quantize(new Cli(), sharded, "--shard-size", "1MB", "--json", "--quiet");
        assertThat(names(sharded))
                .contains("model.safetensors.index.json", "model-00001-of-00005.safetensors")
                .doesNotContain("model.safetensors");
        RawArtifact one = RawArtifact.read(artifact);
        RawArtifact several = RawArtifact.read(sharded);
        assertThat(several.tensors).containsOnlyKeys(one.tensors.keySet());
        one.tensors.forEach((name, tensor) ->
                assertThat(several.tensor(name).bytes()).as(name).isEqualTo(tensor.bytes()));
        JsonNode index = json(sharded.resolve("model.safetensors.index.json"));
        assertThat(index.path("weight_map")).hasSize(one.tensors.size());
        assertThat(index.path("metadata").path("total_size").asLong())
                .isEqualTo(one.tensors.values().stream()
                        .mapToLong(tensor -> tensor.bytes().capacity())
                        .sum());

        double source = perplexity(TinyModel.bundled());
        double quantized = perplexity(artifact);
        assertThat(quantized / source).isBetween(0.9, 1.1);
        assertThat(perplexity(sharded)).isEqualTo(quantized);
    }

    @ParameterizedTest(name = "{0} threads")
    @ValueSource(strings = {"1", "2", "6"})
    void isTheSameBytesOnAnyNumberOfThreads(String threads) throws Exception {
        Path again = directory.resolve("on-" + threads);
        quantize(new Cli().with("OMP_NUM_THREADS", threads), again, "--quiet");
        assertThat(contents(again)).isEqualTo(contents(artifact));
    }

    static Stream<Arguments> everyKind() {
        Stream.Builder<Arguments> kinds = Stream.builder();
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (int groupSize : new int[] {32, 64, -1}) {
                for (boolean sym : new boolean[] {true, false}) {
                    for (boolean actOrder : new boolean[] {true, false}) {
                        kinds.add(Arguments.of(bits, groupSize, sym, actOrder));
                    }
                }
            }
        }
        return kinds.build();
    }

    @ParameterizedTest(name = "{0} bits, group size {1}, sym {2}, act-order {3}")
    @MethodSource("everyKind")
    void everyKindReadsBackAsItWasSolved(int bits, int groupSize, boolean sym, boolean actOrder) throws Exception {
        GptqOptions options = new GptqOptions(bits, groupSize, sym, actOrder, false, 0.01, 0, 128, false);
        Path out = directory.resolve("kinds").resolve(bits + "-" + groupSize + "-" + sym + "-" + actOrder);
        List<QuantizedLinear> solved = Solver.run(tiny, options, Objects.requireNonNull(tinyWindows), 0, out);
        RawArtifact raw = RawArtifact.read(out);
        assertThat(solved).as("model of seed %d", TinyModel.SEED).hasSize(14);
        Solver.assertHolds(raw, solved);

        boolean scattered = actOrder && groupSize != -1;
        assertThat(raw.config.path("quantization_config").path("desc_act").asBoolean())
                .isEqualTo(scattered);
        for (QuantizedLinear linear : solved) {
            int[] trivial = new int[linear.inFeatures()];
            for (int i = 0; i < trivial.length && groupSize > 0; i++) {
                trivial[i] = i / groupSize;
            }
            if (scattered && linear.groups() > 1) {
                assertThat(linear.gIdx()).isNotEqualTo(trivial);
            } else {
                assertThat(linear.gIdx()).isEqualTo(trivial);
            }
        }
    }
}
