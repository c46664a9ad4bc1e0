package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's first command and what follows it, with fewer calibration windows. */
class MainJobIT {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String MODEL =
            SourceTree.root().resolve(Path.of("examples", "tiny-llama")).toString();
    private static final String TEXT = SourceTree.root().resolve("LICENSE").toString();

    private final Cli cli = new Cli();

    @TempDir
    Path directory;

    private Cli.Result quantize(String model, Path out, String groupSize) throws IOException, InterruptedException {
        return cli.run(
                "quantize",
                model,
                "--group-size",
                groupSize,
                "--samples",
                "8",
                "--seqlen",
                "128",
                "--json",
                "--quiet",
                "--out",
                out.toString());
    }

    private JsonNode json(String... arguments) throws IOException, InterruptedException {
        Cli.Result result = cli.run(arguments);
        assertThat(result.exitCode()).as(result.err()).isZero();
        return JSON.readTree(result.out());
    }

    @Test
    void writesARepositoryThatItReadsAndThatIsAlmostAsGood() throws Exception {
        Path out = directory.resolve("tiny-llama-4bit");
        Cli.Result result = quantize(MODEL, out, "64");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.err()).isEmpty();
        assertThat(JSON.readTree(result.out()).path("modules")).hasSize(6 * 7);

        assertThat(out).isDirectoryContaining("glob:**/model.safetensors");
        JsonNode config = JSON.readTree(out.resolve("config.json").toFile());
        JsonNode quantization =
                JSON.readTree(out.resolve("quantize_config.json").toFile());
        assertThat(config.path("quantization_config")).isEqualTo(quantization);
        assertThat(quantization.path("quant_method").asText()).isEqualTo("gptq");
        assertThat(quantization.path("bits").asInt()).isEqualTo(4);
        assertThat(quantization.path("group_size").asInt()).isEqualTo(64);
        assertThat(quantization.path("desc_act").asBoolean(true)).isFalse();
        assertThat(Files.mismatch(out.resolve("tokenizer.json"), Path.of(MODEL, "tokenizer.json")))
                .isEqualTo(-1);

        assertThat(cli.run("inspect", out.toString()).out()).contains("42 modules, 4 bits, group_size 64");
        double before =
                json("eval", MODEL, "--text", TEXT, "--json").path("perplexity").asDouble();
        double after = json("eval", out.toString(), "--text", TEXT, "--json")
                .path("perplexity")
                .asDouble();
        assertThat(after / before).isBetween(0.9, 1.1);
    }

    @Test
    void givesTheSameBytesTwice() throws Exception {
        Path first = directory.resolve("first");
        Path second = directory.resolve("second");
        assertThat(quantize(MODEL, first, "64").exitCode()).isZero();
        assertThat(quantize(MODEL, second, "64").exitCode()).isZero();
        try (Stream<Path> files = Files.list(first)) {
            assertThat(files)
                    .isNotEmpty()
                    .allSatisfy(file -> assertThat(file).hasSameBinaryContentAs(second.resolve(file.getFileName())));
        }
    }

    @Nested
    class Refuses {
        private void refused(Cli.Result result, int exitCode, String... words) throws IOException {
            assertThat(result.exitCode()).as(result.err()).isEqualTo(exitCode);
            assertThat(result.out()).isEmpty();
            assertThat(result.err()).startsWith("error: ").hasLineCount(1).contains(words);
        }

        private void nothingIsLeft(Path out) throws IOException {
            assertThat(out).doesNotExist();
            try (Stream<Path> files = Files.list(directory)) {
                assertThat(files.filter(file -> !file.getFileName().toString().equals("damaged")))
                        .isEmpty();
            }
        }

        @Test
        void aGroupSizeThatDoesNotFitAndNamesThoseThatDo() throws Exception {
            Path out = directory.resolve("out");
            refused(quantize(MODEL, out, "128"), 2, "704", "64, 32");
            nothingIsLeft(out);
        }

        @Test
        void aModelThatIsNotThere() throws Exception {
            Path out = directory.resolve("out");
            refused(quantize(directory.resolve("nowhere").toString(), out, "64"), 3, "nowhere");
            nothingIsLeft(out);
        }

        @Test
        void anOutputThatExistsAndLeavesItAlone() throws Exception {
            Path out = Files.createDirectory(directory.resolve("out"));
            Files.writeString(out.resolve("precious"), "data", UTF_8);
            refused(quantize(MODEL, out, "64"), 8, out.toString());
            assertThat(out.resolve("precious")).hasContent("data");
            assertThat(out).isDirectoryNotContaining("glob:**/*.safetensors");
        }

        @Test
        void aTruncatedCheckpoint() throws Exception {
            Path damaged = Files.createDirectory(directory.resolve("damaged"));
            try (Stream<Path> files = Files.list(Path.of(MODEL))) {
                for (Path file : files.toList()) {
                    Files.copy(file, damaged.resolve(file.getFileName()));
                }
            }
            try (FileChannel weights =
                    FileChannel.open(damaged.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
                weights.truncate(1_000_000);
            }
            Path out = directory.resolve("out");
            refused(quantize(damaged.toString(), out, "64"), 6, "model.safetensors", "truncated");
            nothingIsLeft(out);
        }
    }
}
