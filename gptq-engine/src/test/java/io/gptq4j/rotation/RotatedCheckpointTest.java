package io.gptq4j.rotation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.gptq.TinyModels;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.FamilyTest;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A rotated checkpoint against the one it is made of: another one of its family, and the same function. */
class RotatedCheckpointTest extends FamilyTest {
    private static Map<String, Object> llama(Object... changes) {
        return TinyModels.config("llama", changes);
    }

    static Stream<Arguments> models() {
        return Stream.of(
                Arguments.of("hidden size 96 = 12 x 8", llama()),
                Arguments.of("a power of two", llama("hidden_size", 64)),
                Arguments.of("30, for which there is no Hadamard matrix", llama("hidden_size", 30, "head_dim", 8)),
                Arguments.of("grouped queries", llama("num_key_value_heads", 2)),
                Arguments.of("biases", llama("attention_bias", true, "mlp_bias", true, "num_key_value_heads", 1)),
                Arguments.of("heads wider than the stream", llama("head_dim", 40)),
                Arguments.of("a tied head", llama("tie_word_embeddings", true)));
    }

    /**
     * Logits of these models are a few units large, and rotated ones were off by at most 1.5e-5: what the rounding of the
     * forward pass and of the rotated weights to float32 (2^-24 of each) comes to after two blocks. A norm that is not folded,
     * or a tensor that is not rotated, moves them by more than 0.1.
     */
    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("models")
    void computesTheSameLogits(String name, Map<String, Object> config) throws Exception {
        try (Checkpoint original = Checkpoint.open(TinyCheckpoint.of(config, 1).write(directory))) {
            float[] expected = logits(original);
            assertThat(largest(expected)).isBetween(3.0, 10.0);
            assertClose(logits(RotatedCheckpoint.of(original, 1)), expected, 5e-5);
        }
    }

