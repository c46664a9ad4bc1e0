package io.gptq4j.safetensors;

import static io.gptq4j.safetensors.Bytes.ONE_TENSOR;
import static io.gptq4j.safetensors.Bytes.open;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.gptq4j.safetensors.SafetensorsException.Reason;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that are read, and how. */
class SafetensorsReaderTest {
    @TempDir
    Path directory;

    @Test
    void readsTensorWithItsInfoAndBytes() throws IOException {
        byte[] file = Bytes.file(ONE_TENSOR, 16);
        file[file.length - 16] = 1;
        file[file.length - 1] = 4;
        try (SafetensorsReader reader = open(file)) {
            assertThat(reader.tensors()).containsExactly(Map.entry("test", TensorInfo.of("test", DType.I32, 2, 2)));
            assertThat(Bytes.read(reader, "test")).containsExactly(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4);
            assertThat(reader.metadata()).isEmpty();
            assertThat(reader.location("test")).isEqualTo("test.safetensors");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}\r \t\n", "\t\n{}\r ", "{}      ", " {} "})
    void acceptsWhitespaceAroundTheHeader(String header) throws IOException {
        try (SafetensorsReader reader = open(Bytes.file(header, 0))) {
            assertThat(reader.tensors()).isEmpty();
        }
    }

    @Test
    void acceptsTensorWithoutElements() throws IOException {
        String header = "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 0))) {
            assertThat(Bytes.info(reader, "test").shape()).containsExactly(2L, 0L);
            assertThat(Bytes.read(reader, "test")).isEmpty();
        }
    }

