package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArtifactReaderTest {
    private static final String MODULE = "model.layers.0.mlp.down_proj";

    @TempDir
    Path directory;

    /** The four tensors of a module as a foreign tool lays them out, words given. */
    private static TestFiles module(QuantizedLinear linear, CheckpointFormat format) {
        PackedLinear packed = Packing.pack(linear, format);
        return new TestFiles()
                .ints(linear.name() + ".qweight", packed.qweight())
                .ints(linear.name() + ".qzeros", packed.qzeros())
                .floats(linear.name() + ".scales", DType.F16, scales(linear), linear.groups(), linear.outFeatures())
                .gIdx(linear.name() + ".g_idx", linear.gIdx());
    }

    private static double[] scales(QuantizedLinear linear) {
        double[] values = new double[linear.groups() * linear.outFeatures()];
        for (int k = 0; k < values.length; k++) {
            values[k] = Half.toFloat(linear.scales()[k / linear.outFeatures()][k % linear.outFeatures()]);
        }
        return values;
    }

    private static QuantizedLinear linear(int bits, int groupSize) {
        return Linears.random(MODULE, bits, groupSize, 96, 64, false, groupSize > 0, 5);
    }

    private Checkpoint checkpoint(TestFiles weights, String quantizationConfig) throws IOException {
        Files.writeString(directory.resolve("config.json"), "{\"quantization_config\": " + quantizationConfig + "}");
        weights.write(directory.resolve("model.safetensors"));
        return Checkpoint.open(directory);
    }

    private static void assertSame(QuantizedLinear actual, QuantizedLinear expected) {
        assertThat(actual.codes()).isDeepEqualTo(expected.codes());
        assertThat(actual.zeros()).isDeepEqualTo(expected.zeros());
        assertThat(actual.scales()).isDeepEqualTo(expected.scales());
        assertThat(actual.gIdx()).isEqualTo(expected.gIdx());
    }

    private void assertRefused(TestFiles weights, String message) {
        String at = directory.resolve("model.safetensors") + ": ";
        ThrowingCallable reading = () -> {
            try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": 32}")) {
                ArtifactReader.of(checkpoint).read(MODULE);
            }
        };
        assertThatThrownBy(reading).isInstanceOf(CheckpointException.class).hasMessage(at + message);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 8})
    void readsEveryWidthInBothFormats(int bits) throws IOException {
        for (CheckpointFormat format : CheckpointFormat.values()) {
            for (int groupSize : new int[] {-1, 32, 40}) {
                QuantizedLinear linear = linear(bits, groupSize);
                String config = "{\"bits\": " + bits + ", \"group_size\": " + groupSize + ", \"checkpoint_format\": \""
                        + format.jsonName() + "\"}";
                try (Checkpoint checkpoint = checkpoint(module(linear, format), config)) {
                    ArtifactReader reader = ArtifactReader.of(checkpoint);

                    assertThat(reader.modules()).containsExactly(MODULE);
                    assertSame(reader.read(MODULE), linear);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "F64", "BF16"})
    void readsScalesOfOtherTypesThatBinary16Holds(DType dtype) throws IOException {
        QuantizedLinear linear = linear(4, 32);
        for (short[] row : linear.scales()) {
            for (int o = 0; o < row.length; o++) {
                row[o] = (short) (row[o] & 0xfff8); // what BF16 holds, too
            }
        }
        TestFiles weights =
                module(linear, CheckpointFormat.GPTQ).floats(MODULE + ".scales", dtype, scales(linear), 3, 64);
        if (dtype == DType.F64) {
            assertRefused(
                    weights, "tensor " + MODULE + ".scales is F64 [3, 64]: expected 2 dimensions of [F16, BF16, F32]");
            return;
        }

        try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": 32}")) {
            assertSame(ArtifactReader.of(checkpoint).read(MODULE), linear);
        }
    }

    @Test
    void roundsOtherScalesToBinary16() throws IOException {
        QuantizedLinear linear = linear(4, 32);
        double[] scales = scales(linear);
        scales[65] = 0.1f;
        TestFiles weights = module(linear, CheckpointFormat.GPTQ).floats(MODULE + ".scales", DType.F32, scales, 3, 64);

        try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": 32}")) {
            assertThat(ArtifactReader.of(checkpoint).read(MODULE).scales()[1][1])
                    .isEqualTo((short) 0x2e66);
        }
    }

    @Test
    void refusesAScaleBeyondBinary16() {
        QuantizedLinear linear = linear(4, 32);
        double[] scales = scales(linear);
        scales[130] = 70000;

        assertRefused(
                module(linear, CheckpointFormat.GPTQ).floats(MODULE + ".scales", DType.F32, scales, 3, 64),
                "tensor " + MODULE
                        + ".scales has a scale of 70000.0 at group 2, output 2, which does not fit binary16");
    }

    @Test
    void takesTheNaturalOrderOfGroupsWhereGIdxIsMissing() throws IOException {
        for (int groupSize : new int[] {-1, 32}) {
            QuantizedLinear linear = Linears.random(MODULE, 4, groupSize, 96, 64, false, false, 6);
            TestFiles weights = module(linear, CheckpointFormat.GPTQ).without(MODULE + ".g_idx");
            try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": " + groupSize + "}")) {
                assertSame(ArtifactReader.of(checkpoint).read(MODULE), linear);
            }
        }
    }

    @Test
    void listsModulesBlockByBlock() throws IOException {
        TestFiles weights = new TestFiles().floats("model.norm.weight", DType.F16, new double[] {1}, 1);
        for (String name : new String[] {"b.10.x", "b.2.x", "b.2.b"}) {
            PackedLinear packed =
                    Packing.pack(Linears.random(name, 4, -1, 32, 32, true, false, 7), CheckpointFormat.GPTQ);
            weights.ints(name + ".qweight", packed.qweight())
                    .ints(name + ".qzeros", packed.qzeros())
                    .floats(name + ".scales", DType.F16, new double[32], 1, 32)
                    .gIdx(name + ".g_idx", packed.gIdx());
        }

        try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": -1}")) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);

            assertThat(reader.modules()).containsExactly("b.2.b", "b.2.x", "b.10.x");
            assertThatThrownBy(() -> reader.read("model.norm"))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("There is no quantized module model.norm");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"qzeros", "scales"})
    void namesAMissingTensor(String tensor) {
        String name = MODULE + "." + tensor;
        assertThatThrownBy(() -> {
                    TestFiles weights =
                            module(linear(4, 32), CheckpointFormat.GPTQ).without(name);
                    try (Checkpoint checkpoint = checkpoint(weights, "{\"bits\": 4, \"group_size\": 32}")) {
                        ArtifactReader.of(checkpoint);
                    }
                })
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("Tensor " + name + " is missing, although ");
    }

    @Test
    void refusesShapesThatContradictTheConfiguration() {
        assertRefused(
                module(linear(4, 16), CheckpointFormat.GPTQ),
                "tensor " + MODULE + ".scales is F16 [6, 64]: expected [3, 64] beside its qweight at bits 4 and"
                        + " group_size 32");
        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ).ints(MODULE + ".qzeros", new int[3][7]),
                "tensor " + MODULE + ".qzeros is I32 [3, 7]: expected [3, 8] beside its qweight at bits 4 and"
                        + " group_size 32");
        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ).gIdx(MODULE + ".g_idx", new int[95]),
                "tensor " + MODULE
                        + ".g_idx is I32 [95]: expected [96] beside its qweight at bits 4 and group_size 32");
    }

    @Test
    void refusesTypesThatAreNoWords() {
        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ)
                        .floats(MODULE + ".qweight", DType.F32, new double[12 * 64], 12, 64),
                "tensor " + MODULE + ".qweight is F32 [12, 64]: expected 2 dimensions of [I32]");
        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ)
                        .raw(TensorInfo.of(MODULE + ".g_idx", DType.I64, 1), new byte[8]),
                "tensor " + MODULE + ".g_idx is I64 [1]: expected 1 dimensions of [I32]");
    }

    @Test
    void refusesAMatrixWithoutElements() {
        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ).raw(TensorInfo.of(MODULE + ".qweight", DType.I32, 0, 64)),
                "tensor " + MODULE
                        + ".qweight is I32 [0, 64]: no matrix of 4-bit codes packed along the inputs has this"
                        + " shape");
    }

    @Test
    void refusesOutputsWithoutAZeroPoint() {
        assertRefused(
                new TestFiles()
                        .ints(MODULE + ".qweight", new int[8][44])
                        .ints(MODULE + ".qzeros", new int[2][5])
                        .floats(MODULE + ".scales", DType.F16, new double[88], 2, 44),
                "tensor " + MODULE
                        + ".qweight is I32 [8, 44]: 44 outputs of 4 bits fill no whole words, so some have no"
                        + " zero point");
    }

    @Test
    void refusesAGroupIndexOutOfRange() {
        int[] gIdx = new int[96];
        gIdx[7] = 3;

        assertRefused(
                module(linear(4, 32), CheckpointFormat.GPTQ).gIdx(MODULE + ".g_idx", gIdx),
                "Module " + MODULE + ": g_idx[7] is 3, expected 0 to 2");
    }

    @Test
    void saysThatNothingIsQuantized() throws IOException {
        TestFiles plain = new TestFiles().floats("model.norm.weight", DType.F16, new double[] {1}, 1);
        try (Checkpoint checkpoint = checkpoint(plain, "{\"bits\": 4, \"group_size\": 32}")) {
            assertThatThrownBy(() -> ArtifactReader.of(checkpoint))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage(directory + " says it is quantized, but no tensor is named *.qweight: expected the"
                            + " weights of a GPTQ artifact");
        }
    }
}
