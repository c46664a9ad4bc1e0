package io.gptq4j.safetensors;

import static io.gptq4j.safetensors.Bytes.ONE_TENSOR;
import static io.gptq4j.safetensors.Bytes.open;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.gptq4j.safetensors.SafetensorsException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that are not safetensors, each refused with the reason. */
class SafetensorsRefusalsTest {
    @Test
    void rejectsTwoTensorsOnTheSameBytes() {
        StringBuilder header = new StringBuilder("{");
        for (int i = 0; i < 10; i++) {
            header.append("\"weight_")
                    .append(i)
                    .append("\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},");
        }
        header.setCharAt(header.length() - 1, '}');
        assertThat(refusal(Bytes.file(header.toString(), 16)))
                .hasMessage(
                        "test.safetensors: tensor 'weight_1' begins at byte 0 of the data, but the tensors before it"
                                + " end at byte 16: tensors must not overlap")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.OVERLAP);
    }

    @Test
    void rejectsHundredThousandTensorsOnTheSameBytes() {
        StringBuilder header = new StringBuilder("{");
        for (int i = 0; i < 100_000; i++) {
            header.append("\"weight_")
                    .append(i)
                    .append("\": {\"dtype\": \"F32\", \"shape\": [200, 200], \"data_offsets\": [0, 160000]}, ");
        }
        header.replace(header.length() - 2, header.length(), "}");
        assertThat(refusal(Bytes.file(header.toString(), 160_000)).reason()).isEqualTo(Reason.OVERLAP);
    }

    @Test
    void rejectsBytesAfterTheLastTensor() {
        byte[] polyglot = Bytes.concat(
                Bytes.file(ONE_TENSOR, 16), "extra_bogus_data_for_polyglot_file".getBytes(StandardCharsets.US_ASCII));
        assertThat(refusal(polyglot))
                .hasMessage("test.safetensors: the tensors end at byte 16 of the data, but 34 more bytes follow, which"
                        + " the format does not allow")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.TRAILING_BYTES);
    }

    @Test
    void rejectsFileThatEndsWithinItsTensors() {
        assertThat(refusal(Bytes.file(ONE_TENSOR, 14)))
                .hasMessage("test.safetensors: the tensors need 16 bytes after the header, but the file has only 14: it"
                        + " is truncated, fetch it again")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.TRUNCATED);
    }

    @Test
    void rejectsHeaderBeyondTheFormatsLimit() {
        byte[] file = Bytes.file(ONE_TENSOR, 16);
        Arrays.fill(file, 5, 8, (byte) 0xff);
        assertThat(refusal(file))
                .hasMessageContaining("claims 18446742974197923900 bytes")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.HEADER_TOO_LARGE);
        byte[] justAbove = lengthOnly(100_000_001);
        assertThat(refusal(justAbove).reason()).isEqualTo(Reason.HEADER_TOO_LARGE);
        byte[] justAllowed = lengthOnly(100_000_000);
        assertThat(refusal(justAllowed).reason()).isEqualTo(Reason.HEADER_TRUNCATED);
    }

    @Test
    void recognisesGitLfsPointer() {
        byte[] pointer = "version https://git-lfs.github.com/spec/v1\n".getBytes(StandardCharsets.US_ASCII);
        assertThat(refusal(pointer)).hasMessageContaining("Git LFS pointer");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7})
    void rejectsFileShorterThanTheLengthField(int length) {
        assertThat(refusal(new byte[length]).reason()).isEqualTo(Reason.HEADER_TOO_SMALL);
    }

    @Test
    void rejectsHeaderLongerThanTheFile() {
        assertThat(refusal(lengthOnly(60)).reason()).isEqualTo(Reason.HEADER_TRUNCATED);
        byte[] lying = Bytes.file(ONE_TENSOR, 16);
        lying[0] = (byte) (1000 & 0xff);
        lying[1] = (byte) (1000 >> 8);
        assertThat(refusal(lying)).hasMessageContaining("claims 1000 bytes, but only 76 follow");
    }

    @Test
    void rejectsHeaderThatIsNotUtf8() {
        assertThat(refusal(Bytes.file(new byte[] {(byte) 0xff}, 0)).reason()).isEqualTo(Reason.HEADER_NOT_UTF8);
        byte[] latin1 = "{\"__metadata__\":{\"a\":\"\u00e9\"}}".getBytes(StandardCharsets.ISO_8859_1);
        assertThat(refusal(Bytes.file(latin1, 0)).reason()).isEqualTo(Reason.HEADER_NOT_UTF8);
        byte[] encodedSurrogate = Bytes.concat(
                "{\"__metadata__\":{\"a\":\"".getBytes(StandardCharsets.US_ASCII),
                new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80},
                "\"}}".getBytes(StandardCharsets.US_ASCII));
        assertThat(refusal(Bytes.file(encodedSurrogate, 0)).reason()).isEqualTo(Reason.HEADER_NOT_UTF8);
    }

    @Test
    void rejectsHalfOfASurrogatePairInAnEscape() {
        String inName = "{\"a\\ud800\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
        String inMetadata = "{\"__metadata__\":{\"key\":\"\\udc00\"}}";
        assertThat(refusal(Bytes.file(inName, 0)).reason()).isEqualTo(Reason.HEADER_NOT_JSON);
        assertThat(refusal(Bytes.file(inMetadata, 0)).reason()).isEqualTo(Reason.HEADER_NOT_JSON);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{",
                "",
                "[]",
                "null",
                "\"text\"",
                "{} {}",
                "{},",
                "{}\0",
                "\0{}",
                "\ufeff{}",
                "{'a':1}",
                "{\"a\":01}",
                "{\"__metadata__\":{\"a\":\"b\n\"}}",
                "{\"__metadata__\":{\"a\":\"b\",}}",
                "/*c*/{}"
            })
    void rejectsHeaderThatIsNotOneJsonObject(String header) {
        assertThat(refusal(Bytes.file(header, 0)).reason()).isEqualTo(Reason.HEADER_NOT_JSON);
    }

    @Test
    void rejectsUtf16Header() {
        byte[] utf16 = "{}".getBytes(StandardCharsets.UTF_16LE);
        assertThat(refusal(Bytes.file(utf16, 0)).reason()).isEqualTo(Reason.HEADER_NOT_JSON);
    }

    @Test
    void rejectsDuplicateKeysOnEveryLevel() {
        String entry = "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
        for (String header : List.of(
                "{\"a\":" + entry + ",\"a\":" + entry + "}",
                "{\"a\":" + entry + ",\"\\u0061\":" + entry + "}",
                "{\"__metadata__\":{},\"a\":" + entry + ",\"__metadata__\":{}}",
                "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"},\"a\":" + entry + "}",
                "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"data_offsets\":[0,1]}}",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1,\"x\":1}}")) {
            assertThat(refusal(Bytes.file(header, 1)).reason()).as(header).isEqualTo(Reason.DUPLICATE_KEY);
        }
    }

    @Test
    void rejectsSizeThatDoesNotFitTheShape() {
        String header = "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0, 4]}}";
        assertThat(refusal(Bytes.file(header, 4)))
                .hasMessage("test.safetensors: tensor 'test' needs 16 bytes by dtype I32 and shape [2, 2], but its"
                        + " data_offsets [0, 4] hold 4")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.SIZE_MISMATCH);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[2,18446744073709551614]",
                "[2,9223372036854775807]",
                "[9223372036854775808]",
                "[99999999999999999999999999]",
                "[4294967296,4294967296]",
                "[1152921504606846976]"
            })
    void reportsOverflowOfTheShape(String shape) {
        String header = "{\"test\":{\"dtype\":\"I32\",\"shape\":" + shape + ",\"data_offsets\":[0,16]}}";
        assertThat(refusal(Bytes.file(header, 16)).reason()).isEqualTo(Reason.OVERFLOW);
    }

    @Test
    void reportsOverflowOfAnOffset() {
        String header =
                "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[18446744073709551614,18446744073709551615]}}";
        assertThat(refusal(Bytes.file(header, 1)).reason()).isEqualTo(Reason.OVERFLOW);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "F4;[3];0,1",
                "F4;[1];0,0",
                "F6_E2M3;[2];0,1",
                "F6_E3M2;[3];0,2",
            })
    void rejectsPackedTensorThatEndsWithinAByte(String dtype, String shape, String offsets) {
        String header =
                "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" + offsets + "]}}";
        assertThat(refusal(Bytes.file(header, 1)).reason()).isEqualTo(Reason.MISALIGNED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"F128", "f16", "", "F16 "})
    void rejectsUnknownDtypeNamingIt(String dtype) {
        String header = "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":[1],\"data_offsets\":[0,2]}}";
        assertThat(refusal(Bytes.file(header, 2)))
                .hasMessage("test.safetensors: tensor 'a' has the unknown dtype '" + dtype + "'")
                .extracting(SafetensorsException::reason)
                .isEqualTo(Reason.UNKNOWN_DTYPE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"dtype\":\"I8\",\"shape\":[-1],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[-0],\"data_offsets\":[0,0]}",
                "{\"dtype\":\"I8\",\"shape\":[1.0],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[1e0],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[null],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[[1]],\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":1,\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":null,\"data_offsets\":[0,1]}",
                "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0]}",
                "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1,1]}",
                "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[]}",
                "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":{\"0\":1}}",
                "{\"dtype\":\"I8\",\"shape\":[1]}",
                "{\"dtype\":\"I8\",\"data_offsets\":[0,1]}",
                "{\"shape\":[1],\"data_offsets\":[0,1]}",
                "{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}",
                "{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,1]}",
                "{}",
                "[]",
                "null",
                "3"
            })
    void rejectsEntryThatIsNotDtypeShapeAndOffsets(String entry) {
        assertThat(refusal(Bytes.file("{\"a\":" + entry + "}", 1)).reason()).isEqualTo(Reason.INVALID_ENTRY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "null", "\"x\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":[\"b\"]}"})
    void rejectsMetadataThatIsNotStrings(String metadata) {
        assertThat(refusal(Bytes.file("{\"__metadata__\":" + metadata + "}", 0)).reason())
                .isEqualTo(Reason.INVALID_METADATA);
    }

    @Test
    void rejectsHoleBeforeAndBetweenTensors() {
        String late = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
        String gap = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                + "\"b\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[2,3]}}";
        assertThat(refusal(Bytes.file(late, 2)).reason()).isEqualTo(Reason.HOLE);
        assertThat(refusal(Bytes.file(gap, 3)).reason()).isEqualTo(Reason.HOLE);
    }

    @Test
    void rejectsPartialOverlap() {
        String header = "{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                + "\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[1,3]}}";
        assertThat(refusal(Bytes.file(header, 3)).reason()).isEqualTo(Reason.OVERLAP);
    }

    @Test
    void rejectsOffsetsInReverse() {
        String header = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[1,0]}}";
        assertThat(refusal(Bytes.file(header, 1)).reason()).isEqualTo(Reason.OUT_OF_ORDER);
    }

    @Test
    void messageDoesNotRepeatControlCharactersOrEndlessNames() {
        String name = "\\u001b[31m" + "n".repeat(5000);
        String header = "{\"" + name + "\":{\"dtype\":\"no\",\"shape\":[1],\"data_offsets\":[0,2]}}";
        assertThat(refusal(Bytes.file(header, 2)).getMessage())
                .hasSizeLessThan(400)
                .doesNotContain("\u001b")
                .contains("'?[31mnnn");
    }

    private static byte[] lengthOnly(long length) {
        return ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(length)
                .array();
    }

    private static SafetensorsException refusal(byte[] file) {
        SafetensorsException refusal = catchThrowableOfType(SafetensorsException.class, () -> open(file));
        assertThat(refusal).as("the file must be refused").isNotNull();
        assertThat(refusal.source()).isEqualTo("test.safetensors");
        return refusal;
    }
}
