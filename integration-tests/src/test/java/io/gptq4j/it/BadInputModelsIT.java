package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What a user can get wrong about a model: one sentence that names the place, the documented exit code, and
 * a disk that looks as it did before.
 */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class BadInputModelsIT extends BadInputFixture {
    private static final String UP = "model.layers.1.mlp.up_proj.weight";

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
}
