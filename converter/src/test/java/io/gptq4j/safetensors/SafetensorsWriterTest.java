package io.gptq4j.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsWriterTest {
    @TempDir
    Path directory;

    @Test
    void writesThePublishedBytesOfOneTensor() throws IOException {
        ByteBuffer data = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 6; i++) {
            data.putFloat(i);
        }
        Path file = write(Map.of(), Map.of(TensorInfo.of("attn.0", DType.F32, 1, 2, 3), data.array()));
        byte[] expected = Bytes.concat(
                new byte[] {64, 0, 0, 0, 0, 0, 0, 0},
                ascii("{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}"),
                new byte[] {
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    (byte) 128,
                    63,
                    0,
                    0,
                    0,
                    64,
                    0,
                    0,
                    64,
                    64,
                    0,
                    0,
                    (byte) 128,
                    64,
                    0,
                    0,
                    (byte) 160,
                    64
                });
        assertThat(Files.readAllBytes(file)).isEqualTo(expected);
    }

    @Test
    void writesThePublishedBytesOfPackedFp4() throws IOException {
        Path file = write(Map.of(), Map.of(TensorInfo.of("attn.0", DType.F4, 1, 2), new byte[] {0}));
        byte[] expected = Bytes.concat(
                new byte[] {64, 0, 0, 0, 0, 0, 0, 0},
                ascii("{\"attn.0\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[0,1]}}    "),
                new byte[] {0});
        assertThat(Files.readAllBytes(file)).isEqualTo(expected);
    }

    @Test
    void writesThePublishedBytesOfEmptyFiles() throws IOException {
        assertThat(Files.readAllBytes(write(Map.of(), Map.of())))
                .isEqualTo(Bytes.concat(new byte[] {8, 0, 0, 0, 0, 0, 0, 0}, ascii("{}      ")));
        assertThat(Files.readAllBytes(write(Map.of("framework", "pt"), Map.of())))
                .isEqualTo(Bytes.concat(
                        new byte[] {40, 0, 0, 0, 0, 0, 0, 0}, ascii("{\"__metadata__\":{\"framework\":\"pt\"}}     ")));
    }

    @Test
    void padsTheHeaderSoThatDataIsAligned() throws IOException {
        Path file = write(Map.of(), Map.of(TensorInfo.of("attn0", DType.F32, 1, 1, 2, 3), new byte[24]));
        byte[] expected = Bytes.concat(
                new byte[] {72, 0, 0, 0, 0, 0, 0, 0},
                ascii("{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":[0,24]}}       "),
                new byte[24]);
        assertThat(Files.readAllBytes(file)).isEqualTo(expected);
    }

    @Test
    void reproducesTheHeadOfARealFileWhateverTheOrder() throws IOException {
        byte[] head;
        try (var in = SafetensorsWriterTest.class.getResourceAsStream("tiny-opt-head.bin")) {
            head = Objects.requireNonNull(in).readAllBytes();
        }
        byte[] json = Arrays.copyOfRange(head, 8, head.length);
        SafetensorsHeader header = SafetensorsHeader.parse("tiny-opt", json, head.length + 8_679_424L);
        List<TensorInfo> tensors = new ArrayList<>(header.tensors().values());
        Collections.shuffle(tensors, new Random(1));
        assertThat(SafetensorsHeader.encode(tensors, header.metadata())).isEqualTo(head);
    }

    @Test
    void laysOutByDescendingDtypeThenByCodePointOfTheName() {
        List<TensorInfo> tensors = new ArrayList<>();
        for (DType dtype : DType.values()) {
            tensors.add(TensorInfo.of(dtype.name(), dtype, 8));
        }
        for (String name : List.of("b", "a", "B", "a.1", "\uff5e", "\ud83d\ude00")) {
            tensors.add(TensorInfo.of(name, DType.U64, 1));
        }
        String json = new String(SafetensorsHeader.encode(tensors, Map.of()), StandardCharsets.UTF_8);
        assertThat(json.split("\":\\{\"dtype"))
                .extracting(part -> part.substring(part.lastIndexOf('"') + 1))
                .startsWith("B", "U64", "a", "a.1", "b", "\uff5e", "\ud83d\ude00", "I64", "F64", "C64", "F32", "U32")
                .containsSubsequence("BF16", "F16", "U16", "I16", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3")
                .containsSubsequence("F8_E5M2", "I8", "U8", "F6_E3M2", "F6_E2M3", "F4", "BOOL");
    }

    @Test
    void writesNamesAndMetadataThatNeedEscapes() throws IOException {
        List<String> names = List.of(
                "quote\"",
                "back\\slash",
                "line\nfeed\r\t\b\f",
                "nul\0",
                "esc\u001b",
                "del\u007f",
                "emb.\u00e9",
                "\u6a21\u578b",
                "\ud83d\ude00",
                "/",
                "",
                " ");
        Map<TensorInfo, byte[]> tensors = new LinkedHashMap<>();
        for (int i = 0; i < names.size(); i++) {
            tensors.put(TensorInfo.of(names.get(i), DType.I16, 1), new byte[] {(byte) i, 1});
        }
        Path file = write(Map.of("k\"\u00e9\n", "v\\\u0001\ud83d\ude00"), tensors);
        byte[] bytes = Files.readAllBytes(file);
        assertThat(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong() + 8 + 2L * names.size())
                .isEqualTo(bytes.length);
        assertThat(new String(bytes, StandardCharsets.UTF_8))
                .contains("\"quote\\\"\":", "\"line\\nfeed\\r\\t\\b\\f\":", "\"nul\\u0000\":", "\"esc\\u001b\":")
                .contains("\"emb.\u00e9\":", "\"/\":", "\"k\\\"\u00e9\\n\":\"v\\\\\\u0001\ud83d\ude00\"");
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            assertThat(reader.metadata()).containsExactly(Map.entry("k\"\u00e9\n", "v\\\u0001\ud83d\ude00"));
            for (int i = 0; i < names.size(); i++) {
                assertThat(Bytes.read(reader, names.get(i))).containsExactly(i, 1);
            }
        }
    }

    @Test
    void sortsMetadataByKey() {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("z", "1");
        metadata.put("a", "2");
        assertThat(new String(SafetensorsHeader.encode(List.of(), metadata), StandardCharsets.UTF_8))
                .contains("{\"__metadata__\":{\"a\":\"2\",\"z\":\"1\"}}");
    }

    @Test
    void refusesNamesThatNoFileCanHold() {
        TensorInfo tensor = TensorInfo.of("a", DType.I8, 1);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SafetensorsHeader.encode(List.of(tensor, tensor), Map.of()))
                .withMessage("Tensor name 'a' occurs twice");
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> SafetensorsHeader.encode(List.of(TensorInfo.of("__metadata__", DType.I8, 1)), Map.of()))
                .withMessage("Tensor name '__metadata__' is reserved by the format");
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> SafetensorsHeader.encode(List.of(TensorInfo.of("half\ud800", DType.I8, 1)), Map.of()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SafetensorsHeader.encode(List.of(), Map.of("k", "\udc00x")));
    }

    @Test
    void refusesHeaderBeyondTheFormatsLimit() {
        Map<String, String> metadata = Map.of("k", "x".repeat(SafetensorsHeader.MAX_LENGTH));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SafetensorsHeader.encode(List.of(), metadata))
                .withMessageContaining("the format allows 100000000");
    }

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void readsBackWhatItWroteInPiecesOfAnyOrder(long seed) throws IOException {
        Random random = new Random(seed);
        Map<TensorInfo, byte[]> tensors = new LinkedHashMap<>();
        int count = 1 + random.nextInt(8);
        List<DType> dtypes = List.of(DType.values());
        for (int t = 0; t < count; t++) {
            DType dtype = dtypes.get(random.nextInt(dtypes.size()));
            long[] shape = random.longs(random.nextInt(4), 0, 5).toArray();
            long[] whole = Arrays.copyOf(shape, shape.length + 1);
            whole[shape.length] = 8; // packed types come in whole bytes
            TensorInfo info = TensorInfo.of("t." + t, dtype, whole);
            byte[] data = new byte[(int) info.byteLength()];
            random.nextBytes(data);
            tensors.put(info, data);
        }
        record Piece(String name, int from, ByteBuffer bytes) {}
        List<Piece> pieces = new ArrayList<>();
        tensors.forEach((info, data) -> {
            int from = 0;
            while (from < data.length) {
                int to = Math.min(data.length, from + 1 + random.nextInt(20));
                pieces.add(new Piece(info.name(), from, ByteBuffer.wrap(data, from, to - from)));
                from = to;
            }
        });
        Collections.shuffle(pieces, random);
        Path file = directory.resolve("random.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, tensors.keySet(), Map.of("format", "pt"))) {
            for (Piece piece : pieces) {
                writer.write(piece.name(), piece.from(), piece.bytes());
            }
            writer.commit();
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            assertThat(reader.tensors().values()).containsExactlyInAnyOrderElementsOf(tensors.keySet());
            assertThat(reader.header().dataStart() % 8).isZero();
            for (Map.Entry<TensorInfo, byte[]> tensor : tensors.entrySet()) {
                String name = tensor.getKey().name();
                assertThat(Bytes.read(reader, name)).isEqualTo(tensor.getValue());
                if (tensor.getKey().dtype().bits() >= 8) {
                    long begin = Objects.requireNonNull(
                                    reader.header().entries().get(name))
                            .begin();
                    assertThat(begin * 8 % tensor.getKey().dtype().bits()).isZero();
                }
            }
        }
    }

    @Test
    void acceptsConcurrentWritesToDifferentRanges() throws Exception {
        Path file = directory.resolve("concurrent.safetensors");
        int piece = 1000;
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", DType.U8, 64_000)), Map.of())) {
            ExecutorService pool = Executors.newFixedThreadPool(4);
            List<Future<?>> jobs = new ArrayList<>();
            for (int i = 0; i < 64; i++) {
                int number = i;
                jobs.add(pool.submit(() -> {
                    byte[] bytes = new byte[piece];
                    Arrays.fill(bytes, (byte) number);
                    writer.write("a", (long) number * piece, ByteBuffer.wrap(bytes));
                    return null;
                }));
            }
            pool.shutdown();
            for (Future<?> job : jobs) {
                job.get();
            }
            writer.commit();
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            byte[] all = Bytes.read(reader, "a");
            for (int i = 0; i < all.length; i++) {
                assertThat(all[i]).isEqualTo((byte) (i / piece));
            }
        }
    }

    @Test
    void refusesToCommitIncompleteTensorAndLeavesNothingBehind() throws IOException {
        Path file = directory.resolve("model.safetensors");
        Files.writeString(file, "the older file");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", DType.F32, 4)), Map.of())) {
            writer.write("a", 0, ByteBuffer.allocate(4));
            writer.write("a", 8, ByteBuffer.allocate(8));
            assertThatIllegalStateException()
                    .isThrownBy(writer::commit)
                    .withMessage("Tensor 'a' of " + file + " is incomplete: byte 4 of 16 was not written");
        }
        assertThat(file).hasContent("the older file");
        assertThat(files()).containsExactly(file);
    }

    @Test
    void rewritingARangeDoesNotCountTwice() throws IOException {
        Path file = directory.resolve("model.safetensors");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", DType.U8, 4)), Map.of())) {
            writer.write("a", 0, ByteBuffer.wrap(new byte[] {9, 9}));
            writer.write("a", 0, ByteBuffer.wrap(new byte[] {1, 2}));
            assertThatIllegalStateException().isThrownBy(writer::commit);
            writer.write("a", 1, ByteBuffer.wrap(new byte[] {5, 3, 4}));
            writer.commit();
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            assertThat(Bytes.read(reader, "a")).containsExactly(1, 5, 3, 4);
        }
    }

    @Test
    void replacesFileThatIsBeingRead() throws IOException {
        TensorInfo info = TensorInfo.of("a", DType.U8, 4);
        Path file = write("same", Map.of(), Map.of(info, new byte[] {1, 2, 3, 4}));
        try (SafetensorsReader older = SafetensorsReader.open(file)) {
            write("same", Map.of(), Map.of(info, new byte[] {5, 6, 7, 8}));
            assertThat(Bytes.read(older, "a")).containsExactly(1, 2, 3, 4);
        }
        try (SafetensorsReader newer = SafetensorsReader.open(file)) {
            assertThat(Bytes.read(newer, "a")).containsExactly(5, 6, 7, 8);
        }
        assertThat(files()).containsExactly(file);
    }

    @Test
    void refusesWritesThatLeaveTheTensor() throws IOException {
        Path file = directory.resolve("model.safetensors");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", DType.U8, 4)), Map.of())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> writer.write("a", 3, ByteBuffer.allocate(2)))
                    .withMessage("Bytes 3 to 5 leave tensor 'a' of 4 bytes in " + file);
            assertThatIllegalArgumentException().isThrownBy(() -> writer.write("a", -1, ByteBuffer.allocate(1)));
            assertThatIllegalArgumentException().isThrownBy(() -> writer.write("b", 0, ByteBuffer.allocate(0)));
        }
        assertThat(files()).isEmpty();
    }

    @Test
    void reportsMissingDirectory() {
        Path file = directory.resolve("none/model.safetensors");
        assertThatExceptionOfType(NoSuchFileException.class)
                .isThrownBy(() -> SafetensorsWriter.create(file, List.of(), Map.of()))
                .withMessage(file + ": its directory does not exist");
    }

    @Test
    void writesBeyondTwoGigabytesOfOffset() throws IOException {
        Path file = directory.resolve("big.safetensors");
        long length = 3L << 30;
        try (SafetensorsWriter writer = SafetensorsWriter.create(
                file, List.of(TensorInfo.of("big", DType.U8, length), TensorInfo.of("b", DType.BOOL, 2)), Map.of())) {
            // Sparse and not committed: filling it would cost 3 GiB; where the bytes land is what matters.
            writer.write("big", length - 2, ByteBuffer.wrap(new byte[] {7, 8}));
            writer.write("b", 0, ByteBuffer.wrap(new byte[] {1, 0}));
            Path temporary = files().get(0);
            try (SafetensorsReader reader = SafetensorsReader.open(temporary)) {
                ByteBuffer end = ByteBuffer.allocateDirect(3);
                reader.read("big", length - 3, end);
                assertThat(end.get(0)).isZero();
                assertThat(end.get(1)).isEqualTo((byte) 7);
                assertThat(end.get(2)).isEqualTo((byte) 8);
                assertThat(Bytes.read(reader, "b")).containsExactly(1, 0);
            }
        }
        assertThat(files()).isEmpty();
    }

    private Path write(Map<String, String> metadata, Map<TensorInfo, byte[]> tensors) throws IOException {
        return write("model", metadata, tensors);
    }

    private Path write(String name, Map<String, String> metadata, Map<TensorInfo, byte[]> tensors) throws IOException {
        Path file = directory.resolve(name + ".safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, tensors.keySet(), metadata)) {
            for (Map.Entry<TensorInfo, byte[]> tensor : tensors.entrySet()) {
                writer.write(tensor.getKey().name(), 0, ByteBuffer.wrap(tensor.getValue()));
            }
            writer.commit();
        }
        return file;
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.toList();
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
