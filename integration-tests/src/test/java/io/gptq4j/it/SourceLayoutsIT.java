package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.it.hub.FakeHub;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every command of a quantization on checkpoints in the layouts in which they are published. */
class SourceLayoutsIT {
    private static final String NAME = "{0}, seed " + SourceLayout.SEED;

    @TempDir
    static Path directory;

    private static final Map<SourceLayout, SourceLayout.Written> SOURCES = new EnumMap<>(SourceLayout.class);

    @BeforeAll
    static void quantizeEach() throws Exception {
        for (SourceLayout layout : SourceLayout.values()) {
            SOURCES.put(layout, layout.write(directory.resolve(layout + "-source")));
            quantize(new Cli(), source(layout).directory().toString(), artifact(layout));
        }
    }

    private static SourceLayout.Written source(SourceLayout layout) {
        return Objects.requireNonNull(SOURCES.get(layout));
    }

    private static Path artifact(SourceLayout layout) {
        return directory.resolve(layout + "-artifact");
    }

    /** More tokens than go through a stage together, so that several devices have a share each. */
    private static String[] command(String model, Path out, String... more) {
        String common =
                "quantize " + model + " --bits 8 --group-size 32 --samples 72 --seqlen 64 --dtype float32 --out ";
        return Stream.concat(Stream.of((common + out).split(" ")), Stream.of(more))
                .toArray(String[]::new);
    }

