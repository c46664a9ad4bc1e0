package io.gptq4j.tensor;

import static io.gptq4j.gptq.Samples.gaussians;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.ScaledFloats;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ScopeTest {
    /** So small, and so odd, that every tensor here is filled in several pieces that cut through elements. */
    private static final long CHUNK = 37;

    private Torch torch;

    @BeforeEach
    void open() {
        torch = Torch.open("cpu", CHUNK);
    }

    @AfterEach
    void close() {
        torch.close();
    }

    /** One tensor in memory, which remembers how it was read. */
    private static class Memory implements TensorSource {
        private final TensorInfo info;
        private final byte[] bytes;
        private final List<Integer> pieces = new ArrayList<>();

        Memory(TensorInfo info, byte[] bytes) {
            this.info = info;
            this.bytes = bytes;
        }

        @Override
        public Map<String, TensorInfo> tensors() {
            return Map.of(info.name(), info);
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            pieces.add(target.remaining());
            target.put(bytes, Math.toIntExact(offset), target.remaining());
        }

        @Override
        public String location(String name) {
            return "memory";
        }

        @Override
        public void close() {}
    }

    private static Memory random(DType dtype, long seed, long... shape) {
        TensorInfo info = TensorInfo.of("w", dtype, shape);
        byte[] bytes = new byte[Math.toIntExact(info.byteLength())];
        new Random(seed).nextBytes(bytes);
        return new Memory(info, bytes);
    }

    /** Element {@code i} by the definition of its format, exponent by exponent. */
    private static double decode(DType dtype, ByteBuffer bytes, int i) {
        return switch (dtype) {
            case F64 -> bytes.getDouble(8 * i);
            case F32 -> bytes.getFloat(4 * i);
            case F16 -> decode(bytes.getShort(2 * i), 5, 10);
            case BF16 -> decode(bytes.getShort(2 * i), 8, 7);
            default -> throw new IllegalArgumentException();
        };
    }

    private static double decode(short bits, int exponentBits, int fractionBits) {
        int exponent = (bits & 0x7fff) >>> fractionBits;
        int fraction = bits & (1 << fractionBits) - 1;
        int bias = (1 << exponentBits - 1) - 1;
        double magnitude;
        if (exponent == (1 << exponentBits) - 1) {
            magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        } else if (exponent == 0) {
            magnitude = Math.scalb((double) fraction, 1 - bias - fractionBits);
        } else {
            magnitude = Math.scalb((double) (fraction + (1 << fractionBits)), exponent - bias - fractionBits);
        }
        return bits < 0 ? -magnitude : magnitude;
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16", "F32", "F64"})
    void loadsEveryBitPatternOfAFloatingTypeInPieces(DType dtype) throws Exception {
        Memory memory = random(dtype, 1, 31, 23);
        ByteBuffer bytes = ByteBuffer.wrap(memory.bytes).order(ByteOrder.LITTLE_ENDIAN);
        try (Scope scope = torch.scope()) {
            Tensor tensor = scope.load(memory, memory.info, FloatType.FLOAT32);
            assertThat(tensor.shape()).containsExactly(31, 23);
            float[] values = tensor.toFloats();
            for (int i = 0; i < values.length; i++) {
                Float expected = (float) decode(dtype, bytes, i); // boxed, so that NaN equals NaN and 0 is not -0
                assertThat((Object) values[i]).as("element %d", i).isEqualTo(expected);
            }
        }
        assertThat(memory.pieces).hasSizeGreaterThan(2).allMatch(piece -> piece <= CHUNK);
        assertThat(memory.pieces.stream().mapToInt(Integer::intValue).sum()).isEqualTo(memory.bytes.length);
    }

    @Test
    void roundsToBfloat16WithTiesToEven() throws Exception {
        float[] stored = {1f, 1.00390625f, 1.01171875f, -1.00390625f, Math.nextUp(1.00390625f), 3.3895314e38f, 1e-40f};
        ByteBuffer bytes = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(stored);
        Memory memory = new Memory(TensorInfo.of("w", DType.F32, 7), bytes.array());
        try (Scope scope = torch.scope()) {
            Tensor loaded = scope.load(memory, memory.info, FloatType.BFLOAT16);
            float[] values =
                    scope.call("decoder", "add_to", scope.zeros(7), loaded, 1.0).toFloats(); // the sum is float32
            assertThat(values).containsExactly(1f, 1f, 1.015625f, -1f, 1.0078125f, 3.3895314e38f, 9.18355e-41f);
        }
    }

    @Test
    void loadsATensorOfOneElementWithoutDimensions() throws Exception {
        Memory memory = new Memory(TensorInfo.of("w", DType.F32), new byte[] {0, 0, 0x20, 0x41});
        try (Scope scope = torch.scope()) {
            Tensor tensor = scope.load(memory, memory.info, FloatType.FLOAT32);
            assertThat(tensor.shape()).isEmpty();
            assertThat(tensor.toFloats()).containsExactly(10f);
        }
    }

    @Test
    void refusesToLoadIntegersAsWeights() {
        Memory memory = random(DType.I32, 2, 4);
        try (Scope scope = torch.scope()) {
            assertThatThrownBy(() -> scope.load(memory, memory.info, FloatType.FLOAT32))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("I32");
            assertThat(LiveTensors.count(torch)).isZero();
        }
    }

    @Test
    void givesBackTheMemoryOfATensorThatCannotBeReadToItsEnd() {
        TensorInfo info = TensorInfo.of("w", DType.F32, 64);
        Memory broken = new Memory(info, new byte[0]) {
            @Override
            public void read(String name, long offset, ByteBuffer target) throws IOException {
                if (offset > 0) {
                    throw new IOException("the disk is gone");
                }
                target.position(target.limit());
            }
        };
        try (Scope scope = torch.scope()) {
            assertThatThrownBy(() -> scope.load(broken, info, FloatType.FLOAT32))
                    .isInstanceOf(IOException.class)
                    .hasMessage("the disk is gone");
            assertThat(LiveTensors.count(torch)).isZero();
        }
    }

    @Test
    void keepsByteRowsThatAreCutByPieces() {
        byte[][] rows = new byte[5][23];
        Random random = new Random(3);
        for (byte[] row : rows) {
            random.nextBytes(row);
        }
        try (Scope scope = torch.scope()) {
            assertThat(scope.byteRows(rows).toByteRows()).as("seed 3").isDeepEqualTo(rows);
            assertThat(LiveTensors.count(torch)).isOne();
        }
    }

    @Test
    void freesWhatItOwnsAndTheScopesInside() {
        try (Scope scope = torch.scope()) {
            Tensor own = scope.floats(new float[] {1, 2}, 2);
            Tensor inner = scope.child().zeros(3, 3);
            Tensor called = scope.call("decoder", "add_to", own, own, 1.0);
            assertThat(called.toFloats()).containsExactly(2, 4);
            assertThat(LiveTensors.count(torch)).isEqualTo(3);
            scope.close();
            assertThat(LiveTensors.count(torch)).isZero();
            assertThatThrownBy(own::toFloats).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(inner::toFloats).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void leavesATensorThatWasMovedToItsNewOwner() {
        try (Scope target = torch.scope()) {
            Tensor moved;
            try (Scope source = torch.scope()) {
                moved = source.longs(new long[] {4, 5, 6}, 3).moveTo(target);
            }
            assertThat(moved.toLongs()).containsExactly(4, 5, 6);
            target.close();
            assertThat(LiveTensors.count(torch)).isZero();
        }
    }

    @Test
    void freesATensorThatIsClosedAheadOfItsScope() {
        try (Scope scope = torch.scope()) {
            scope.zeros(8).close();
            assertThat(LiveTensors.count(torch)).isZero();
        }
    }

    @Test
    void refusesToReadATensorAsAnotherType() {
        try (Scope scope = torch.scope()) {
            Tensor longs = scope.longs(new long[] {1}, 1);
            assertThatThrownBy(longs::toFloats)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("float32")
                    .hasMessageContaining("int64");
        }
    }

    @Test
    void refusesToBringATensorOfTwoGibibytesToTheHeap() {
        try (Scope scope = torch.scope()) {
            Tensor large = scope.zeros(1L << 29); // never touched, so that the system need not provide the memory
            assertThatThrownBy(large::toFloats)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("Tensor[536870912] of float32 does not fit a Java array");
        }
    }

    @Test
    void saysWhatLibtorchSaidWhenItFails() {
        try (Scope scope = torch.scope()) {
            Tensor x = scope.zeros(2, 3);
            Tensor y = scope.zeros(4, 5);
            assertThatThrownBy(() -> scope.call("decoder", "add_to", x, y, 1.0))
                    .isInstanceOf(TorchException.class)
                    .hasMessageContaining("size of tensor a (3)")
                    .satisfies(
                            e -> assertThat(((TorchException) e).outOfMemory()).isFalse());
        }
    }

    /** A BLAS may share out a product of 5 to 11 lines over its threads in another way than a larger one, and round otherwise. */
    @Test
    void givesAFewTokensOfAnExpertTheBitsThatTheyHaveAmongMore() {
        int in = 200;
        int out = 96;
        float[] x = gaussians(5, 16 * in);
        float[] w = gaussians(6, out * in);
        try (Scope scope = torch.scope()) {
            Tensor weight = scope.floats(w, out, in);
            Tensor bias = scope.floats(new float[out], out);
            float[] all = scope.call("decoder", "linear", scope.floats(x, 16, in), weight)
                    .toFloats();
            for (int n = 0; n < 16; n++) {
                Tensor few = scope.floats(Arrays.copyOf(x, n * in), n, in);
                Tensor y = scope.call("decoder", "linear", few, weight); // [n, out]
                assertThat(y.shape()).containsExactly(n, out);
                assertThat(y.toFloats()).as("%d tokens, seeds 5 and 6", n).isEqualTo(Arrays.copyOf(all, n * out));
                assertThat(scope.call("decoder", "linear_with_bias", few, weight, bias)
                                .toFloats())
                        .isEqualTo(Arrays.copyOf(all, n * out));
            }
        }
    }

    @Test
    void saysWhatToDoWhenMemoryRunsOut() {
        try (Scope scope = torch.scope()) {
            Tensor narrow = scope.zeros(1 << 20, 1);
            Tensor wide = scope.zeros(1 << 20, 1);
            // The outer product would take four terabytes.
            assertThatThrownBy(() -> scope.call("decoder", "linear", narrow, wide))
                    .isInstanceOf(TorchException.class)
                    .hasMessageContaining("out of memory")
                    .hasMessageContaining("--samples");
            assertThatThrownBy(() -> scope.zeros(1L << 40))
                    .isInstanceOf(TorchException.class)
                    .hasMessageContaining("--samples");
        }
    }

    /** Two matrices [5, 7] in blocks of 2 by 3, cut off at the edges. */
    @Test
    void readsEightBitFloatsAsTheyAreAndMultipliesThemOnTheDevice() throws Exception {
        Memory codes = random(DType.F8_E4M3, 8, 2, 5, 7);
        float[] scales = new float[2 * 3 * 3];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = 1 + i / 3f;
        }
        Memory decoded = new Memory(TensorInfo.of("w", DType.F32, 2, 5, 7), new byte[0]) {
            @Override
            public Optional<ScaledFloats> scaled(String name) {
                return Optional.of(new ScaledFloats((at, target) -> codes.read(name, at, target), scales, 5, 7, 2, 3));
            }
        };
        float[] expected = new float[70];
        for (int i = 0; i < expected.length; i++) {
            int code = codes.bytes[i] & 0x7f;
            codes.bytes[i] = code == 0x7f ? 0 : codes.bytes[i]; // no NaN
            double magnitude =
                    code == 0x7f ? 0 : code < 8 ? code / 512.0 : (8 + code % 8) * Math.pow(2, code / 8 - 10.0);
            float value = (float) (codes.bytes[i] < 0 ? -magnitude : magnitude);
            expected[i] = value * scales[i / 35 * 9 + i % 35 / 7 / 2 * 3 + i % 7 / 3];
        }
        try (Scope scope = torch.scope();
                RawTensor raw = scope.read(decoded, decoded.info)) {
            assertThat(codes.pieces.stream().mapToInt(Integer::intValue).sum()).isEqualTo(70);
            assertThat(decoded.pieces).isEmpty();
            Tensor tensor = scope.decode(raw, FloatType.FLOAT32);
            assertThat(tensor.shape()).containsExactly(2, 5, 7);
            assertThat(tensor.toFloats()).isEqualTo(expected);
        }
    }
}
