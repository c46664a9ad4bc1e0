package io.gptq4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class Fp8TensorsTest {
    private static final String BLOCKS = "{\"quant_method\":\"fp8\",\"weight_block_size\":[4,8],\"fmt\":\"e4m3\"}";
    private static final String PLAIN = "{\"quant_method\":\"fp8\",\"activation_scheme\":\"static\"}";

    @TempDir
    private Path directory;

    private final Map<TensorInfo, byte[]> tensors = new LinkedHashMap<>();

    private byte[] put(String name, DType dtype, byte[] bytes, long... shape) {
        tensors.put(TensorInfo.of(name, dtype, shape), bytes);
        return bytes;
    }

    private float[] putFloats(String name, float[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        put(name, DType.F32, bytes.array(), shape);
        return values;
    }

    private Checkpoint open(String quantization) throws IOException {
        Files.writeString(
                directory.resolve("config.json"),
                "{\"model_type\":\"llama\",\"quantization_config\":" + quantization + ",\"vocab_size\":7}");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(directory.resolve("model.safetensors"), tensors.keySet(), Map.of())) {
            for (Map.Entry<TensorInfo, byte[]> tensor : tensors.entrySet()) {
                writer.write(tensor.getKey().name(), 0, ByteBuffer.wrap(tensor.getValue()));
            }
            writer.commit();
        }
        return Checkpoint.open(directory);
    }

    private static float[] read(Checkpoint checkpoint, String name) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(
                        (int) checkpoint.tensors().tensor(name).byteLength())
                .order(ByteOrder.LITTLE_ENDIAN);
        checkpoint.tensors().read(name, 0, bytes);
        float[] values = new float[bytes.capacity() / 4];
        bytes.flip().asFloatBuffer().get(values);
        return values;
    }

    /** By the definition of the OCP's 8-bit format: sign, four bits of exponent with bias 7, three of fraction. */
    private static double e4m3(byte bits) {
        int exponent = bits >> 3 & 15;
        double fraction = (bits & 7) / 8.0;
        double magnitude = exponent == 0 ? fraction * Math.pow(2, -6) : (1 + fraction) * Math.pow(2, exponent - 7);
        return bits < 0 ? -magnitude : magnitude;
    }

    private static byte[] codes(long seed, int count) {
        byte[] codes = new byte[count];
        new Random(seed).nextBytes(codes);
        for (int i = 0; i < count; i++) {
            codes[i] = (codes[i] & 0x7f) == 0x7f ? 1 : codes[i];
        }
        return codes;
    }

    private static float[] scales(long seed, int count) {
        Random random = new Random(seed);
        float[] scales = new float[count];
        for (int i = 0; i < count; i++) {
            scales[i] = 0.001f + random.nextFloat();
        }
        return scales;
    }

    @Test
    void knowsEveryValueOfTheFormat() throws IOException {
        byte[] all = new byte[256];
        for (int i = 0; i < 256; i++) {
            all[i] = (byte) i;
        }
        put("a.weight", DType.F8_E4M3, all, 1, 256);
        putFloats("a.weight_scale", new float[] {1});
        try (Checkpoint checkpoint = open(PLAIN)) {
            float[] values = read(checkpoint, "a.weight");
            assertThat(values[0x08]).isEqualTo(0x1p-6f);
            assertThat(values[0x01]).isEqualTo(0x1p-9f);
            assertThat(values[0x7e]).isEqualTo(448);
            assertThat(values[0xfe]).isEqualTo(-448);
            assertThat(values[0x7f]).isNaN();
            assertThat(values[0xff]).isNaN();
            for (int i = 0; i < 256; i++) {
                if ((i & 0x7f) != 0x7f) {
                    assertThat((double) values[i]).as("code %d", i).isEqualTo(e4m3((byte) i));
                }
            }
        }
    }

    @ParameterizedTest(name = "{0} matrices of {1} by {2}, seed 1")
    @CsvSource({"1, 4, 8", "1, 8, 16", "1, 9, 17", "1, 3, 5", "1, 13, 8", "3, 6, 10", "2, 8, 8"})
    void multipliesEachBlockByItsScale(int count, int rows, int columns) throws IOException {
        int down = (rows + 3) / 4;
        int across = (columns + 7) / 8;
        byte[] codes = codes(1, count * rows * columns);
        float[] scales = scales(1, count * down * across);
        if (count == 1) {
            put("a.weight", DType.F8_E4M3, codes, rows, columns);
            putFloats("a.weight_scale_inv", scales, down, across);
        } else {
            put("a.weight", DType.F8_E4M3, codes, count, rows, columns);
            putFloats("a.weight_scale_inv", scales, count, down, across);
        }
        float[] expected = new float[codes.length];
        for (int m = 0; m < count; m++) {
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    int i = (m * rows + r) * columns + c;
                    expected[i] = (float) (e4m3(codes[i]) * scales[(m * down + r / 4) * across + c / 8]);
                }
            }
        }
        try (Checkpoint checkpoint = open(BLOCKS)) {
            assertThat(read(checkpoint, "a.weight")).containsExactly(expected);
            assertThat(checkpoint.tensors().tensors()).containsOnlyKeys("a.weight");
            assertThat(checkpoint.tensors().tensor("a.weight").dtype()).isEqualTo(DType.F32);
            assertThat(checkpoint.tensors().storedType("a.weight")).isEqualTo(DType.F8_E4M3);
            assertThat(checkpoint.config().values()).containsOnlyKeys("model_type", "vocab_size");
            assertThat(checkpoint.weightBytes()).isEqualTo(codes.length);
        }
    }

    @Test
    void readsAnyRangeOfBytes() throws IOException {
        put("a.weight", DType.F8_E4M3, codes(2, 9 * 17), 9, 17);
        putFloats("a.weight_scale_inv", scales(2, 9), 3, 3);
        try (Checkpoint checkpoint = open(BLOCKS)) {
            ByteBuffer whole = ByteBuffer.allocate(9 * 17 * 4);
            checkpoint.tensors().read("a.weight", 0, whole);
            for (int offset : new int[] {0, 1, 2, 3, 4, 63, 64, 68, 300, 610, 611, 612}) {
                for (int length : new int[] {0, 1, 2, 3, 5, 8, 200}) {
                    if (offset + length <= whole.capacity()) {
                        byte[] part = new byte[length];
                        checkpoint.tensors().read("a.weight", offset, ByteBuffer.wrap(part));
                        byte[] expected = new byte[length];
                        whole.get(offset, expected);
                        assertThat(part).as("%d bytes from %d", length, offset).isEqualTo(expected);
                    }
                }
            }
            assertThatThrownBy(() -> checkpoint.tensors().read("a.weight", 610, ByteBuffer.allocate(4)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Bytes 610 to 614 leave a.weight of 612 bytes");
        }
    }

    @ParameterizedTest(name = "scales {0}")
    @CsvSource({"one, 1", "one in a list, 1", "rows in a column, 3", "rows, 3"})
    void takesOneScaleOrOneForEachRow(String kind, int count) throws IOException {
        byte[] codes = put("a.weight", DType.F8_E4M3, codes(3, 15), 3, 5);
        float[] scales = scales(3, count);
        long[] shape = switch (kind) {
            case "one" -> new long[] {};
            case "one in a list" -> new long[] {1};
            case "rows" -> new long[] {3};
            default -> new long[] {3, 1};
        };
        putFloats("a.weight_scale", scales, shape);
        putFloats("a.input_scale", new float[] {2});
        putFloats("a.bias", new float[] {1, 2, 3}, 3);
        try (Checkpoint checkpoint = open(PLAIN)) {
            float[] values = read(checkpoint, "a.weight");
            for (int i = 0; i < 15; i++) {
                assertThat(values[i]).isEqualTo((float) (e4m3(codes[i]) * scales[count == 1 ? 0 : i / 5]));
            }
            assertThat(checkpoint.tensors().tensors()).containsOnlyKeys("a.weight", "a.bias");
            assertThat(read(checkpoint, "a.bias")).containsExactly(1, 2, 3);
        }
    }

    @ParameterizedTest(name = "scales in {0}")
    @CsvSource({"BF16, 16256, 1", "BF16, -16320, -3", "F16, 15872, 1.5", "F16, 1, 5.9604645E-8", "F8_E8M0, 125, 0.25"})
    void readsScalesOfOtherTypes(DType dtype, int bits, float value) throws IOException {
        put("a.weight", DType.F8_E4M3, new byte[] {0x38}, 1, 1); // 1.0
        byte[] bytes = dtype.bits() == 8 ? new byte[] {(byte) bits} : new byte[] {(byte) bits, (byte) (bits >> 8)};
        put("a.weight_scale", dtype, bytes, 1);
        try (Checkpoint checkpoint = open(PLAIN)) {
            assertThat(read(checkpoint, "a.weight")).containsExactly(value);
        }
    }

    @Test
    void readsWhatLlmCompressorWrites() throws IOException {
        put("a.weight", DType.F8_E4M3, new byte[] {0x38, 0x40}, 2, 1);
        putFloats("a.weight_scale", new float[] {3, 5}, 2, 1);
        String groups = "{\"group_0\":{\"weights\":{\"num_bits\":8,\"type\":\"float\",\"strategy\":\"channel\"}}}";
        try (Checkpoint checkpoint = open("{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\","
                + "\"config_groups\":" + groups + "}")) {
            assertThat(read(checkpoint, "a.weight")).containsExactly(3, 10);
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "{'quant_method':'awq'}",
                "{'quant_method':'mxfp4'}",
                "{'quant_method':'compressed-tensors','format':'pack-quantized'}",
                "{'quant_method':'compressed-tensors','format':'float-quantized',"
                        + "'config_groups':{'g':{'weights':{'num_bits':8,'type':'int'}}}}"
            },
            quoteCharacter = '"')
    void leavesOtherMethodsToWhoRefusesThem(String quantization) throws IOException {
        putFloats("a.weight", new float[] {1}, 1, 1);
        try (Checkpoint checkpoint = open(quantization.replace('\'', '"'))) {
            assertThat(checkpoint.config().has("quantization_config")).isTrue();
        }
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "{'quant_method':'fp8','fmt':'e5m2'} | quantization_config: fmt = e5m2, expected e4m3",
                "{'quant_method':'fp8','weight_block_size':[128]} | weight_block_size = [128], expected two positive",
                "{'quant_method':'fp8','weight_block_size':[0,8]} | weight_block_size = [0, 8], expected two positive",
                "{'quant_method':'compressed-tensors','format':'float-quantized','transform_config':{'a':1}}"
                        + " | transform_config is not supported"
            },
            quoteCharacter = '"')
    void refusesOtherSchemesByName(String quantization, String sentence) {
        putFloats("a.weight", new float[] {1}, 1, 1);
        assertThatThrownBy(() -> open(quantization.replace('\'', '"')))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("config.json, quantization_config: ")
                .hasMessageContaining(sentence)
                .hasMessageEndingWith("quantize the 16-bit checkpoint that these weights were made of");
    }

    @Test
    void refusesWeightsWithoutScales() {
        put("a.weight", DType.F8_E4M3, new byte[] {1}, 1, 1);
        assertThatThrownBy(() -> open(PLAIN))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("Tensor a.weight in " + directory.resolve("model.safetensors")
                        + " is F8_E4M3, but there is no a.weight_scale_inv and no _scale for it");
    }

    @Test
    void refusesTheOtherFormatOf8Bits() {
        put("a.weight", DType.F8_E5M2, new byte[] {1}, 1, 1);
        putFloats("a.weight_scale", new float[] {1});
        assertThatThrownBy(() -> open(PLAIN))
                .isInstanceOf(CheckpointException.class)
                .hasMessageEndingWith("is F8_E5M2; of the small floats only F8_E4M3 can be read");
    }

    @Test
    void refusesScalesThatDoNotFit() {
        put("a.weight", DType.F8_E4M3, new byte[9 * 17], 9, 17);
        putFloats("a.weight_scale_inv", new float[6], 2, 3);
        assertThatThrownBy(() -> open(BLOCKS))
                .isInstanceOf(CheckpointException.class)
                .hasMessageEndingWith("has shape [9, 17] and its scales a.weight_scale_inv [2, 3], "
                        + "expected one for each block of 4 by 8");
        assertThatThrownBy(() -> open(PLAIN))
                .isInstanceOf(CheckpointException.class)
                .hasMessageEndingWith("expected one, or one for each row, as config.json says nothing of blocks");
    }

    @Test
    void refusesAScaleThatIsDamaged() throws IOException {
        put("a.weight", DType.F8_E4M3, new byte[] {1}, 1, 1);
        putFloats("a.weight_scale", new float[] {Float.NaN});
        try (Checkpoint checkpoint = open(PLAIN)) {
            assertThatThrownBy(() -> read(checkpoint, "a.weight"))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("a.weight_scale")
                    .hasMessageEndingWith("holds NaN; the checkpoint is damaged");
        }
    }
}
