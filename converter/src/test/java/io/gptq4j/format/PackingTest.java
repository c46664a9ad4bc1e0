package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PackingTest {
    private static List<PackVector> vectors() throws IOException {
        return PackVector.all();
    }

    @Test
    void thereAreFortyEightVectors() throws IOException {
        assertThat(vectors()).hasSize(48);
    }

    @ParameterizedTest
    @MethodSource("vectors")
    void packsTheVeryWordsOfTheReferencePackers(PackVector vector) {
        QuantizedLinear linear = vector.linear();

        PackedLinear v1 = Packing.pack(linear, CheckpointFormat.GPTQ);
        PackedLinear v2 = Packing.pack(linear, CheckpointFormat.GPTQ_V2);

        assertThat(v1.qweight()).isDeepEqualTo(vector.expected("qweight"));
        assertThat(v2.qweight()).isDeepEqualTo(vector.expected("qweight"));
        assertThat(v1.qzeros()).isDeepEqualTo(vector.expected("qzeros_v1"));
        assertThat(v2.qzeros()).isDeepEqualTo(vector.expected("qzeros_v2"));
        assertThat(v1.scales()).isDeepEqualTo(linear.scales());
        assertThat(v1.gIdx()).isEqualTo(linear.gIdx());
    }

    @ParameterizedTest
    @MethodSource("vectors")
    void unpacksTheWordsOfTheReferencePackers(PackVector vector) {
        QuantizedLinear linear = vector.linear();

        for (CheckpointFormat format : CheckpointFormat.values()) {
            int[][] qzeros = vector.expected(format == CheckpointFormat.GPTQ ? "qzeros_v1" : "qzeros_v2");
            PackedLinear packed = new PackedLinear(
                    "m",
                    linear.bits(),
                    linear.groupSize(),
                    vector.expected("qweight"),
                    qzeros,
                    linear.scales(),
                    linear.gIdx());

            QuantizedLinear unpacked = Packing.unpack(packed, format);

            assertThat(unpacked.codes()).isDeepEqualTo(linear.codes());
            assertThat(unpacked.zeros()).isDeepEqualTo(linear.zeros());
        }
    }

    /** Column 0 with codes i mod 2^bits, all 32 zeros symmetric: the documented words of both code bases. */
    @ParameterizedTest
    @CsvSource({
        "2, e4e4e4e4 e4e4e4e4, 55555555, aaaaaaaa",
        "3, 88fac688 c688fac6 fac688fa, db6db6db b6db6db6 6db6db6d, 24924924 49249249 92492492",
        "4, 76543210 fedcba98 76543210 fedcba98, 77777777, 88888888",
        "8, 03020100 07060504 0b0a0908 0f0e0d0c 13121110 17161514 1b1a1918 1f1e1d1c, 7f7f7f7f, 80808080",
    })
    void packsTheWorkedExample(int bits, String qweight, String v1, String v2) {
        QuantizedLinear linear = Linears.random("m", bits, -1, 32, 32, true, false, 1);
        for (int i = 0; i < 32; i++) {
            linear.codes()[0][i] = (byte) (i % (1 << bits));
        }

        PackedLinear packed = Packing.pack(linear, CheckpointFormat.GPTQ);

        assertThat(Arrays.stream(packed.qweight()).mapToInt(row -> row[0]).toArray())
                .containsExactly(hex(qweight, bits));
        assertThat(packed.qzeros()[0]).containsExactly(hex(v1, bits));
        assertThat(Packing.pack(linear, CheckpointFormat.GPTQ_V2).qzeros()[0]).containsExactly(hex(v2, bits));
    }

    private static int[] hex(String words, int count) {
        String[] parts = words.split(" ", -1);
        int[] values = new int[count];
        for (int w = 0; w < count; w++) {
            values[w] = HexFormat.fromHexDigits(parts[w % parts.length]);
        }
        return values;
    }

    private static List<QuantizedLinear> seededLinears() {
        List<QuantizedLinear> linears = new ArrayList<>();
        long seed = 20261123;
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (int groupSize : new int[] {-1, 16, 24, 32, 64, 96, 128, 1024}) {
                for (int[] shape : new int[][] {{32, 32}, {96, 160}, {256, 32}, {352, 96}}) {
                    String name = bits + "bit-g" + groupSize + "-" + shape[0] + "x" + shape[1] + "-seed" + ++seed;
                    linears.add(Linears.random(
                            name, bits, groupSize, shape[0], shape[1], false, groupSize % 32 == 0, seed));
                }
            }
        }
        return linears;
    }

    @Test
    void anIndependentUnpackingReadsWhatWasPacked() {
        for (QuantizedLinear linear : seededLinears()) {
            for (CheckpointFormat format : CheckpointFormat.values()) {
                PackedLinear packed = Packing.pack(linear, format);

                assertThat(Linears.codes(packed.qweight(), linear.bits()))
                        .as(linear.name())
                        .isDeepEqualTo(linear.codes());
                assertThat(Linears.zeros(packed.qzeros(), linear.bits(), format == CheckpointFormat.GPTQ ? 1 : 0))
                        .as(linear.name())
                        .isDeepEqualTo(linear.zeros());
            }
        }
    }

    @Test
    void unpackUndoesPack() {
        for (QuantizedLinear linear : seededLinears()) {
            for (CheckpointFormat format : CheckpointFormat.values()) {
                QuantizedLinear again = Packing.unpack(Packing.pack(linear, format), format);

                assertThat(again.codes()).as(linear.name()).isDeepEqualTo(linear.codes());
                assertThat(again.zeros()).as(linear.name()).isDeepEqualTo(linear.zeros());
                assertThat(again.bits()).isEqualTo(linear.bits());
                assertThat(again.groupSize()).isEqualTo(linear.groupSize());
            }
        }
    }

    @Test
    void namesTheFourTensors() {
        QuantizedLinear linear = Linears.random("model.layers.0.mlp.down_proj", 3, 32, 96, 64, true, false, 2);

        assertThat(Packing.pack(linear, CheckpointFormat.GPTQ).tensors())
                .containsExactly(
                        TensorInfo.of("model.layers.0.mlp.down_proj.qweight", DType.I32, 9, 64),
                        TensorInfo.of("model.layers.0.mlp.down_proj.qzeros", DType.I32, 3, 6),
                        TensorInfo.of("model.layers.0.mlp.down_proj.scales", DType.F16, 3, 64),
                        TensorInfo.of("model.layers.0.mlp.down_proj.g_idx", DType.I32, 96));
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 8})
    void storesZeroPointZeroOnlyInV2(int bits) {
        QuantizedLinear linear = Linears.random("model.q_proj", bits, 32, 64, 32, false, false, 3);
        linear.zeros()[1][30] = 0;

        assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module model.q_proj: zero point of group 1, output 30 is 0, but checkpoint format gptq"
                        + " stores only 1 to " + ((1 << bits) - 1) + " at " + bits + " bits");
        PackedLinear v2 = Packing.pack(linear, CheckpointFormat.GPTQ_V2);
        assertThat(Packing.unpack(v2, CheckpointFormat.GPTQ_V2).zeros()).isDeepEqualTo(linear.zeros());
    }

    /** Foreign v1 files do hold zero points of 0, wrapped per field; masking readers recover them, and so do we. */
    @Test
    void readsWrappedZeroPointsAsMaskingKernelsDo() throws IOException {
        for (JsonNode quirk : PackVector.read("pack-quirks").json().get("zero_point_0")) {
            int bits = quirk.get("bits").intValue();
            int[] trueZeros = PackVector.row(quirk.get("true_zeros"));
            int[] wrapped = PackVector.row(
                    quirk.get("producers").get("per-field (zero-1) mod 2^bits").get("words"));

            assertThat(unpackZeros(bits, wrapped, CheckpointFormat.GPTQ)).containsExactly(trueZeros);
            assertThat(unpackZeros(bits, PackVector.row(quirk.get("v2_words")), CheckpointFormat.GPTQ_V2))
                    .containsExactly(trueZeros);
        }
    }

    @Test
    void readsTheStraddlingZeroPointsOfThreeBits() throws IOException {
        JsonNode quirk = PackVector.read("pack-quirks").json().get("zero_point_0_3bit");

        assertThat(unpackZeros(3, PackVector.row(quirk.get("v2_words")), CheckpointFormat.GPTQ_V2))
                .containsExactly(PackVector.row(quirk.get("true_zeros")));
    }

    private static int[] unpackZeros(int bits, int[] words, CheckpointFormat format) {
        QuantizedLinear any = Linears.random("m", bits, -1, 32, 32, true, false, 4);
        PackedLinear packed = new PackedLinear(
                "m",
                bits,
                -1,
                Packing.pack(any, CheckpointFormat.GPTQ_V2).qweight(),
                new int[][] {words},
                any.scales(),
                any.gIdx());
        byte[] zeros = Packing.unpack(packed, format).zeros()[0];
        int[] unsigned = new int[zeros.length];
        for (int o = 0; o < zeros.length; o++) {
            unsigned[o] = zeros[o] & 0xff;
        }
        return unsigned;
    }

    @Test
    void refusesTheOddShapesThatReferencePackersTruncate() throws IOException {
        int refused = 0;
        for (JsonNode odd : PackVector.read("pack-quirks").json().get("odd_shapes")) {
            int in = odd.get("in").intValue();
            int out = odd.get("out").intValue();
            int groupSize = odd.get("group_size").intValue();
            QuantizedLinear linear =
                    Linears.random("m", odd.get("bits").intValue(), groupSize, in, out, true, false, 5);
            if (in % 32 == 0 && out % 32 == 0) { // only the group is odd: three groups, the last one short
                assertThat(Packing.pack(linear, CheckpointFormat.GPTQ).qzeros()).hasNumberOfRows(3);
                continue;
            }
            refused++;
            assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Module m: inputs and outputs must be multiples of 32 to be packed, not " + in + " and "
                            + out);
        }
        assertThat(refused).isEqualTo(7);
    }

    /** GPTQModel packs 72 inputs into 9 rows and 40 outputs into 5 columns; nothing is lost, so both are read. */
    @ParameterizedTest
    @CsvSource({"4, 72, 40", "8, 36, 44", "2, 48, 80", "4, 8, 8"})
    void readsForeignShapesThatFillWholeWords(int bits, int in, int out) {
        QuantizedLinear linear = Linears.random("m", bits, 24, in, out, false, false, 6);
        int[][] qweight = new int[in * bits / 32][out];
        int[][] qzeros = new int[linear.groups()][out * bits / 32];
        for (int o = 0; o < out; o++) {
            for (int bit = 0; bit < in * bits; bit++) {
                qweight[bit / 32][o] |= ((linear.codes()[o][bit / bits] >> (bit % bits)) & 1) << (bit % 32);
            }
            for (int g = 0; g < qzeros.length; g++) {
                for (int b = 0; b < bits; b++) {
                    int bit = o * bits + b;
                    qzeros[g][bit / 32] |= (((linear.zeros()[g][o] - 1) >> b) & 1) << (bit % 32);
                }
            }
        }

        QuantizedLinear unpacked = Packing.unpack(
                new PackedLinear("m", bits, 24, qweight, qzeros, linear.scales(), linear.gIdx()),
                CheckpointFormat.GPTQ);

        assertThat(unpacked.codes()).isDeepEqualTo(linear.codes());
        assertThat(unpacked.zeros()).isDeepEqualTo(linear.zeros());
    }

    @Test
    void refusesTruncatedZeroPointsOfForeignShapes() {
        QuantizedLinear linear = Linears.random("m", 4, 32, 64, 40, false, false, 7);

        assertThatThrownBy(() ->
                        new PackedLinear("m", 4, 32, new int[8][40], new int[2][4], linear.scales(), linear.gIdx()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module m: 40 outputs of 4 bits do not fill the 4 columns of qzeros");
    }

    @Test
    void refusesDroppedInputsOfForeignShapes() {
        QuantizedLinear linear = Linears.random("m", 4, -1, 72, 64, false, false, 8);

        assertThatThrownBy(() ->
                        new PackedLinear("m", 4, -1, new int[8][64], new int[1][8], linear.scales(), linear.gIdx()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module m: 72 inputs of 4 bits do not fill the 8 rows of qweight");
    }

    @ParameterizedTest
    @CsvSource({"2, 4", "3, 8", "4, 16", "4, 255"})
    void refusesACodeThatDoesNotFit(int bits, int code) {
        QuantizedLinear linear = Linears.random("model.k_proj", bits, 32, 64, 64, true, false, 9);
        linear.codes()[63][33] = (byte) code;

        assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module model.k_proj: code of output 63, input 33 is " + code + ", but " + bits
                        + " bits hold only 0 to " + ((1 << bits) - 1));
    }

    @ParameterizedTest
    @EnumSource(CheckpointFormat.class)
    void refusesAZeroPointThatDoesNotFit(CheckpointFormat format) {
        QuantizedLinear linear = Linears.random("m", 4, 32, 64, 64, true, false, 10);
        linear.zeros()[0][0] = 16;

        assertThatThrownBy(() -> Packing.pack(linear, format))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("Module m: zero point of group 0, output 0 is 16");
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 2, Integer.MAX_VALUE})
    void refusesAGroupIndexOutOfRange(int group) {
        QuantizedLinear linear = Linears.random("model.v_proj", 4, 32, 64, 64, true, false, 11);
        linear.gIdx()[40] = group;

        assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module model.v_proj: g_idx[40] is " + group + ", expected 0 to 1");
    }

    @ParameterizedTest
    @ValueSource(ints = {0x7c00, 0xfc00, 0x7e00})
    void refusesAScaleThatOverflowedBinary16(int scale) {
        QuantizedLinear linear = Linears.random("m", 4, 32, 64, 64, true, false, 12);
        linear.scales()[1][2] = (short) scale;

        assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module m: scale of group 1, output 2 is not finite in binary16");
    }

    @Test
    void refusesRaggedCodes() {
        QuantizedLinear linear = Linears.random("m", 4, 32, 64, 64, true, false, 13);
        linear.codes()[5] = new byte[32];

        assertThatThrownBy(() -> Packing.pack(linear, CheckpointFormat.GPTQ))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module m: row 5 has 32 codes for 64 inputs");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 5, 6, 7, 16})
    void refusesOtherWidths(int bits) {
        assertThatThrownBy(() -> Linears.random("m", bits, 32, 64, 64, true, false, 14))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