    private static Cli.Result quantize(Cli cli, String model, Path out, String... more) throws Exception {
        Cli.Result result = cli.run(command(model, out, more));
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.err()).doesNotContain("error", "Exception");
        return result;
    }

    private static JsonNode json(String... command) throws Exception {
        Cli.Result result = new Cli().run(command);
        assertThat(result.exitCode()).as(result.err()).isZero();
        return TinyModel.JSON.readTree(result.out());
    }

    /** Every file but the card, which names the command. */
    private static void assertSameFiles(Path ours, Path theirs) throws Exception {
        try (Stream<Path> a = Files.list(ours);
                Stream<Path> b = Files.list(theirs)) {
            Set<Path> names = new TreeSet<>(b.map(Path::getFileName).toList());
            assertThat(a.map(Path::getFileName)).containsExactlyInAnyOrderElementsOf(names);
            names.remove(Path.of("README.md"));
            for (Path name : names) {
                assertThat(ours.resolve(name)).hasSameBinaryContentAs(theirs.resolve(name));
            }
        }
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void inspectKnowsBothEnds(SourceLayout layout) throws Exception {
        JsonNode before = json("inspect", source(layout).directory().toString(), "--json");
        assertThat(before.path("supported").asBoolean()).isTrue();
        assertThat(before.path("problems")).isEmpty();
        assertThat(before.path("bytes_by_dtype").has("F8_E4M3")).isEqualTo(layout == SourceLayout.EIGHT_BITS);
        JsonNode after = json("inspect", artifact(layout).toString(), "--json");
        assertThat(after.path("problems")).isEmpty();
        assertThat(after.path("parameters")).isEqualTo(before.path("parameters"));
        assertThat(after.path("quantization").path("modules").asInt()).isPositive();
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void theArtifactIsTheSourceUpToTheRoundingOfEightBits(SourceLayout layout) throws Exception {
        RawArtifact raw = RawArtifact.read(artifact(layout));
        Set<String> expected = new TreeSet<>(source(layout).others().keySet());
        source(layout).weights().forEach((name, values) -> {
            String module = name.substring(0, name.lastIndexOf('.'));
            if (raw.tensors.containsKey(name)) {
                expected.add(name);
                float[] carried = raw.floats(name);
                assertThat(carried).as(name).hasSameSizeAs(values);
                for (int i = 0; i < values.length; i++) {
                    float rounded = Math.abs(values[i]) / 256 + 0x1p-25f;
                    assertThat(carried[i]).as("%s, element %d", name, i).isCloseTo(values[i], within(rounded));
                }
                return;
            }
            List.of("qweight", "qzeros", "scales", "g_idx").forEach(part -> expected.add(module + "." + part));
            float[][] weight = raw.module(module).weight();
            assertThat(weight.length * weight[0].length).as(module).isEqualTo(values.length);
            double error = 0;
            double norm = 0;
            for (int i = 0; i < values.length; i++) {
                double difference = values[i] - weight[i / weight[0].length][i % weight[0].length];
                error += difference * difference;
                norm += (double) values[i] * values[i];
            }
            assertThat(Math.sqrt(error / norm)).as(module).isBetween(1e-4, 0.2);
        });
        assertThat(raw.tensors).containsOnlyKeys(expected);
        assertThat(expected.stream().filter(name -> name.endsWith("proj.qweight")))
                .hasSizeGreaterThan(10);
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void whatIsNotQuantizedIsCarriedAlongByteForByte(SourceLayout layout) throws Exception {
        Path from = source(layout).directory();
        Path to = artifact(layout);
        RawArtifact raw = RawArtifact.read(to);
        source(layout).others().forEach((name, stored) -> {
            assertThat(raw.tensor(name).dtype()).as(name).isEqualTo(stored.dtype());
            assertThat(raw.tensor(name).bytes()).as(name).isEqualTo(ByteBuffer.wrap(stored.bytes()));
        });
        List<String> files = new ArrayList<>(layout.processorFiles);
        files.addAll(List.of("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"));
        for (String name : files) {
            assertThat(to.resolve(name)).hasSameBinaryContentAs(from.resolve(name));
        }
        ObjectNode config =
                (ObjectNode) TinyModel.JSON.readTree(to.resolve("config.json").toFile());
        ObjectNode original =
                (ObjectNode) TinyModel.JSON.readTree(from.resolve("config.json").toFile());
        JsonNode quantization = config.remove("quantization_config");
        assertThat(quantization)
                .isEqualTo(TinyModel.JSON.readTree(
                        to.resolve("quantize_config.json").toFile()));
        assertThat(quantization.path("quant_method").asText()).isEqualTo("gptq");
        assertThat(quantization.has("weight_block_size")).isFalse();
        assertThat(config.path("torch_dtype").asText()).isEqualTo("float16");
        assertThat(config.path("tie_word_embeddings").asBoolean(true)).isFalse();
        List<String> said = List.of("quantization_config", "torch_dtype", "tie_word_embeddings");
        assertThat(config.remove(said)).isEqualTo(original.remove(said));
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void whatIsStreamedIsTheOrdinaryResultByteForByte(SourceLayout layout) throws Exception {
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> all = Files.list(source(layout).directory())) {
            all.forEach(file -> files.put(file.getFileName().toString(), file));
        }
        Path streamed = directory.resolve(layout + "-streamed");
        try (FakeHub hub = FakeHub.start()) {
            hub.repo("acme/" + layout).commit("main", "seed", files);
            Cli cli = new Cli()
                    .with("HF_ENDPOINT", hub.url())
                    .with("HF_HOME", directory.resolve("home").toString())
                    .with("HF_HUB_CACHE", "");
            quantize(cli, "acme/" + layout, streamed, "--stream", "--self-samples", "36", "--no-eval");
        }
        assertSameFiles(streamed, artifact(layout));
    }

    /** Without what would turn the last bits of Hessians, which are summed in another order, into other choices of grids. */
    @ParameterizedTest(name = NAME)
    @EnumSource
    void severalDevicesGiveWhatOneGives(SourceLayout layout) throws Exception {
        List<RawArtifact> results = new ArrayList<>();
        for (String devices : List.of("cpu", "cpu,cpu,cpu")) {
            Path out = directory.resolve(layout + "-on-" + devices);
            String model = source(layout).directory().toString();
            quantize(new Cli(), model, out, "--device", devices, "--no-float-target", "--no-eval");
            results.add(RawArtifact.read(out));
        }
        assertThat(results.get(1).tensors)
                .containsOnlyKeys(results.get(0).tensors.keySet());
        results.get(0).tensors.forEach((name, tensor) -> {
            ByteBuffer other = results.get(1).tensor(name).bytes();
            if (!name.endsWith(".qweight") && !name.endsWith(".scales")) {
                assertThat(other).as(name).isEqualTo(tensor.bytes());
                return;
            }
            int differing = 0;
            for (int i = 0; i < other.capacity(); i++) {
                differing += other.get(i) == tensor.bytes().get(i) ? 0 : 1;
            }
            assertThat(differing).as(name).isLessThanOrEqualTo(other.capacity() / 100);
        });
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void aDryRunTellsTheSizeOfTheArtifact(SourceLayout layout) throws Exception {
        Path out = directory.resolve("never");
        JsonNode result = json(command(source(layout).directory().toString(), out, "--dry-run", "--json"));
        long bytes = RawArtifact.read(artifact(layout)).tensors.values().stream()
                .mapToLong(tensor -> tensor.bytes().capacity())
                .sum();
        assertThat(result.path("memory").path("artifact").asLong())
                .isCloseTo(bytes, within(8L)); // but for integers that lie beside the text model
        assertThat(result.path("fits").asBoolean()).isTrue();
        assertThat(out).doesNotExist();
    }

    private static double perplexity(Path model) throws Exception {
        Path text = SourceTree.root().resolve("LICENSE");
        String options = " --window 64 --windows 8 --dtype float32 --json --quiet --text ";
        return json(("eval " + model + options + text).split(" "))
                .path("perplexity")
                .asDouble();
    }

    /** Eight bits are nearly the float model. */
    @ParameterizedTest(name = NAME)
    @EnumSource
    void theArtifactPredictsAsTheSource(SourceLayout layout) throws Exception {
        double change = perplexity(artifact(layout)) / perplexity(source(layout).directory());
        assertThat(change).isCloseTo(1, within(0.01));
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void rotationWorksOrIsRefusedInOneSentence(SourceLayout layout) throws Exception {
        Path rotated = directory.resolve(layout + "-rotated");
        String model = source(layout).directory().toString();
        if (layout != SourceLayout.STACKED_EXPERTS) {
            Cli.Result refused = new Cli().run(command(model, rotated, "--rotate"));
            assertThat(refused.exitCode()).isEqualTo(2);
            assertThat(refused.err().strip().lines()).hasSize(1);
            assertThat(refused.err()).contains("cannot be rotated");
            assertThat(rotated).doesNotExist();
            return;
        }
        quantize(new Cli(), model, rotated, "--rotate", "--no-eval");
        double change = perplexity(rotated) / perplexity(source(layout).directory());
        assertThat(change).isCloseTo(1, within(0.01));
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void widthsAreChosenUnderABudget(SourceLayout layout) throws Exception {
        Path mixed = directory.resolve(layout + "-mixed");
        String[] command = command(source(layout).directory().toString(), mixed, "--no-eval");
        command[2] = "--target-bpw"; // in the place of --bits
        command[3] = "5";
        assertThat(new Cli().run(command).exitCode()).isZero();
        JsonNode kinds =
                json("inspect", mixed.toString(), "--json").path("quantization").path("kinds");
        assertThat(kinds.size()).isGreaterThan(1);
    }

    @ParameterizedTest(name = NAME)
    @EnumSource
    void aRunAfterOneThatWasKilledGivesTheSame(SourceLayout layout) throws Exception {
        Path out = directory.resolve(layout + "-killed");
        String model = source(layout).directory().toString();
        Process process = new Cli().start(command(model, out, "--no-eval"));
        try {
            HubBench.runUntil(process, () -> Files.exists(directory.resolve("." + out.getFileName() + ".partial")));
        } finally {
            process.destroyForcibly().waitFor();
        }
        assertThat(out).doesNotExist();
        quantize(new Cli(), model, out, "--no-eval");
        assertSameFiles(out, artifact(layout));
    }
}
