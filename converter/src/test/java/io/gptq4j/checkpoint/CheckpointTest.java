package io.gptq4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsException;
import io.gptq4j.safetensors.SafetensorsHeader;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    @TempDir
    Path directory;

    @BeforeEach
    void writeConfig() throws IOException {
        Files.writeString(directory.resolve("config.json"), "{\"model_type\":\"opt\"}");
    }

    @Test
    void opensSingleFile() throws IOException {
        shard("model.safetensors", 1, "a", "b");
        shard("other.safetensors", 2, "c");
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(checkpoint.directory()).isEqualTo(directory);
            assertThat(checkpoint.config().modelType()).isEqualTo("opt");
            assertThat(checkpoint.tensors().tensors().keySet()).containsExactly("a", "b");
        }
    }

    @Test
    void opensShardsByTheirIndexBeforeAnythingElse() throws IOException {
        shard("model.safetensors", 9, "a");
        shard("model-00001-of-00002.safetensors", 1, "b", "z");
        shard("model-00002-of-00002.safetensors", 2, "a");
        index(
                "model.safetensors.index.json",
                "{\"metadata\":{\"total_size\":999},\"weight_map\":{\"z\":\"model-00001-of-00002.safetensors\","
                        + "\"a\":\"model-00002-of-00002.safetensors\",\"b\":\"model-00001-of-00002.safetensors\"}}");
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(checkpoint.tensors().tensors().keySet()).containsExactly("a", "b", "z");
            ByteBuffer value = ByteBuffer.allocate(2);
            checkpoint.tensors().read("a", 0, value);
            assertThat(value.array()).containsExactly(2, 2);
            assertThat(checkpoint.tensors().location("z"))
                    .isEqualTo(directory
                            .resolve("model-00001-of-00002.safetensors")
                            .toString());
        }
    }

    @Test
    void opensTheOnlyOtherSafetensorsFile() throws IOException {
        shard("gptq_model-4bit-128g.safetensors", 1, "a");
        Files.writeString(directory.resolve("pytorch_model.bin"), "never looked at");
        assertNames("a");
    }

    @Test
    void opensTheOnlyOtherIndex() throws IOException {
        shard("model.fp16-1.safetensors", 1, "a");
        shard("model.fp16-2.safetensors", 1, "b");
        index(
                "model.fp16.safetensors.index.json",
                "{\"weight_map\":{\"a\":\"model.fp16-1.safetensors\",\"b\":\"model.fp16-2.safetensors\"}}");
        assertNames("a", "b");
    }

    @Test
    void opensTorchFileAndTorchShards() throws IOException {
        torch("pytorch_model.bin", "a");
        assertNames("a");
        torch("pytorch_model-00001-of-00002.bin", "b");
        torch("pytorch_model-00002-of-00002.bin", "c");
        index(
                "pytorch_model.bin.index.json",
                "{\"weight_map\":{\"b\":\"pytorch_model-00001-of-00002.bin\",\"c\":\"pytorch_model-00002-of-00002.bin\"}}");
        assertNames("b", "c");
    }

    @Test
    void opensHundredsOfShards() throws IOException {
        StringBuilder map = new StringBuilder("{\"weight_map\":{");
        for (int i = 0; i < 400; i++) {
            String name = String.format("model-%05d-of-00400.safetensors", i + 1);
            Files.write(directory.resolve(name), emptyShard("t" + i));
            map.append(i == 0 ? "" : ",")
                    .append("\"t")
                    .append(i)
                    .append("\":\"")
                    .append(name)
                    .append('"');
        }
        index("model.safetensors.index.json", map.append("}}").toString());
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(checkpoint.tensors().tensors()).hasSize(400);
        }
    }

    @Test
    void namesMissingShard() throws IOException {
        shard("model-1.safetensors", 1, "a");
        index(
                "model.safetensors.index.json",
                "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\",\"c\":\"model-2.safetensors\"}}");
        assertThat(refusal())
                .hasMessage("Shard " + directory.resolve("model-2.safetensors") + " is missing, but "
                        + directory.resolve("model.safetensors.index.json")
                        + " places 2 tensors in it: fetch the file");
    }

    @Test
    void namesTensorThatIsNotWhereTheIndexSays() throws IOException {
        shard("model-1.safetensors", 1, "a");
        index(
                "model.safetensors.index.json",
                "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\"}}");
        assertThat(refusal())
                .hasMessage("Tensor 'b' is not in " + directory.resolve("model-1.safetensors") + ", where "
                        + directory.resolve("model.safetensors.index.json")
                        + " places it: the index and the shard do not belong together");
    }

    @Test
    void namesTensorThatTheIndexDoesNotKnow() throws IOException {
        shard("model-1.safetensors", 1, "a", "extra");
        index("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"model-1.safetensors\"}}");
        assertThat(refusal()).hasMessageStartingWith("Tensor 'extra' is in ").hasMessageContaining("does not place it");
    }

    @Test
    void refusesTensorThatIsInTwoShards() throws IOException {
        shard("model-1.safetensors", 1, "a", "b");
        shard("model-2.safetensors", 1, "b", "c");
        index(
                "model.safetensors.index.json",
                "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\",\"c\":\"model-2.safetensors\"}}");
        assertThat(refusal())
                .hasMessageStartingWith("Tensor 'b' is in " + directory.resolve("model-2.safetensors") + ", but ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"../model.safetensors\"",
                "\"/etc/passwd\"",
                "\"sub/model.safetensors\"",
                "\"sub\\\\model.safetensors\"",
                "\"C:model.safetensors\"",
                "\"..\"",
                "\".\"",
                "\"\"",
                "\"a\\u0000b\"",
                "7",
                "null",
                "[]"
            })
    void refusesShardNameThatIsNotAPlainFileName(String name) throws IOException {
        index("model.safetensors.index.json", "{\"weight_map\":{\"a\":" + name + "}}");
        assertThat(refusal()).hasMessageContaining("expected the plain name of a file beside the index");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "{\"weight_map\":{}}", "{\"weight_map\":[]}", "{\"weight_map\":null}"})
    void refusesIndexWithoutWeightMap(String index) throws IOException {
        index("model.safetensors.index.json", index);
        assertThat(refusal()).hasMessageContaining("'weight_map' must be an object");
    }

    @Test
    void refusesIndexThatNamesATensorTwice() throws IOException {
        index("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}");
        assertThat(refusal()).hasMessageContaining("Duplicate field 'a'");
    }

    @Test
    void namesTruncatedShard() throws IOException {
        Path file = shard("model.safetensors", 1, "a");
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
        assertThat(catchThrowableOfType(SafetensorsException.class, () -> Checkpoint.open(directory)))
                .hasMessageStartingWith(file + ": the tensors need 2 bytes");
    }

    @Test
    void refusesSeveralUnnamedFilesUnlessTheyAreNeeded() throws IOException {
        shard("x.safetensors", 1, "x");
        shard("y.safetensors", 1, "y");
        assertThat(refusal())
                .hasMessageContaining(
                        "no model.safetensors and several other weight files, x.safetensors, y.safetensors");
        torch("pytorch_model.bin", "a");
        assertNames("a");
    }

    @Test
    void saysWhatIsMissing() throws IOException {
        assertThat(refusal()).hasMessageStartingWith(directory + " has no weights: expected model.safetensors,");
        Files.delete(directory.resolve("config.json"));
        assertThat(refusal()).hasMessageStartingWith(directory.resolve("config.json") + " is missing");
        Path none = directory.resolve("none");
        assertThat(catchThrowableOfType(CheckpointException.class, () -> Checkpoint.open(none)))
                .hasMessageStartingWith(none + " is not a directory");
    }

    @Test
    void findsTheTokenizerOrSaysHowToMakeOne() throws IOException {
        shard("model.safetensors", 1, "a");
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(catchThrowableOfType(CheckpointException.class, checkpoint::tokenizerJson))
                    .hasMessageEndingWith("is missing: fetch it from the model's repository");
            Files.writeString(directory.resolve("tokenizer.model"), "");
            assertThat(catchThrowableOfType(CheckpointException.class, checkpoint::tokenizerJson))
                    .hasMessageContaining("cannot be made of tokenizer.model here: convert once with AutoTokenizer");
            Files.writeString(directory.resolve("qwen.tiktoken"), "");
            assertThat(catchThrowableOfType(CheckpointException.class, checkpoint::tokenizerJson))
                    .hasMessageContaining("what comes with qwen.tiktoken is code; put the tokenizer.json of a model");
            Files.writeString(directory.resolve("tokenizer.json"), "{}");
            assertThat(checkpoint.tokenizerJson()).isEqualTo(directory.resolve("tokenizer.json"));
        }
    }

    private void assertNames(String... names) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertThat(checkpoint.tensors().tensors().keySet()).containsExactly(names);
        }
    }

    private CheckpointException refusal() {
        CheckpointException refusal = catchThrowableOfType(
                CheckpointException.class, () -> Checkpoint.open(directory).close());
        assertThat(refusal).as("the repository must be refused").isNotNull();
        return refusal;
    }

    private void index(String name, String json) throws IOException {
        Files.writeString(directory.resolve(name), json);
    }

    private Path shard(String file, int value, String... names) throws IOException {
        List<TensorInfo> tensors = Arrays.stream(names)
                .map(name -> TensorInfo.of(name, DType.U8, 2))
                .toList();
        Path path = directory.resolve(file);
        try (SafetensorsWriter writer = SafetensorsWriter.create(path, tensors, Map.of("format", "pt"))) {
            for (String name : names) {
                writer.write(name, 0, ByteBuffer.wrap(new byte[] {(byte) value, (byte) value}));
            }
            writer.commit();
        }
        return path;
    }

    private static byte[] emptyShard(String name) {
        return SafetensorsHeader.encode(List.of(TensorInfo.of(name, DType.U8, 0)), Map.of());
    }

    private void torch(String file, String name) throws IOException {
        TorchFiles.stateDict()
                .tensor(name, "HalfStorage", "0", 2, 0, new long[] {2}, new long[] {1})
                .end()
                .entry("data/0", new byte[4])
                .zip(directory.resolve(file));
    }
}