    @ParameterizedTest(name = "stored as {0}, seed 2")
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16", "F64"})
    void rotatesWeightsOfEveryFloatingType(DType stored) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 2);
        try (Checkpoint original = Checkpoint.open(tiny.write(directory));
                Checkpoint other = original.with(original.config(), new Retyped(original.tensors(), stored))) {
            float[] expected = logits(other);
            assertThat(largest(expected)).isBetween(3.0, 10.0);
            assertClose(logits(RotatedCheckpoint.of(other, 2)), expected, 5e-5);
        }
    }

    /** Against which the tolerance above is to be seen. */
    @ParameterizedTest(name = "{0}, seed 3")
    @ValueSource(
            strings = {
                "model.embed_tokens.weight",
                "model.layers.0.input_layernorm.weight",
                "model.layers.1.self_attn.o_proj.weight",
                "model.layers.1.self_attn.o_proj.bias",
                "model.layers.1.mlp.down_proj.bias",
                "model.norm.weight"
            })
    void computesOthersIfOneTensorIsLeftAsItWas(String name) throws Exception {
        Map<String, Object> config = llama("attention_bias", true, "mlp_bias", true);
        try (Checkpoint original = Checkpoint.open(TinyCheckpoint.of(config, 3).write(directory))) {
            Checkpoint rotated = RotatedCheckpoint.of(original, 3);
            Checkpoint mixed =
                    original.with(original.config(), new Replaced(rotated.tensors(), name, original.tensors()));
            float[] expected = logits(original);
            float[] actual = logits(mixed);
            double largest = 0;
            for (int i = 0; i < expected.length; i++) {
                largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
            }
            assertThat(largest).isGreaterThan(0.1);
        }
    }

    @Test
    void isAnotherCheckpointOfTheFamilyWithNormsOfOnes() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama("attention_bias", true), 4);
        try (Checkpoint original = Checkpoint.open(tiny.write(directory))) {
            Checkpoint rotated = RotatedCheckpoint.of(original, 4);
            assertThat(rotated.config().values()).isEqualTo(original.config().values());
            assertThat(rotated.directory()).isEqualTo(original.directory());
            assertThat(rotated.tensors().tensors().keySet())
                    .containsExactlyElementsOf(original.tensors().tensors().keySet());
            original.tensors()
                    .tensors()
                    .forEach((name, info) -> assertThat(rotated.tensors().tensor(name))
                            .isEqualTo(new TensorInfo(name, DType.F32, info.shape())));
            for (String norm : List.of(
                    "model.layers.0.input_layernorm.weight",
                    "model.layers.1.post_attention_layernorm.weight",
                    "model.norm.weight")) {
                assertThat(floats(rotated, norm)).as(norm).hasSize(96).containsOnly(1);
            }
            assertThat(floats(rotated, "model.layers.0.self_attn.q_proj.bias"))
                    .isEqualTo(tiny.tensors().get("model.layers.0.self_attn.q_proj.bias"));
        }
    }

    @Test
    void makesATiedHeadATensorOfItsOwn() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama("tie_word_embeddings", true), 5);
        tiny.tensors().put("lm_head.weight", new float[64 * 96]); // as some files have it; nobody reads it
        try (Checkpoint original = Checkpoint.open(tiny.write(directory))) {
            Checkpoint rotated = RotatedCheckpoint.of(original, 5);
            assertThat(rotated.config().booleanValue("tie_word_embeddings")).isFalse();
            assertThat(rotated.tensors().tensor("lm_head.weight"))
                    .isEqualTo(TensorInfo.of("lm_head.weight", DType.F32, 64, 96));
            assertClose(logits(rotated), logits(original), 5e-5);
        }
    }

    @Test
    void findsTensorsOfACheckpointSavedFromTheBaseModel() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama("tie_word_embeddings", true), 6);
        try (Checkpoint original = Checkpoint.open(tiny.write(directory, name -> name.substring("model.".length())))) {
            Checkpoint rotated = RotatedCheckpoint.of(original, 6);
            assertThat(rotated.tensors().tensors()).containsKeys("embed_tokens.weight", "lm_head.weight");
            assertClose(logits(rotated), logits(original), 5e-5);
        }
    }

    /** Ranges of any length, in any order, as the writer of an artifact and a read-ahead ask for them by turns. */
    @ParameterizedTest(name = "{0}, seed 7")
    @ValueSource(
            strings = {
                "model.layers.0.mlp.up_proj.weight",
                "model.layers.0.mlp.down_proj.weight",
                "model.layers.0.input_layernorm.weight",
                "model.layers.0.mlp.down_proj.bias",
                "model.layers.0.mlp.up_proj.bias"
            })
    void givesAnyRangeOfATensor(String name) throws Exception {
        Random random = new Random(7);
        try (Checkpoint original =
                Checkpoint.open(TinyCheckpoint.of(llama("mlp_bias", true), 7).write(directory))) {
            TensorSource rotated = RotatedCheckpoint.of(original, 7).tensors();
            byte[] all = bytes(rotated, name, 0, rotated.tensor(name).byteLength());
            for (int i = 0; i < 50; i++) {
                int first = random.nextInt(all.length);
                int end = first + random.nextInt(all.length + 1 - first);
                assertThat(bytes(rotated, name, first, end))
                        .as("bytes %d to %d", first, end)
                        .isEqualTo(Arrays.copyOfRange(all, first, end));
                bytes(rotated, "model.layers.1.mlp.down_proj.weight", 5, 9);
            }
            assertThatThrownBy(() -> bytes(rotated, name, 1, all.length + 1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining(name);
        }
    }

    @Test
    void readsAMatrixOnceIfItsPiecesAreReadInOrder() throws Exception {
        String name = "model.layers.0.mlp.down_proj.weight";
        try (Checkpoint original = Checkpoint.open(TinyCheckpoint.of(llama(), 8).write(directory))) {
            AtomicLong read = new AtomicLong();
            Checkpoint counted = original.with(original.config(), new Counted(original.tensors(), name, read));
            TensorSource rotated = RotatedCheckpoint.of(counted, 8).tensors();
            long length = rotated.tensor(name).byteLength();
            for (long first = 0; first < length; first += 1000) {
                bytes(rotated, name, first, Math.min(length, first + 1000));
            }
            assertThat(read).hasValue(length);
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "opt, LayerNorm subtracts the mean",
        "bloom, LayerNorm subtracts the mean",
    })
    void refusesFamiliesThatWouldNotBeThemselves(String family, String reason) throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config(family), 9);
        try (Checkpoint original = Checkpoint.open(model)) {
            assertThatThrownBy(() -> RotatedCheckpoint.of(original, 9))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageStartingWith(family + " cannot be rotated into a checkpoint of the same family: ")
                    .hasMessageContaining(reason)
                    .hasMessageEndingWith("leave --rotate out");
        }
    }

    @Test
    void refusesPartsThatItDoesNotKnow() throws Exception {
        Architecture llama = TinyCheckpoint.of(llama(), 10).architecture();
        Architecture other = with(
                llama,
                llama.embedding().withPositions(new Embedding.LearnedPositions("model.embed_positions", 64, 0)),
                llama.blocks());
        assertThatThrownBy(() -> Changes.of(other))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("model.embed_positions.weight");
        Block block = llama.block(0);
        for (Block.Residual residual : List.of(Block.Residual.POST_NORM, Block.Residual.FROM_NORM)) {
            Block wired = new Block(block.attention(), block.mlp(), block.norms(), residual);
            assertThatThrownBy(() -> Changes.of(with(llama, llama.embedding(), List.of(wired, wired))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("the weights of its norms stay in the residual stream");
        }
    }

    private static Architecture with(Architecture from, Embedding embedding, List<Block> blocks) {
        return new Architecture(
                from.family(),
                from.hiddenSize(),
                from.vocabSize(),
                from.maxPositions(),
                from.basePrefix(),
                from.path(),
                embedding,
                blocks,
                from.head());
    }

    @Test
    void namesTheTensorThatIsDamaged() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(llama(), 11);
        tiny.tensors().computeIfPresent("model.layers.0.input_layernorm.weight", (name, data) -> {
            data[7] = Float.NaN;
            return data;
        });
        try (Checkpoint original = Checkpoint.open(tiny.write(directory))) {
            Checkpoint rotated = RotatedCheckpoint.of(original, 11);
            assertThatThrownBy(() -> floats(rotated, "model.layers.0.self_attn.q_proj.weight"))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("model.layers.0.input_layernorm.weight")
                    .hasMessageContaining("NaN");
        }
    }

    private static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    private static void assertClose(float[] actual, float[] expected, double tolerance) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat((double) actual[i]).as("logit %d", i).isCloseTo(expected[i], within(tolerance));
        }
    }

    private static byte[] bytes(TensorSource source, String name, long first, long end) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate((int) (end - first));
        source.read(name, first, bytes);
        assertThat(bytes.hasRemaining()).isFalse();
        return bytes.array();
    }

    private static float[] floats(Checkpoint checkpoint, String name) throws IOException {
        TensorSource source = checkpoint.tensors();
        byte[] bytes = bytes(source, name, 0, source.tensor(name).byteLength());
        float[] floats = new float[bytes.length / Float.BYTES];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
        return floats;
    }

    /** A source as it is, for tests to change something of it. */
    private static class Altered implements TensorSource {
        final TensorSource source;

        Altered(TensorSource source) {
            this.source = source;
        }

        @Override
        public Map<String, TensorInfo> tensors() {
            return source.tensors();
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            source.read(name, offset, target);
        }

        @Override
        public String location(String name) {
            return source.location(name);
        }

        @Override
        public void close() throws IOException {
            source.close();
        }
    }

    /** One tensor taken from elsewhere. */
    private static final class Replaced extends Altered {
        private final String replaced;
        private final TensorSource from;

        Replaced(TensorSource source, String replaced, TensorSource from) {
            super(source);
            this.replaced = replaced;
            this.from = from;
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            (name.equals(replaced) ? from : source).read(name, offset, target);
        }
    }

    /** Counts the bytes that are read of a tensor. */
    private static final class Counted extends Altered {
        private final String counted;
        private final AtomicLong bytes;

        Counted(TensorSource source, String counted, AtomicLong bytes) {
            super(source);
            this.counted = counted;
            this.bytes = bytes;
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            if (name.equals(counted)) {
                bytes.addAndGet(target.remaining());
            }
            source.read(name, offset, target);
        }
    }

    /** F32 tensors in another type. */
    private static final class Retyped extends Altered {
        private final DType type;

        Retyped(TensorSource source, DType type) {
            super(source);
            this.type = type;
        }

        @Override
        public Map<String, TensorInfo> tensors() {
            Map<String, TensorInfo> tensors = new TreeMap<>();
            source.tensors().forEach((name, info) -> tensors.put(name, new TensorInfo(name, type, info.shape())));
            return tensors;
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            ByteBuffer floats = ByteBuffer.wrap(
                            bytes(source, name, 0, source.tensor(name).byteLength()))
                    .order(ByteOrder.LITTLE_ENDIAN);
            ByteBuffer retyped =
                    ByteBuffer.allocate((int) tensor(name).byteLength()).order(ByteOrder.LITTLE_ENDIAN);
            while (floats.hasRemaining()) {
                float value = floats.getFloat();
                switch (type) {
                    case F16 -> retyped.putShort(Half.fromFloat(value));
                    case BF16 -> retyped.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
                    default -> retyped.putDouble(value);
                }
            }
            target.put(retyped.slice((int) offset, target.remaining()));
        }
    }
}
