package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.it.hub.FakeHub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code quantize --rotate}: what it writes is an ordinary artifact of the same model. */
class RotateIT {
    private static final String MODEL = TinyModel.bundled().toString();

    @TempDir
    static Path directory;

    private static Path plain = Path.of("");
    private static Path rotated = Path.of("");
    private static JsonNode result = TinyModel.JSON.nullNode();

    @BeforeAll
    static void quantize() throws Exception {
        plain = directory.resolve("plain");
        rotated = directory.resolve("rotated");
        quantize(MODEL, plain, "--no-eval");
        result =
                TinyModel.JSON.readTree(quantize(MODEL, rotated, "--rotate", "--self-samples", "2", "--json", "--quiet")
                        .out());
    }

    private static Cli.Result quantize(String model, Path out, String... more) throws Exception {
        return quantize(new Cli(), model, out, more);
    }

    private static Cli.Result quantize(Cli cli, String model, Path out, String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("quantize", model, "--bits", "8", "--group-size", "32"));
        arguments.addAll(List.of("--samples", "8", "--seqlen", "128", "--dtype", "float32", "--out", out.toString()));
        arguments.addAll(List.of(more));
        Cli.Result run = cli.run(arguments.toArray(String[]::new));
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run;
    }

    private static JsonNode json(Path file) throws IOException {
        return TinyModel.JSON.readTree(file.toFile());
    }

    private static double perplexity(Path model) throws Exception {
        List<String> arguments =
                new ArrayList<>(List.of("eval", model.toString(), "--window", "128", "--windows", "12"));
        arguments.addAll(List.of("--text", SourceTree.root().resolve("LICENSE").toString()));
        arguments.addAll(List.of("--dtype", "float32", "--json", "--quiet"));
        Cli.Result run = new Cli().run(arguments.toArray(String[]::new));
        assertThat(run.exitCode()).as(run.err()).isZero();
        return TinyModel.JSON.readTree(run.out()).path("perplexity").asDouble();
    }

    @Test
    void saysTheSameInEveryFileButTheWeightsAndTheCard() throws Exception {
        for (String name : List.of("config.json", "quantize_config.json", "tokenizer.json", "generation_config.json")) {
            assertThat(rotated.resolve(name)).hasSameBinaryContentAs(plain.resolve(name));
        }
    }

    @Test
    void hasTheSameTensorsInTheSameShapesAndNormsOfOnes() throws Exception {
        RawArtifact artifact = RawArtifact.read(rotated);
        RawArtifact other = RawArtifact.read(plain);
        assertThat(artifact.tensors).containsOnlyKeys(other.tensors.keySet());
        other.tensors.forEach((name, tensor) -> {
            assertThat(artifact.tensor(name).dtype()).as(name).isEqualTo(tensor.dtype());
            assertThat(artifact.tensor(name).shape()).as(name).isEqualTo(tensor.shape());
            if (name.endsWith("norm.weight")) {
                assertThat(artifact.floats(name)).as(name).containsOnly(1);
                assertThat(other.floats(name)).as(name).isNotEqualTo(artifact.floats(name));
            }
        });
    }

    /** An orthogonal matrix leaves lengths and angles of rows: of embeddings, and of rows of the head once the norm is in. */
    @Test
    void turnsEmbeddingAndHeadAndNothingElse() throws Exception {
        RawArtifact artifact = RawArtifact.read(rotated);
        RawArtifact source = RawArtifact.read(TinyModel.bundled());
        float[] norm = source.floats("model.norm.weight");
        float[] ones = new float[norm.length];
        Arrays.fill(ones, 1);
        for (Map.Entry<String, float[]> matrix : Map.of("model.embed_tokens.weight", ones, "lm_head.weight", norm)
                .entrySet()) {
            float[] turned = artifact.floats(matrix.getKey());
            float[] original = source.floats(matrix.getKey());
            for (int token = 0; token < 40; token++) {
                double expected = dot(original, 0, token, matrix.getValue());
                assertThat(dot(turned, 0, token, ones))
                        .as("%s, row 0 by row %d", matrix.getKey(), token)
                        .isCloseTo(
                                expected,
                                within(1e-3
                                        * Math.sqrt(dot(original, 0, 0, matrix.getValue())
                                                * dot(original, token, token, matrix.getValue()))));
            }
            assertThat(turned).isNotEqualTo(original);
        }
    }

    private static double dot(float[] matrix, int row, int other, float[] factors) {
        double sum = 0;
        int n = factors.length;
        for (int i = 0; i < n; i++) {
            sum += (double) matrix[row * n + i] * matrix[other * n + i] * factors[i] * factors[i];
        }
        return sum;
    }

    /** Eight bits are nearly the float model, so that anything that is not turned along with the rest shows. */
    @Test
    void computesWhatTheSourceComputes() throws Exception {
        double source = perplexity(TinyModel.bundled());
        assertThat(perplexity(rotated) / source).isCloseTo(1, within(0.005));
        assertThat(result.path("perplexity_after").asDouble()
                        / result.path("perplexity_before").asDouble())
                .isCloseTo(1, within(0.005));
        assertThat(result.path("bytes_before").asLong())
                .isEqualTo(RawArtifact.read(TinyModel.bundled()).tensors.values().stream()
                        .mapToLong(tensor -> tensor.bytes().capacity())
                        .sum());
    }

    @Test
    void isTheSameBytesOnOneThreadAndOtherOnesForAnotherSeed() throws Exception {
        Path again = directory.resolve("again");
        quantize(new Cli().with("OMP_NUM_THREADS", "1"), MODEL, again, "--rotate", "--self-samples", "2", "--no-eval");
        assertThat(again.resolve("model.safetensors")).hasSameBinaryContentAs(rotated.resolve("model.safetensors"));
        Path other = directory.resolve("other");
        quantize(MODEL, other, "--rotate", "--seed", "1", "--no-eval");
        assertThat(RawArtifact.read(other).floats("model.embed_tokens.weight"))
                .isNotEqualTo(RawArtifact.read(rotated).floats("model.embed_tokens.weight"));
    }

    /** From the Hub, block by block. */
    @Test
    void isTheSameBytesIfItIsStreamed() throws Exception {
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> bundled = Files.list(TinyModel.bundled())) {
            bundled.forEach(file -> files.put(file.getFileName().toString(), file));
        }
        Path streamed = directory.resolve("streamed");
        try (FakeHub hub = FakeHub.start()) {
            hub.repo("acme/tiny-llama").commit("main", "seed", files);
            Cli cli = new Cli()
                    .with("HF_ENDPOINT", hub.url())
                    .with("HF_HOME", directory.resolve("home").toString())
                    .with("HF_HUB_CACHE", "");
            quantize(cli, "acme/tiny-llama", streamed, "--rotate", "--self-samples", "2", "--stream", "--no-eval");
        }
        assertThat(streamed.resolve("model.safetensors")).hasSameBinaryContentAs(rotated.resolve("model.safetensors"));
    }

    @Test
    void givesATiedModelAHeadOfItsOwnAndSaysSo() throws Exception {
        TinyModel model = TinyModel.create();
        model.config.put("tie_word_embeddings", true);
        model.tensors.remove("lm_head.weight");
        Path source = model.write(directory.resolve("tied"));
        Path out = directory.resolve("tied-rotated");
        Cli.Result run = quantize(source.toString(), out, "--rotate", "--no-eval");
        assertThat(run.err()).contains("The head of the rotated model is no longer its embedding");
        assertThat(json(out.resolve("config.json")).path("tie_word_embeddings").asBoolean(true))
                .isFalse();
        assertThat(new TreeSet<>(RawArtifact.read(out).tensors.keySet()))
                .contains("lm_head.weight", "model.embed_tokens.weight");
        assertThat(perplexity(out) / perplexity(source)).isCloseTo(1, within(0.01));
    }

    @Test
    void refusesAModelWithLayerNorm() throws Exception {
        Path opt = directory.resolve("opt");
        Files.createDirectories(opt);
        TinyModel.JSON.writeValue(
                opt.resolve("config.json").toFile(),
                Map.of(
                        "model_type", "opt",
                        "hidden_size", 64,
                        "ffn_dim", 128,
                        "num_hidden_layers", 1,
                        "num_attention_heads", 2,
                        "vocab_size", 64,
                        "max_position_embeddings", 64));
        Files.write(opt.resolve("model.safetensors"), TinyModel.safetensors("{}", new byte[0]));
        Cli.Result run = new Cli()
                .run(
                        "quantize",
                        opt.toString(),
                        "--rotate",
                        "--out",
                        directory.resolve("no").toString());
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err())
                .contains(
                        "opt cannot be rotated into a checkpoint of the same family: its LayerNorm subtracts the mean");
        assertThat(directory.resolve("no")).doesNotExist();
    }
}
