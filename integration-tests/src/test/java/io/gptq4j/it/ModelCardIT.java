package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README.md that {@code quantize} leaves, and the perplexity in it. */
class ModelCardIT {
    private static final Path HELD_OUT =
            SourceTree.root().resolve(Path.of("gptq-engine/src/main/resources/io/gptq4j/eval/heldout.txt"));

    private final Cli cli = new Cli();

    @TempDir
    Path directory;

    private JsonNode quantize(String... arguments) throws Exception {
        Cli.Result result = run(arguments);
        assertThat(result.err().lines()).allMatch(line -> line.startsWith("warning: Fallbacks in ")); // few tokens
        return TinyModel.JSON.readTree(result.out());
    }

    private Cli.Result run(String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("quantize", "--json", "-q"));
        all.addAll(Arrays.asList(arguments));
        Cli.Result result = cli.in(directory).run(all.toArray(String[]::new));
        assertThat(result.exitCode()).as(result.err()).isZero();
        return result;
    }

    private String readme(String out) throws Exception {
        return Files.readString(directory.resolve(out).resolve("README.md"));
    }

    private double perplexity(Path model) throws Exception {
        Cli.Result result = cli.run(
                "eval", model.toString(), "--text", HELD_OUT.toString(), "--window", "512", "--windows", "4", "--json");
        return TinyModel.JSON.readTree(result.out()).path("perplexity").asDouble();
    }

    @Test
    void tellsWhatWasDoneAboveTheAuthorsCard() throws Exception {
        String model = TinyModel.bundled().toString();
        JsonNode result = quantize(
                model,
                "--group-size",
                "64",
                "--bits",
                "3",
                "--samples",
                "4",
                "--seqlen",
                "128",
                "--dtype",
                "float32",
                "-o",
                "my q");
        double before = result.path("perplexity_before").asDouble();
        double after = result.path("perplexity_after").asDouble();
        assertThat(before).isCloseTo(perplexity(TinyModel.bundled()), within(1e-9));
        // Measured in the run, before the files round what is not quantized to float16.
        assertThat(after).isCloseTo(perplexity(directory.resolve("my q")), within(1e-4));

        String source = Files.readString(TinyModel.bundled().resolve("README.md"));
        int body = source.indexOf("# tiny-llama");
        String card = readme("my q");
        assertThat(card)
                .startsWith("""
                        ---
                        language: en
                        license: cc0-1.0
                        library_name: transformers
                        pipeline_tag: text-generation
                        tags:
                        - llama
                        - test-model
                        - gptq
                        - 3-bit
                        - quantized
                        ---
                        <!-- gptq4j: begin -->
                        # tiny-llama, 3-bit GPTQ
                        """)
                .endsWith("# Original model card\n\n<!-- gptq4j: end -->\n" + source.substring(body))
                .contains("\ngptq4j quantize --json -q " + model
                        + " --group-size 64 --bits 3 --samples 4 --seqlen 128 --dtype float32 -o 'my q'\n")
                .contains("| bits | 3 |", "| group_size | 64 |", "4 windows of 128 tokens from the embedded")
                .contains("calibration text, 2 that the model made up, seed 0 |")
                .contains("On the embedded held-out text, in 4 windows of 512 tokens")
                .contains(String.format(Locale.ROOT, "| original | %.2f |\n| 3-bit | %.2f |\n", before, after))
                .contains("vllm serve NAMESPACE/NAME")
                .doesNotContain("docker", "base_model");
    }

    @Test
    void saysNothingAboutAPerplexityThatIsNotWanted() throws Exception {
        TinyModel.create().write(directory.resolve("tiny"));
        JsonNode result = quantize("tiny", "--group-size", "32", "--samples", "2", "-o", "out", "--no-eval");
        assertThat(result.get("perplexity_before").isNull()).isTrue();
        assertThat(result.get("perplexity_after").isNull()).isTrue();
        assertThat(readme("out"))
                .startsWith("---\nlibrary_name: transformers\n")
                .endsWith("```\n\n<!-- gptq4j: end -->\n")
                .doesNotContain("erplexity");
    }

    @Test
    void anEvaluationThatFailsLosesNothing() throws Exception {
        TinyModel.create(64, 128, 512).write(directory.resolve("tiny")); // has no embeddings for most of the text
        Files.writeString(
                directory.resolve("ids.jsonl"), IntStream.range(0, 128).boxed().toList() + "\n");
        Cli.Result result = run(
                "tiny",
                "--group-size",
                "32",
                "--samples",
                "1",
                "--self-samples",
                "0",
                "--calibration",
                "ids.jsonl",
                "--out",
                "out");
        assertThat(result.err())
                .hasLineCount(2) // the other one is about few tokens
                .startsWith("warning: The perplexity on the embedded held-out text could not be measured: Token id ")
                .contains("outside the model's vocabulary of 512");
        assertThat(TinyModel.JSON.readTree(result.out()).get("perplexity_after").isNull())
                .isTrue();
        assertThat(readme("out"))
                .contains("1 window of 128 tokens from ids.jsonl")
                .doesNotContain("erplexity");
        assertThat(RawArtifact.read(directory.resolve("out"))
                        .module("model.layers.1.mlp.down_proj")
                        .gIdx())
                .hasSize(128);
    }

    @Test
    void warnsWhereTheAuthorsFrontMatterCannotBeUsed() throws Exception {
        Path model = TinyModel.create().write(directory.resolve("tiny"));
        String source = "---\nlicense: mit\nlicense: gpl-3.0\n---\nText “\n";
        Files.write(model.resolve("README.md"), source.getBytes(UTF_8));
        Files.writeString(directory.resolve("text"), "We the people. ".repeat(200));
        Cli.Result result = run("tiny", "--group-size", "32", "--samples", "2", "--out", "out", "--eval-text", "text");
        assertThat(result.err())
                .hasLineCount(1)
                .startsWith("warning: The front matter of")
                .contains("licence");
        assertThat(readme("out"))
                .startsWith("---\nlibrary_name: transformers\n")
                .contains("On text, in 4 windows of 128 tokens")
                .endsWith("<!-- gptq4j: end -->\n" + source);
    }
}
