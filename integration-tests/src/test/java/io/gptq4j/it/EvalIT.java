package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code eval} and {@code score} on the bundled model, against transformers' numbers and against each other. */
class EvalIT {
    private static final String MODEL = TinyModel.bundled().toString();
    private static final Path GOLDEN =
            SourceTree.root().resolve(Path.of("gptq-engine/src/test/resources/io/gptq4j/eval/tiny-llama.json.gz"));
    private static final String TEXT = "We hold these truths to be self-evident, that all men are created equal, that"
            + " they are endowed by their Creator with certain unalienable Rights.\n";

    private final Cli cli = new Cli();

    @TempDir
    Path directory;

    /** The one JSON value on standard output; anything else there fails. */
    private static JsonNode json(Cli.Result result) throws Exception {
        assertThat(result.exitCode()).as(result.err()).isZero();
        return TinyModel.JSON
                .readerFor(JsonNode.class)
                .with(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .readValue(result.out());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "long_"})
    void scoresLikeTransformers(String prefix) throws Exception {
        JsonNode golden;
        try (InputStream in = new GZIPInputStream(Files.newInputStream(GOLDEN))) {
            golden = TinyModel.JSON.readTree(in);
        }
        JsonNode ids = golden.path(prefix + "prompt_ids");
        Path npy = directory.resolve("logits.npy");
        JsonNode result = json(cli.run(
                "score",
                MODEL,
                "--ids",
                StreamSupport.stream(ids.spliterator(), false)
                        .map(JsonNode::asText)
                        .collect(Collectors.joining(",")),
                "--logits",
                npy.toString(),
                "--json"));
        assertThat(result.path("ids")).isEqualTo(ids);
        JsonNode expected = golden.path(prefix + "token_loglik");
        assertThat(result.path("loglik")).hasSize(expected.size()).hasSize(ids.size() - 1);
        double sum = 0;
        for (int i = 0; i < expected.size(); i++) {
            sum += result.path("loglik").get(i).asDouble();
            assertThat(result.path("loglik").get(i).asDouble())
                    .as("token %d", i + 1)
                    .isCloseTo(expected.get(i).asDouble(), within(1e-3));
        }
        assertThat(result.path("sum").asDouble()).isCloseTo(sum, within(1e-9));

        ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(npy)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] magic = new byte[8];
        file.get(magic);
        assertThat(magic).containsExactly(0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0);
        byte[] header = new byte[file.getShort()];
        file.get(header);
        assertThat(file.position() % 64).isZero();
        assertThat(new String(header, US_ASCII).replace(" ", ""))
                .isEqualTo("{'descr':'<f4','fortran_order':False,'shape':(" + ids.size() + ",4096),}\n");
        assertThat(file.remaining()).isEqualTo(ids.size() * 4096 * 4);
        JsonNode last = golden.path(prefix + "last_logits");
        assertThat(last).hasSize(4096);
        for (int v = 0; v < 4096; v++) {
            float logit = file.getFloat(file.position() + ((ids.size() - 1) * 4096 + v) * 4);
            assertThat((double) logit).as("logit %d", v).isCloseTo(last.get(v).asDouble(), within(1e-3));
        }
        try (var files = Files.list(directory)) {
            assertThat(files).containsExactly(npy);
        }
    }

    @Test
    void evaluatesAWindowToWhatItsTokensScore() throws Exception {
        Path text = Files.writeString(directory.resolve("text.txt"), TEXT);
        JsonNode score = json(cli.run("score", MODEL, "--text", text.toString(), "--json"));
        int tokens = score.path("ids").size();
        JsonNode eval =
                json(cli.run("eval", MODEL, "--text", text.toString(), "--window", String.valueOf(tokens), "--json"));
        assertThat(eval.path("windows").asInt()).isEqualTo(1);
        assertThat(eval.path("tokens").asInt()).isEqualTo(tokens - 1).isGreaterThan(20);
        assertThat(eval.path("nll").asDouble()).isCloseTo(-score.path("sum").asDouble() / (tokens - 1), within(1e-6));
        assertThat(eval.path("perplexity").asDouble())
                .isCloseTo(Math.exp(eval.path("nll").asDouble()), within(1e-6))
                .isCloseTo(score.path("perplexity").asDouble(), within(1e-3));
    }

    @Test
    void keepsResultAndProgressApart() throws Exception {
        Path text = Files.writeString(directory.resolve("text.txt"), TEXT);
        Cli.Result loud = cli.run("eval", MODEL, "--text", text.toString(), "--window", "16");
        assertThat(loud.exitCode()).isZero();
        assertThat(loud.out())
                .matches("perplexity \\d+\\.\\d{4}  \\(\\d+ windows of 16 tokens, float32 on cpu, .* s\\)\\R");
        assertThat(loud.err()).contains("6/6").doesNotContain("perplexity", "\r");
        Cli.Result quiet = cli.run("eval", MODEL, "--text", text.toString(), "--window", "16", "--quiet");
        assertThat(quiet.err()).isEmpty();
        assertThat(quiet.out().replaceFirst(", [^,]* s\\)", ""))
                .isEqualTo(loud.out().replaceFirst(", [^,]* s\\)", ""));
    }
}