    @Test
    void acceptsScalar() throws IOException {
        String header = "{\"test\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 4))) {
            assertThat(Bytes.info(reader, "test").shape()).isEmpty();
            assertThat(Bytes.read(reader, "test")).containsExactly(0, 0, 0, 0);
        }
    }

    @Test
    void acceptsEntriesInAnyOrderWithKeysInAnyOrder() throws IOException {
        String header = "{\"b\":{\"data_offsets\":[1,3],\"shape\":[2],\"dtype\":\"I8\"},"
                + "\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[1]}}";
        byte[] file = Bytes.file(header, 3);
        file[file.length - 2] = 7;
        try (SafetensorsReader reader = open(file)) {
            assertThat(reader.tensors().keySet()).containsExactly("a", "b");
            assertThat(Bytes.read(reader, "b")).containsExactly(7, 0);
        }
    }

    @Test
    void ignoresUnknownKeysOfAnEntry() throws IOException {
        String header =
                "{\"a\":{\"dtype\":\"U8\",\"extra\":{\"x\":[1,{\"dtype\":\"F32\"}]},\"shape\":[1],\"data_offsets\":[0,1],\"n\":null}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 1))) {
            assertThat(reader.tensors()).containsKey("a");
        }
    }

    @ParameterizedTest
    @CsvSource({"BOOL,1", "U8,1", "F8_E4M3FNUZ,1", "F16,2", "BF16,2", "U32,4", "C64,8", "U64,8"})
    void acceptsEveryKindOfDtype(String dtype, int bytes) throws IOException {
        String header = "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":[3],\"data_offsets\":[0," + 3 * bytes + "]}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 3 * bytes))) {
            assertThat(Bytes.info(reader, "a").dtype()).hasToString(dtype);
        }
    }

    @Test
    void readsMetadataInKeyOrder() throws IOException {
        String header = "{\"__metadata__\":{\"format\":\"pt\",\"b\\u00e9\":\"\\ud83d\\ude00\",\"a\":\"\"}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 0))) {
            assertThat(reader.metadata())
                    .containsExactly(
                            Map.entry("a", ""), Map.entry("b\u00e9", "\ud83d\ude00"), Map.entry("format", "pt"));
        }
    }

    @Test
    void acceptsMetadataOfThirtyMillionCharacters() throws IOException {
        String header = "{\"__metadata__\":{\"long\":\"" + "x".repeat(30_000_000) + "\"}}";
        try (SafetensorsReader reader = open(Bytes.file(header, 0))) {
            assertThat(reader.metadata().get("long")).hasSize(30_000_000);
        }
    }

    @Test
    void readsHeaderOfTwoHundredThousandTensors() throws IOException {
        StringBuilder header = new StringBuilder("{");
        for (int i = 0; i < 200_000; i++) {
            header.append("\"model.layers.")
                    .append(i)
                    .append(".mlp.experts.weight\":{\"dtype\":\"U8\",\"shape\":[1,2],")
                    .append("\"data_offsets\":[")
                    .append(2L * i)
                    .append(',')
                    .append(2L * i + 2)
                    .append("]},");
        }
        header.setCharAt(header.length() - 1, '}');
        try (SafetensorsReader reader = open(Bytes.file(header.toString(), 400_000))) {
            assertThat(reader.tensors()).hasSize(200_000);
            assertThat(reader.header().entries().get("model.layers.199999.mlp.experts.weight"))
                    .isNotNull()
                    .extracting(SafetensorsHeader.Entry::begin)
                    .isEqualTo(399_998L);
        }
    }

    @Test
    void refusesReadOutsideTheTensorAndOfUnknownNames() throws IOException {
        try (SafetensorsReader reader = open(Bytes.file(ONE_TENSOR, 16))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> reader.read("test", 13, ByteBuffer.allocate(4)))
                    .withMessage("Bytes 13 to 17 leave 'test' of 16 bytes in test.safetensors");
            assertThatIllegalArgumentException().isThrownBy(() -> reader.read("test", -1, ByteBuffer.allocate(1)));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> reader.read("test", Long.MAX_VALUE, ByteBuffer.allocate(1)));
            assertThatIllegalArgumentException().isThrownBy(() -> reader.read("none", 0, ByteBuffer.allocate(0)));
        }
    }

    @Test
    void closesItsChannelWithTheReaderAndOnRefusal() throws IOException {
        SeekableByteChannel good = Bytes.channel(Bytes.file("{}", 0));
        SafetensorsReader.open("good", good).close();
        assertThat(good.isOpen()).isFalse();
        SeekableByteChannel bad = Bytes.channel(new byte[3]);
        assertThatExceptionOfType(SafetensorsException.class).isThrownBy(() -> SafetensorsReader.open("bad", bad));
        assertThat(bad.isOpen()).isFalse();
    }

    @Test
    void reportsFileThatShrinksWhileOpen() throws IOException {
        Path file = directory.resolve("model.safetensors");
        Files.write(file, Bytes.file(ONE_TENSOR, 16));
        try (SafetensorsReader reader = SafetensorsReader.open(file);
                FileChannel other = FileChannel.open(file, StandardOpenOption.WRITE)) {
            other.truncate(other.size() - 4);
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> Bytes.read(reader, "test"))
                    .withMessageContaining("ends within tensor 'test'")
                    .extracting(SafetensorsException::reason)
                    .isEqualTo(Reason.TRUNCATED);
        }
    }

    @Test
    void readsBeyondTwoGigabytes() throws IOException {
        long length = (5L << 30) + 8; // sparse: takes no space on disk
        String header = "{\"big\":{\"dtype\":\"U8\",\"shape\":[" + (length - 8) + "],\"data_offsets\":[8," + length
                + "]},\"first\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}";
        Path file = directory.resolve("big.safetensors");
        byte[] head = Bytes.file(header, 0);
        Files.write(file, head);
        try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
            out.setLength(head.length + length);
            out.seek(head.length + length - 3);
            out.write(new byte[] {1, 2, 3});
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            ByteBuffer end = ByteBuffer.allocate(4);
            reader.read("big", length - 8 - 4, end);
            assertThat(end.array()).containsExactly(0, 1, 2, 3);
        }
    }

    @Test
    void readsConcurrentlyOverAnyChannelWithSeed7() throws Exception {
        byte[] file = Bytes.file("{\"a\":{\"dtype\":\"U8\",\"shape\":[5000],\"data_offsets\":[0,5000]}}", 5000);
        int dataStart = file.length - 5000;
        for (int i = 0; i < 5000; i++) {
            file[dataStart + i] = (byte) (i * 31);
        }
        Path path = directory.resolve("a.safetensors");
        Files.write(path, file);
        try (SafetensorsReader positional = SafetensorsReader.open(path);
                SafetensorsReader serialised = open(file)) {
            ExecutorService pool = Executors.newFixedThreadPool(4);
            List<Future<?>> jobs = new ArrayList<>();
            for (SafetensorsReader reader : List.of(positional, serialised)) {
                for (int seed = 7; seed < 15; seed++) {
                    Random random = new Random(seed);
                    jobs.add(pool.submit(() -> {
                        for (int i = 0; i < 100; i++) {
                            int from = random.nextInt(4900);
                            ByteBuffer target = ByteBuffer.allocate(100);
                            reader.read("a", from, target);
                            assertThat(target.array())
                                    .isEqualTo(Arrays.copyOfRange(file, dataStart + from, dataStart + from + 100));
                        }
                        return null;
                    }));
                }
            }
            pool.shutdown();
            for (Future<?> job : jobs) {
                job.get();
            }
        }
    }
}
