package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What a user can get wrong: one sentence that names the place, the documented exit code, and a disk that looks as it
 * did before.
 */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class BadInputIT {
    private static final String UP = "model.layers.1.mlp.up_proj.weight";

    private final Cli cli = new Cli()
            .with("GPTQ4J_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            .with("HF_HUB_OFFLINE", "1"); // what is no directory may be a repository
    private final TinyModel tiny = TinyModel.create();

    @TempDir
    Path directory;

    private Path model = Path.of("");
    private Path out = Path.of("");
    private Path ids = Path.of("");

    @BeforeEach
    void names() throws IOException {
        int[] row = IntStream.range(0, 200).map(i -> i * 31 % 4096).toArray();
        ids = directory.resolve("ids.jsonl"); // spares the time to tokenize
        Files.writeString(ids, (Arrays.toString(row) + "\n").repeat(2));
        model = directory.resolve("model");
        out = directory.resolve("out");
    }

    private Cli.Result quantize(String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("quantize", model.toString(), "--group-size", "32"));
        List<String> chosen = List.of(more);
        if (!chosen.contains("--out")) {
            arguments.addAll(List.of("--out", out.toString()));
        }
        if (!chosen.contains("--samples")) {
            arguments.addAll(List.of("--samples", "2"));
        }
        if (!chosen.contains("--calibration")) {
            arguments.addAll(List.of("--calibration", ids.toString()));
        }
        if (chosen.contains("--group-size")) {
            arguments.subList(2, 4).clear();
        }
        arguments.addAll(chosen);
        return run(arguments.toArray(String[]::new));
    }

    /** Runs a command that must leave every file as it is. */
    private Cli.Result run(String... arguments) throws Exception {
        Set<String> before = files();
        Cli.Result result = cli.run(arguments);
        assertThat(files()).as(Arrays.toString(arguments) + result.err()).isEqualTo(before);
        return result;
    }

    private Set<String> files() throws IOException {
        Set<String> files = new TreeSet<>();
        try (Stream<Path> walk = Files.walk(directory)) {
            for (Path path : walk.toList()) {
                files.add(path + (Files.isRegularFile(path) ? " " + Files.size(path) : ""));
            }
        }
        return files;
    }

    private static void refused(Cli.Result result, int exitCode, Object... words) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(exitCode);
        assertThat(result.out()).isEmpty();
        List<String> lines = result.err()
                .lines()
                .filter(line -> !line.matches("(making text up|quantizing|evaluating|scoring)[ :].*"))
                .toList();
        assertThat(lines).hasSize(1).first().asString().startsWith("error: ");
        for (Object word : words) {
            assertThat(lines.get(0)).contains(word.toString());
        }
        assertThat(lines.get(0)).doesNotContain("Exception", ".partial");
    }

    /** Usage errors of the command line's grammar end with a second line that points to the help. */
    private static void misused(Cli.Result result, String... words) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .startsWith("error: ")
                .hasLineCount(2)
                .contains(words)
                .contains("\nTry 'gptq4j ");
    }

    private Path weights() {
        return model.resolve("model.safetensors");
    }

    @Nested
    class Weights {
        @Test
        void truncatedInTheData() throws Exception {
            byte[] whole = TinyModel.safetensors(TinyModel.header(tiny.tensors), TinyModel.data(tiny.tensors));
            tiny.write(model);
            Files.write(weights(), Arrays.copyOf(whole, whole.length / 2));
            refused(quantize(), 6, weights(), "truncated", "fetch it again");
        }

        @Test
        void truncatedInTheHeader() throws Exception {
            tiny.write(model);
            Files.write(weights(), Arrays.copyOf(Files.readAllBytes(weights()), 100));
            refused(quantize(), 6, weights(), "truncated");
        }

        @Test
        void empty() throws Exception {
            tiny.write(model);
            Files.write(weights(), new byte[0]);
            refused(quantize(), 6, weights(), "0 bytes");
        }

        @Test
        void aPointerOfGitLfs() throws Exception {
            tiny.write(model);
            Files.writeString(weights(), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
            refused(quantize(), 6, weights(), "Git LFS pointer");
        }

        @Test
        void overlapping() throws Exception {
            ObjectNode header = (ObjectNode) TinyModel.JSON.readTree(TinyModel.header(tiny.tensors));
            String q = "model.layers.0.self_attn.q_proj.weight";
            String o = "model.layers.0.self_attn.o_proj.weight";
            ((ObjectNode) header.get(o)).set("data_offsets", header.get(q).get("data_offsets"));
            tiny.write(model, header.toString(), TinyModel.data(tiny.tensors));
            refused(quantize(), 6, weights(), "overlap");
        }

        @Test
        void followedByAnotherFile() throws Exception {
            byte[] data = TinyModel.data(tiny.tensors);
            byte[] polyglot = Arrays.copyOf(data, data.length + 22);
            System.arraycopy("PK\5\6".getBytes(UTF_8), 0, polyglot, data.length, 4);
            tiny.write(model, TinyModel.header(tiny.tensors), polyglot);
            refused(quantize(), 6, weights(), "22 more bytes follow");
        }

        @Test
        void largerThanANumber() throws Exception {
            ObjectNode header = (ObjectNode) TinyModel.JSON.readTree(TinyModel.header(tiny.tensors));
            ((ObjectNode) header.get(UP)).putArray("shape").add(1L << 62).add(4);
            tiny.write(model, header.toString(), TinyModel.data(tiny.tensors));
            refused(quantize(), 6, weights(), UP, "too large");
        }

        @Test
        void namingATensorTwice() throws Exception {
            String header = TinyModel.header(tiny.tensors);
            String twice = "{\"" + UP + "\":" + TinyModel.JSON.readTree(header).get(UP) + "," + header.substring(1);
            tiny.write(model, twice, TinyModel.data(tiny.tensors));
            refused(quantize(), 6, weights(), UP, "twice");
        }

        @ParameterizedTest
        @CsvSource({"F128, unknown dtype", "I32, must be F16"})
        void ofADtypeThatIsNoWeights(String dtype, String sentence) throws Exception {
            String header = TinyModel.header(tiny.tensors).replace("\"F32\"", "\"" + dtype + "\"");
            tiny.write(model, header, TinyModel.data(tiny.tensors));
            refused(quantize(), 6, weights(), dtype, sentence);
        }

        @Test
        void withoutATensor() throws Exception {
            tiny.tensors.remove(UP);
            tiny.write(model);
            refused(quantize(), 6, UP, "missing", model);
        }

        @Test
        void ofAnotherShape() throws Exception {
            tiny.tensors.computeIfPresent(UP, (name, up) -> new TinyModel.Weight(List.of(64, 128), up.values()));
            tiny.write(model);
            refused(quantize(), 6, UP, "[64, 128]", "[128, 64]");
        }

        @Test
        void withoutAShard() throws Exception {
            tiny.write(model);
            Files.move(weights(), model.resolve("model-00001-of-00002.safetensors"));
            Map<String, String> map = new LinkedHashMap<>();
            tiny.tensors.keySet().forEach(name -> map.put(name, "model-00001-of-00002.safetensors"));
            map.put("more", "model-00002-of-00002.safetensors");
            TinyModel.JSON.writeValue(
                    model.resolve("model.safetensors.index.json").toFile(), Map.of("weight_map", map));
            refused(quantize(), 6, "model-00002-of-00002.safetensors is missing", "fetch");
        }

        @ParameterizedTest
        @CsvSource({
            "NaN, model.embed_tokens.weight",
            "Infinity, model.layers.1.mlp.up_proj.weight",
            "NaN, model.layers.0.input_layernorm.weight",
            "-Infinity, model.norm.weight",
            "NaN, lm_head.weight"
        })
        void thatAreNotFinite(float value, String name) throws Exception {
            tiny.weight(name).values()[7] = value;
            tiny.write(model);
            refused(quantize(), 6, name, weights(), "NaN or infinite");
        }

        @Test
        void beyondHalfPrecision() throws Exception {
            tiny.weight("lm_head.weight").values()[7] = 1e6f;
            tiny.write(model);
            refused(quantize(), 6, weights(), "lm_head.weight", "65504");
        }
    }

    @Nested
    class Configuration {
        @ParameterizedTest
        @ValueSource(strings = {"[1, 2]", "{\"a\": tru", "", "\0\1"})
        void thatIsNoJsonObject(String json) throws Exception {
            Files.writeString(tiny.write(model).resolve("config.json"), json);
            refused(quantize(), 6, model.resolve("config.json"), "JSON");
        }

        @ParameterizedTest
        @CsvSource({
            "model_type, mamba, the nearest family is llama",
            "hidden_act, snake, not a supported activation",
            "rms_norm_eps, small, expected a number",
            "vocab_size, 1000000000000, 32 bits",
            "num_attention_heads, 3, not divisible",
            "num_hidden_layers, 0, expected at least 1",
            "num_hidden_layers, -1, expected at least 1",
            "max_position_embeddings, 0, expected at least 1"
        })
        void withAValueThatCannotBe(String key, String value, String sentence) throws Exception {
            tiny.config.put(key, value.matches("-?\\d+") ? (Object) Long.valueOf(value) : value);
            tiny.write(model);
            refused(quantize(), 6, model.resolve("config.json"), value, sentence);
        }

        @Test
        void ofAModelThatIsQuantizedAlready() throws Exception {
            tiny.config.put("quantization_config", Map.of("quant_method", "gptq", "bits", 4, "group_size", 32));
            tiny.write(model);
            refused(quantize(), 6, model, "quantized already");
        }

        @Test
        void ofAnotherMethodOfQuantization() throws Exception {
            tiny.config.put("quantization_config", Map.of("quant_method", "awq", "bits", 4, "group_size", 32));
            tiny.write(model);
            refused(quantize(), 6, model, "quantized already");
            refused(
                    run(
                            "eval",
                            model.toString(),
                            "--text",
                            model.resolve("config.json").toString()),
                    6,
                    "awq",
                    "gptq");
        }

        @Test
        void thatLeavesNothingToPack() throws Exception {
            model = TinyModel.create(48, 80, 4096).write(model);
            refused(quantize(), 2, "multiples of 32", "self_attn.q_proj", "mlp.down_proj");
        }

        @Test
        void withModulesThatCannotBePackedWarnsAndTheArtifactLoads() throws Exception {
            model = TinyModel.create(64, 100, 4096).write(model);
            Cli.Result result = cli.run(
                    "quantize",
                    model.toString(),
                    "--group-size",
                    "32",
                    "--samples",
                    "2",
                    "--quiet",
                    "--out",
                    out.toString());
            assertThat(result.exitCode()).as(result.err()).isZero();
            assertThat(result.err())
                    .hasLineCount(1)
                    .startsWith("warning: ")
                    .contains("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "multiples of 32")
                    .doesNotContain("self_attn");
            assertThat(RawArtifact.read(out).tensors)
                    .containsKeys("model.layers.0.self_attn.q_proj.qweight", "model.layers.0.mlp.down_proj.weight")
                    .doesNotContainKeys("model.layers.0.mlp.down_proj.qweight");
            Path text = Files.writeString(directory.resolve("text"), "all work and no play ".repeat(60));
            Cli.Result eval = cli.run("eval", out.toString(), "--text", text.toString(), "--json");
            assertThat(eval.exitCode()).as(eval.err()).isZero();
        }
    }

    @Nested
    class Texts {
        private Path text = Path.of("");

        @BeforeEach
        void write() throws IOException {
            tiny.write(model);
            text = directory.resolve("text.txt");
        }

        private void refusedEverywhere(String... words) throws Exception {
            refused(quantize("--calibration", text.toString()), 6, (Object[]) words);
            refused(run("eval", model.toString(), "--text", text.toString()), 6, (Object[]) words);
            refused(run("score", model.toString(), "--text", text.toString()), 6, (Object[]) words);
        }

        @Test
        void thatAreBinary() throws Exception {
            Files.write(text, new byte[] {'a', (byte) 0xff, (byte) 0xfe, 0, 'b'});
            refusedEverywhere(text.toString(), "not UTF-8");
        }

        @Test
        void thatAreDirectories() throws Exception {
            Files.createDirectory(text);
            refusedEverywhere(text.toString(), "is a directory");
        }

        @Test
        void thatAreNotThere() throws Exception {
            refused(quantize("--calibration", text.toString()), 3, text);
            refused(run("eval", model.toString(), "--text", text.toString()), 3, text);
            refused(run("score", model.toString(), "--text", text.toString()), 3, text);
        }

        @Test
        void toEvaluateOn() throws Exception {
            refused(quantize("--eval-text", text.toString()), 3, text);
            Files.writeString(text, "a");
            refused(quantize("--eval-text", text.toString()), 2, text, "1 tokens");
            Files.write(text, new byte[] {(byte) 0xff});
            refused(quantize("--eval-text", text.toString()), 6, text, "not UTF-8");
        }

        @Test
        void shorterThanOneWindow() throws Exception {
            Files.writeString(text, "A dozen words at most.");
            refused(quantize("--calibration", text.toString()), 6, text, "128 tokens of one window", "--seqlen");
            refused(run("eval", model.toString(), "--text", text.toString()), 2, "window of 128", "--window");
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "{\"text\": \"a\"}\\n{\"text\":\\n | not valid JSON",
                    "{\"text\": \"a\"}\\n{\"words\": \"a\"}\\n | value 2",
                    "{\"input_ids\": [1, 2, 3]} | 128 tokens of one window",
                    "{\"input_ids\": [\"a\", 2, 3]} | value 1 has a token id that is not a number"
                })
        void thatAreMalformedJsonLines(String content, String sentence) throws Exception {
            text = Files.writeString(directory.resolve("text.jsonl"), content.replace("\\n", "\n"));
            String seqlen = sentence.contains("not a number") ? "3" : "128";
            refused(quantize("--calibration", text.toString(), "--seqlen", seqlen), 6, text, sentence);
        }
    }

    @Nested
    class Tokenizers {
        @Test
        void thatAreMissing() throws Exception {
            Files.delete(tiny.write(model).resolve("tokenizer.json"));
            refused(quantize(), 6, model.resolve("tokenizer.json"), "missing");
        }

        @ParameterizedTest
        @ValueSource(strings = {"{", "{}", "[]"})
        void thatAreNone(String json) throws Exception {
            Files.writeString(tiny.write(model).resolve("tokenizer.json"), json);
            refused(quantize(), 6, model.resolve("tokenizer.json"), "not a usable tokenizer");
        }

        @Test
        void withMoreIdsThanTheVocabulary() throws Exception {
            TinyModel.create(64, 128, 320).write(model);
            Path text = Files.writeString(directory.resolve("text"), "all work and no play ".repeat(60));
            refused(quantize("--calibration", text.toString()), 6, "vocabulary of 320", "tokenizer.json");
            refused(run("eval", model.toString(), "--text", text.toString(), "-q"), 6, "vocabulary of 320");
            Files.writeString(text, "all work and no play");
            refused(run("score", model.toString(), "--text", text.toString(), "-q"), 6, "vocabulary of 320");
        }
    }

    @Nested
    class Outputs {
        @BeforeEach
        void write() throws IOException {
            tiny.write(model);
        }

        @Test
        void thatHaveSomethingInThem() throws Exception {
            Files.writeString(Files.createDirectory(out).resolve("precious"), "data");
            refused(quantize(), 8, out, "not empty", "choose another");
            assertThat(out.resolve("precious")).hasContent("data");
        }

        @Test
        void thatAreFiles() throws Exception {
            Files.writeString(out, "data");
            refused(quantize(), 8, out, "no directory");
            assertThat(out).hasContent("data");
        }

        @Test
        void thatAreTheModelItself() throws Exception {
            refused(quantize("--out", model.toString()), 8, model, "not empty");
        }

        @Test
        void belowAFile() throws Exception {
            Path file = Files.writeString(directory.resolve("file"), "data");
            refused(
                    quantize("--out", file.resolve("out").toString()),
                    9,
                    file.resolve("out"),
                    file + " is no directory");
            Path deep = file.resolve("a").resolve("out");
            refused(quantize("--out", deep.toString()), 9, deep, "is no directory");
        }

        @Test
        void thatAreTheCurrentDirectory() throws Exception {
            cli.in(Files.createDirectory(out));
            refused(quantize("--out", "."), 8, "is the current directory");
            refused(quantize("--out", out.toString()), 8, "is the current directory");
        }

        @Test
        void whoseNewParentsGoWhenTheRunFails() throws Exception {
            tiny.weight("model.embed_tokens.weight").values()[0] = Float.NaN;
            Files.delete(weights());
            Files.write(weights(), TinyModel.safetensors(TinyModel.header(tiny.tensors), TinyModel.data(tiny.tensors)));
            refused(quantize("--out", out.resolve("a").resolve("b").toString()), 6, "model.embed_tokens.weight");
        }

        @Test
        void withTooLongAName() throws Exception {
            refused(quantize("--out", directory.resolve("x".repeat(250)).toString()), 9, "File name too long");
        }

        @Test
        void ofLogitsThatAreNoFile() throws Exception {
            Path nowhere = directory.resolve("nowhere").resolve("logits.npy");
            refused(
                    run("score", model.toString(), "--ids", "1,2", "-q", "--logits", nowhere.toString()),
                    9,
                    nowhere,
                    "does not exist");
            refused(
                    run("score", model.toString(), "--ids", "1,2", "-q", "--logits", model.toString()),
                    9,
                    model,
                    "is a directory");
        }
    }

    @Nested
    class Models {
        @Test
        void thatAreNotThere() throws Exception {
            refused(quantize(), 3, model);
            refused(run("inspect", model.toString()), 3, model);
        }

        @Test
        void thatAreEmptyDirectories() throws Exception {
            Files.createDirectory(model);
            refused(quantize(), 6, model.resolve("config.json"), "missing");
        }

        @Test
        void withoutWeights() throws Exception {
            Files.delete(tiny.write(model).resolve("model.safetensors"));
            refused(quantize(), 6, model, "no weights", "model.safetensors");
        }

        @Test
        void thatAreFiles() throws Exception {
            Files.writeString(model, "data");
            refused(quantize(), 6, model, "not a directory");
        }

        @Test
        void thatAreNotNamed() throws Exception {
            misused(run("quantize", "--out", out.toString()), "MODEL");
            misused(run("quantize", model.toString()), "--out");
        }
    }

    @Nested
    class Options {
        @BeforeEach
        void write() throws IOException {
            tiny.write(model);
        }

        @ParameterizedTest
        @CsvSource({
            "--bits, 5, '2, 3, 4 or 8'",
            "--damp-percent, 0, between 0 and 1",
            "--damp-percent, 1, between 0 and 1",
            "--samples, 0, --samples",
            "--self-samples, -1, --self-samples",
            "--seqlen, -1, --seqlen",
            "--seqlen, 1, 2 tokens or more",
            "--seqlen, 129, it takes 2 to 128",
            "--group-size, 128, '64, 32'",
            "--group-size, 48, '64, 32'",
            "--group-size, 0, multiple of 8",
            "--device, tpu, 'auto, cpu or cuda:N'",
            "--device, cuda:99999999999, is not there",
            "--dtype, int8, float32",
            "--mse, -1, 2.4",
            "--shard-size, 0, 5GB"
        })
        void withAValueThatIsNotAllowed(String option, String value, String sentence) throws Exception {
            refused(quantize(option, value), 2, value, sentence);
        }

        @Test
        void thatAskForAGpuWithoutACudaBuild() throws Exception {
            cli.with("PYTORCH_LIBRARY_PATH", "");
            refused(quantize("--device", "cuda:0"), 2, "cuda:0 is not there", "--device cpu");
        }

        @Test
        void thatDoNotParse() throws Exception {
            misused(quantize("--bits", "four"), "--bits", "'four'");
            misused(run("score", model.toString(), "--ids", "1,x"), "--ids", "'x'");
        }

        @Test
        void withTokensOutsideTheVocabulary() throws Exception {
            refused(run("score", model.toString(), "--ids", "5,4096", "-q"), 2, "4096", "0 to 4095");
            refused(run("score", model.toString(), "--ids", "5", "-q"), 2, "it takes 2 to 128");
        }
    }
}
