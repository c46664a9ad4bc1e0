package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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

    /** Of the kind that the model was trained on: on others the flatter predictions of two bits can be the better ones. */
    private static final Path PROSE =
            SourceTree.root().resolve(Path.of("gptq-engine/src/main/resources/io/gptq4j/eval/heldout.txt"));

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

    private Path quantized(String name, String... options) throws Exception {
        Path out = directory.resolve(name);
        List<String> words = new ArrayList<>(List.of("quantize", MODEL, "--group-size", "64", "--samples", "8"));
        words.addAll(List.of("--seqlen", "128", "--no-eval", "--quiet", "--out", out.toString()));
        words.addAll(List.of(options));
        Cli.Result result = cli.run(words.toArray(String[]::new));
        assertThat(result.exitCode()).as(result.err()).isZero();
        return out;
    }

    private static String[] eval(Object... words) {
        return Stream.concat(
                        Stream.of("eval", "--text", PROSE.toString(), "--window", "128", "--windows", "12"),
                        Stream.of(words).map(String::valueOf))
                .toArray(String[]::new);
    }

    @Test
    void comparesModelsInTextAndJson() throws Exception {
        Path four = quantized("four", "--bits", "4");
        Path two = quantized("two", "--bits", "2", "--no-float-target"); // so bad that twelve windows show it
        JsonNode compared = json(cli.run(eval(four, "--compare", two, "--reference", MODEL, "--json")));
        assertThat(compared.path("windows").asInt()).isEqualTo(12);
        assertThat(compared.path("tokens").asInt()).isEqualTo(12 * 127);
        for (String side : List.of("reference", "a", "b")) {
            JsonNode model = compared.path(side);
            double alone = json(cli.run(eval(model.path("model").asText(), "--json")))
                    .path("perplexity")
                    .asDouble();
            assertThat(model.path("perplexity").asDouble()).isCloseTo(alone, within(alone * 1e-5));
        }
        JsonNode ofFour = compared.path("a").path("kl_divergence");
        JsonNode ofTwo = compared.path("b").path("kl_divergence");
        assertThat(ofFour.path("low").asDouble()).isPositive();
        assertThat(ofTwo.path("low").asDouble())
                .isGreaterThan(ofFour.path("high").asDouble());
        assertThat(ofTwo.path("median").asDouble()).isLessThan(ofTwo.path("p99").asDouble());
        assertThat(ofTwo.path("p99").asDouble()).isLessThan(ofTwo.path("max").asDouble());
        assertThat(compared.path("a").path("top1_agreement").path("mean").asDouble())
                .isBetween(0.9, 1.0)
                .isGreaterThan(
                        compared.path("b").path("top1_agreement").path("mean").asDouble());
        assertThat(compared.path("verdict").path("kl_divergence").asText()).isEqualTo("worse");
        assertThat(compared.path("verdict").path("sentence").asText()).startsWith("B is worse than A: ");

        // The float model is the reference without being named, and one model may be held against it alone.
        Cli.Result text = cli.run(eval(MODEL, "--compare", two, "--quiet"));
        assertThat(text.exitCode()).as(text.err()).isZero();
        assertThat(text.out().lines())
                .contains("A          " + MODEL, "B          " + two)
                .anyMatch(line -> line.startsWith("KL divergence, mean"))
                .last()
                .asString()
                .startsWith("B is worse than A: perplexity +");
        JsonNode alone = json(cli.run(eval(two, "--reference", MODEL, "--json")));
        assertThat(alone.path("a")).isEqualTo(compared.path("b"));
        assertThat(alone.path("b").isNull()).isTrue();

        // Without a float model there is no divergence, and a note says how to get it.
        Cli.Result blind = cli.run(eval(four, "--compare", two));
        assertThat(blind.exitCode()).isZero();
        assertThat(blind.out()).contains("B is worse than A: perplexity +").doesNotContain("KL");
        assertThat(blind.err()).contains("add --reference with the float model");
    }

    @Test
    void aModelDoesNotDifferFromItself() throws Exception {
        JsonNode same = json(cli.run(eval(MODEL, "--compare", MODEL, "--json")));
        assertThat(same.path("b").path("kl_divergence").path("max").asDouble()).isZero();
        assertThat(same.path("b").path("top1_agreement").path("low").asDouble()).isEqualTo(1);
        assertThat(same.path("difference").path("nll").path("mean").asDouble()).isZero();
        assertThat(same.path("verdict").path("perplexity").asText()).isEqualTo("same");
    }

    @Test
    void refusesModelsThatCannotBeCompared() throws Exception {
        Path stranger = TinyModel.create().write(directory.resolve("stranger"));
        Path tokenizer = stranger.resolve("tokenizer.json");
        ObjectNode other = (ObjectNode) TinyModel.JSON.readTree(tokenizer.toFile());
        ObjectNode vocabulary = (ObjectNode) other.path("model").path("vocab");
        JsonNode id = vocabulary.get("e");
        vocabulary.set("e", vocabulary.get("t"));
        vocabulary.set("t", id);
        TinyModel.JSON.writeValue(tokenizer.toFile(), other);
        assertRefused("have different tokenizers", eval(MODEL, "--compare", stranger));

        Path larger = TinyModel.create(64, 128, 4100).write(directory.resolve("larger"));
        assertRefused("these have 4096 and 4100 entries", eval(MODEL, "--compare", larger));
        assertRefused("--reference is " + MODEL + " itself", eval(MODEL, "--reference", MODEL));
        assertRefused("two windows or more", new String[] {
            "eval",
            MODEL,
            "--compare",
            MODEL,
            "--windows",
            "1",
            "--text",
            SourceTree.root().resolve("LICENSE").toString()
        });
    }

    private void assertRefused(String sentence, String... words) throws Exception {
        Cli.Result result = cli.run(words);
        assertThat(result.exitCode()).as(result.err()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err()).contains("error: ", sentence);
    }
}
