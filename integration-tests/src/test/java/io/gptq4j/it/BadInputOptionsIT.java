package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What a user can get wrong beside the model: one sentence that names the place, the documented exit code, and
 * a disk that looks as it did before.
 */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class BadInputOptionsIT extends BadInputFixture {
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
