package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Which files the artifact has beside its tensors, and when its directory appears. */
class ArtifactWriterDirectoryTest extends ArtifactWriterFixture {
    @Test
    void copiesTokenizerCodeAndLicencesAndNothingElse() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        List<String> expected = new ArrayList<>(COPIED);
        expected.addAll(List.of("config.json", "model.safetensors", "quantize_config.json"));
        Collections.sort(expected);
        assertThat(names(out)).isEqualTo(expected);
        for (String name : COPIED) {
            assertThat(out.resolve(name)).hasContent("content of " + name);
        }
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void followsTheLinksOfAHubCache() throws IOException {
        Path blob = Files.writeString(directory.resolve("blob"), "the tokenizer");
        Files.delete(source.resolve("tokenizer.json"));
        Files.createSymbolicLink(source.resolve("tokenizer.json"), blob);

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.isSymbolicLink(out.resolve("tokenizer.json"))).isFalse();
        assertThat(out.resolve("tokenizer.json")).hasContent("the tokenizer");
    }

    @Test
    void configKeepsItsKeysAndGainsTheQuantizationObject() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.readString(out.resolve("config.json"))).isEqualTo("""
                        {
                          "architectures": [
                            "LlamaForCausalLM"
                          ],
                          "_name_or_path": "meta/llama-2",
                          "model_type": "llama",
                          "rms_norm_eps": 1e-05,
                          "rope_scaling": null,
                          "tie_word_embeddings": true,
                          "torch_dtype": "float16",
                          "vocab_size": 64,
                          "quantization_config": {
                            "bits": 4,
                            "group_size": 32,
                            "damp_percent": 0.01,
                            "desc_act": false,
                            "static_groups": false,
                            "sym": true,
                            "true_sequential": true,
                            "lm_head": false,
                            "model_name_or_path": null,
                            "model_file_base_name": "model",
                            "quant_method": "gptq",
                            "checkpoint_format": "gptq",
                            "pack_dtype": "int32",
                            "meta": {}
                          }
                        }
                        """);
        ObjectMapper json = new ObjectMapper();
        JsonNode block = json.readTree(out.resolve("config.json").toFile()).get("quantization_config");
        assertThat(block.toString())
                .isEqualTo(json.readTree(out.resolve("quantize_config.json").toFile())
                        .toString());
    }

    @Test
    void configIsTruthfulAboutTiesAndTypes() throws IOException {
        Files.writeString(source.resolve("config.json"), "{\"dtype\": \"bfloat16\", \"tie_word_embeddings\": true}");
        Map<String, Object> entries = Map.of("vocab_size", 99);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(
                        out,
                        new ArtifactWriter.Plan(
                                checkpoint,
                                QuantizeConfig.of(4, 32, false, true),
                                List.of(),
                                carried(),
                                1 << 30,
                                false,
                                entries,
                                Set.of()))) {
            writer.commit();
        }

        JsonNode config = new ObjectMapper().readTree(out.resolve("config.json").toFile());
        assertThat(config.get("tie_word_embeddings").booleanValue()).isFalse();
        assertThat(config.get("dtype").textValue()).isEqualTo("float16");
        assertThat(config.get("torch_dtype").textValue()).isEqualTo("float16");
        assertThat(config.get("vocab_size").intValue()).isEqualTo(99);
    }

    @Test
    void anEmptyDirectoryMayBeTheOutput() throws IOException {
        Files.createDirectory(out);
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);
        assertThat(out.resolve("model.safetensors")).exists();
    }

    @Test
    void aLinkToAnEmptyDirectoryMayBeTheOutput() throws IOException {
        Path real = Files.createDirectory(directory.resolve("real"));
        Files.createSymbolicLink(out, real);

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.isSymbolicLink(out)).isTrue();
        assertThat(real.resolve("model.safetensors")).exists();
    }

    @Test
    void missingParentsAreCreated() throws IOException {
        Path deep = parent.resolve("a/b/c");
        writeAll(deep, QuantizeConfig.of(4, 32, false, true), 1 << 30);
        assertThat(deep.resolve("model.safetensors")).exists();
    }

    @Test
    void refusesAnOutputThatIsTakenBeforeAnyWork() throws IOException {
        Files.createDirectory(out);
        Path kept = Files.writeString(out.resolve("kept"), "mine");
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(out + ": the output is not empty: choose another directory or empty this one");
            assertThatThrownBy(() -> ArtifactWriter.create(kept, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(kept + ": the output is there already and is no directory: choose another name");
        }
        assertThat(kept).hasContent("mine");
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void refusesAnOutputThatIsTakenMeanwhileAndCommitsOnceItIsFree() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            Files.createDirectory(out);
            Path foreign = Files.writeString(out.resolve("foreign"), "theirs");

            assertThatThrownBy(writer::commit).isInstanceOf(FileAlreadyExistsException.class);
            assertThat(foreign).hasContent("theirs");
            Files.delete(foreign);
            writer.commit();
        }
        assertThat(out.resolve("model.safetensors")).exists();
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void refusesASecondWriterOfTheSameOutput() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(out + ": the output is being written by another run: wait for it or choose another"
                            + " directory");
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            writer.commit();
        }
        assertThat(out.resolve("model.safetensors")).exists();
    }

    @Test
    void removesWhatAKilledRunLeft() throws IOException {
        Path partial = Files.createDirectories(parent.resolve(".model-gptq.partial/deep"));
        Files.writeString(partial.resolve("x"), "half a model");
        Files.writeString(parent.resolve(".model-gptq.partial.lock"), "");

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(names(parent)).containsExactly("model-gptq");
        assertThat(out.resolve("deep")).doesNotExist();
    }

    @Test
    void leavesNothingWithoutACommit() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            writer.write(linears(QuantizeConfig.of(4, 32, false, true), false).get(0));
            assertThat(out).doesNotExist();
            assertThat(names(parent)).containsExactly(".model-gptq.partial", ".model-gptq.partial.lock");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void isCompleteAndCanBeAddedToBeforeItHasItsName() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            Path staged = writer.complete();
            assertThat(out).doesNotExist();
            try (Checkpoint complete = Checkpoint.open(staged)) {
                assertThat(ArtifactReader.of(complete).modules()).hasSize(11);
            }
            writer.add("README.md", "Größe\r\n");
            assertThatThrownBy(() -> writer.add("config.json", "{}")).isInstanceOf(FileAlreadyExistsException.class);
            for (String name : List.of("", ".", "..", "../x", "a/b", "/x")) {
                assertThatThrownBy(() -> writer.add(name, "")).isInstanceOf(IllegalArgumentException.class);
            }
            writer.commit();
        }
        assertThat(out.resolve("README.md")).hasBinaryContent("Größe\r\n".getBytes(StandardCharsets.UTF_8));
        assertThat(names(parent)).containsExactly("model-gptq");
    }
}
