package io.gptq4j.checkpoint;

import static io.gptq4j.checkpoint.TorchFiles.copy;
import static io.gptq4j.checkpoint.TorchFiles.refusal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors of an archive of torch.save, and archives that are refused. */
class TorchZipReaderTest {
    private static final long[] TWO = {2};
    private static final long[] ONE = {1};

    @TempDir
    Path directory;

    @ParameterizedTest
    @ValueSource(strings = {"protocol2.bin", "protocol4.bin"})
    void readsStateDictThatPythonPickled(String resource) throws IOException {
        try (TorchZipReader reader = TorchZipReader.open(copy(resource, directory))) {
            assertThat(reader.tensors().values())
                    .containsExactlyInAnyOrder(
                            TensorInfo.of("embed.weight", DType.F32, 2, 3),
                            TensorInfo.of("lm_head.weight", DType.F32, 2, 3),
                            TensorInfo.of("transposed", DType.F32, 3, 2),
                            TensorInfo.of("expanded", DType.F16, 2, 2),
                            TensorInfo.of("tail", DType.F16, 2),
                            TensorInfo.of("step", DType.I64),
                            TensorInfo.of("mask", DType.BOOL, 3),
                            TensorInfo.of("empty", DType.F32, 0, 4),
                            TensorInfo.of("float8", DType.F8_E4M3, 2, 2));
            assertThat(floats(reader, "embed.weight")).containsExactly(0, 1, 2, 3, 4, 5);
            assertThat(floats(reader, "lm_head.weight")).containsExactly(0, 1, 2, 3, 4, 5);
            assertThat(floats(reader, "transposed")).containsExactly(0, 3, 1, 4, 2, 5);
            assertThat(read(reader, "expanded")).containsExactly(0, 0x40, 0, 0x42, 0, 0x40, 0, 0x42);
            assertThat(read(reader, "tail")).containsExactly(0, 0x42, 0, 0x44);
            assertThat(read(reader, "step")).containsExactly(-7, -1, -1, -1, -1, -1, -1, -1);
            assertThat(read(reader, "mask")).containsExactly(1, 0, 1);
            assertThat(read(reader, "empty")).isEmpty();
            assertThat(read(reader, "float8")).containsExactly(0x38, 0x40, 0x44, 0x48);
            assertThat(reader.location("tail")).endsWith(resource);
        }
    }

    @Test
    void readsPiecesOfContiguousAndGatheredTensors() throws IOException {
        Path file = TorchFiles.stateDict()
                .tensor("plain", "ShortStorage", "0", 6, 1, new long[] {5}, ONE)
                .tensor("columns", "ShortStorage", "0", 6, 0, new long[] {3, 2}, new long[] {1, 3})
                .end()
                .entry("data/0", TorchFiles.littleEndianShorts(0x1000, 0x1101, 0x1202, 0x1303, 0x1404, 0x1505))
                .zip(directory.resolve("pieces.bin"));
        try (TorchZipReader reader = TorchZipReader.open(file)) {
            byte[] plain = {1, 0x11, 2, 0x12, 3, 0x13, 4, 0x14, 5, 0x15};
            byte[] columns = {0, 0x10, 3, 0x13, 1, 0x11, 4, 0x14, 2, 0x12, 5, 0x15};
            for (Map.Entry<String, byte[]> tensor :
                    Map.of("plain", plain, "columns", columns).entrySet()) {
                byte[] all = tensor.getValue();
                for (int from = 0; from <= all.length; from++) {
                    for (int to = from; to <= all.length; to++) {
                        ByteBuffer target = ByteBuffer.allocate(to - from);
                        reader.read(tensor.getKey(), from, target);
                        assertThat(target.array()).isEqualTo(Arrays.copyOfRange(all, from, to));
                    }
                }
            }
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> reader.read("plain", 9, ByteBuffer.allocate(2)))
                    .withMessage("Bytes 9 to 11 leave 'plain' of 10 bytes in " + file);
            assertThatIllegalArgumentException().isThrownBy(() -> reader.read("none", 0, ByteBuffer.allocate(0)));
        }
    }

    @Test
    void gathersTransposedMatrixOfManyPagesWithSeed5() throws IOException {
        int rows = 300;
        int columns = 257;
        byte[] stored = new byte[2 * rows * columns]; // [columns][rows], read as [rows][columns]
        new Random(5).nextBytes(stored);
        Path file = TorchFiles.stateDict()
                .tensor("t", "HalfStorage", "0", (long) rows * columns, 0, new long[] {rows, columns}, new long[] {
                    1, rows
                })
                .end()
                .entry("data/0", stored)
                .zip(directory.resolve("transposed.bin"));
        byte[] expected = new byte[stored.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                System.arraycopy(stored, 2 * (c * rows + r), expected, 2 * (r * columns + c), 2);
            }
        }
        try (TorchZipReader reader = TorchZipReader.open(file)) {
            assertThat(read(reader, "t")).isEqualTo(expected);
        }
    }

    @Test
    void readsZip64ArchiveBeyondFourGigabytes() throws IOException {
        // Sparse: one entry of 4 GiB + 6 bytes, and the directory behind it, all sizes in zip64 fields.
        long size = (4L << 30) + 6;
        byte[] pickle = TorchFiles.stateDict()
                .tensor("end", "ByteStorage", "0", size, size - 3, new long[] {3}, ONE)
                .end()
                .pickle();
        Path file = directory.resolve("zip64.bin");
        try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
            out.write(local("a/data.pkl", pickle.length));
            out.write(pickle);
            long dataHeader = out.getFilePointer();
            out.write(local("a/data/0", 0xffffffffL));
            out.seek(out.getFilePointer() + size - 3);
            out.write(new byte[] {7, 8, 9});
            long directoryStart = out.getFilePointer();
            out.write(central("a/data.pkl", pickle.length, 0));
            out.write(central("a/data/0", size, dataHeader));
            long directoryEnd = out.getFilePointer();
            out.write(end64(2, directoryEnd - directoryStart, directoryStart, directoryEnd));
        }
        try (TorchZipReader reader = TorchZipReader.open(file)) {
            assertThat(read(reader, "end")).containsExactly(7, 8, 9);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "os,system",
        "builtins,eval",
        "posix,system",
        "torch.storage,_load_from_bytes",
        "torch,load",
        "torch._utils,_rebuild_sparse_tensor",
        "torch.nn.modules.linear,Linear",
        "collections,Counter"
    })
    void refusesToTouchAnyOtherGlobal(String module, String name) throws IOException {
        Path file = TorchFiles.raw()
                .op(0x80, 2)
                .global(module, name)
                .op('(')
                .text("echo")
                .op('t', 'R', '.')
                .zip(directory.resolve("evil.bin"));
        assertThat(refusal(file))
                .hasMessageContaining("the pickle refers to '" + module + "." + name + "', which a state dict");
    }

    @Test
    void refusesTensorBeyondItsStorage() throws IOException {
        for (long[] view : new long[][] {{0, 3, 1}, {1, 2, 1}, {0, 2, 2}, {3, 1, 1}, {Long.MAX_VALUE, 2, 1}}) {
            Path file = TorchFiles.stateDict()
                    .tensor("w", "HalfStorage", "0", 2, view[0], new long[] {view[1]}, new long[] {view[2]})
                    .end()
                    .entry("data/0", new byte[4])
                    .zip(directory.resolve("bad.bin"));
            assertThat(refusal(file)).hasMessageStartingWith(file + ": tensor 'w' of shape ");
        }
    }

    @Test
    void refusesImpossibleGeometry() throws IOException {
        for (long[][] view : new long[][][] {{{-1}, {1}}, {{2}, {-1}}, {{2}, {}}, {{1L << 62, 4}, {0, 0}}}) {
            Path file = TorchFiles.stateDict()
                    .tensor("w", "HalfStorage", "0", 2, 0, view[0], view[1])
                    .end()
                    .entry("data/0", new byte[4])
                    .zip(directory.resolve("bad.bin"));
            assertThat(refusal(file)).hasMessageContaining("tensor 'w' of shape ");
        }
    }

    @Test
    void refusesStorageSmallerThanItsPickleClaims() throws IOException {
        Path file = TorchFiles.stateDict()
                .tensor("w", "HalfStorage", "0", 2, 0, TWO, ONE)
                .end()
                .entry("data/0", new byte[3])
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file))
                .hasMessage(file + ": tensor 'w' lies in storage '0' of 4 bytes, but its zip entry has only 3");
    }

    @Test
    void refusesMissingStorage() throws IOException {
        Path file = TorchFiles.stateDict()
                .tensor("w", "HalfStorage", "17", 2, 0, TWO, ONE)
                .end()
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessage(file + ": zip entry 'archive/data/17' is missing");
    }

    @Test
    void refusesCompressedArchive() throws IOException {
        Path file = TorchFiles.stateDict().end().zip(directory.resolve("bad.bin"), ZipEntry.DEFLATED);
        assertThat(refusal(file)).hasMessageContaining("zip entry 'archive/data.pkl' is compressed or encrypted");
    }

    @Test
    void refusesBigEndianFile() throws IOException {
        Path file = TorchFiles.stateDict()
                .end()
                .entry("byteorder", "big".getBytes(StandardCharsets.US_ASCII))
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("was written on a big-endian machine");
    }

    @Test
    void refusesTorchScript() throws IOException {
        Path file =
                TorchFiles.stateDict().end().entry("constants.pkl", new byte[0]).zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("is a TorchScript program");
    }

    @Test
    void refusesLegacyFormatWithAdvice() throws IOException {
        Path file = directory.resolve("pytorch_model.bin");
        Files.write(file, new byte[] {(byte) 0x80, 2, (byte) 0x8a, 10, 0x6c, (byte) 0xfc});
        assertThat(refusal(file)).hasMessageContaining("format of before 1.6").hasMessageContaining("save_pretrained");
        Files.writeString(file, "version https://git-lfs.github.com/spec/v1");
        assertThat(refusal(file)).hasMessageContaining("Git LFS pointer");
        Files.writeString(file, "");
        assertThat(refusal(file)).hasMessage(file + " is not a zip archive of torch.save");
    }

    @Test
    void refusesTruncatedArchives() throws IOException {
        byte[] archive = Files.readAllBytes(copy("protocol2.bin", directory));
        Path file = directory.resolve("cut.bin");
        for (int length = 0; length < archive.length; length += 5) { // each is a file to write
            Files.write(file, Arrays.copyOf(archive, length));
            assertThat(refusal(file)).as("cut at byte %d", length).isNotNull();
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3, 4})
    void neverFailsOtherwiseThanByRefusalOnDamagedArchives(long seed) throws IOException {
        byte[] archive = Files.readAllBytes(copy("protocol4.bin", directory));
        Random random = new Random(seed);
        Path file = directory.resolve("damaged.bin");
        for (int round = 0; round < 300; round++) {
            byte[] damaged = archive.clone();
            for (int i = 0; i < 1 + random.nextInt(4); i++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            Files.write(file, damaged);
            try (TorchZipReader reader = TorchZipReader.open(file)) {
                for (String name : reader.tensors().keySet()) {
                    assertThat(read(reader, name)).hasSizeLessThan(1 << 20);
                }
            } catch (CheckpointException e) {
                assertThat(e).hasMessageStartingWith(file.toString());
            }
        }
    }

    private static byte[] read(TorchZipReader reader, String name) throws IOException {
        TensorInfo info = Objects.requireNonNull(reader.tensors().get(name));
        ByteBuffer all = ByteBuffer.allocate(Math.toIntExact(info.byteLength()));
        reader.read(name, 0, all);
        return all.array();
    }

    private static float[] floats(TorchZipReader reader, String name) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(read(reader, name)).order(ByteOrder.LITTLE_ENDIAN);
        float[] floats = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(floats);
        return floats;
    }

    private static byte[] local(String name, long size) {
        return ByteBuffer.allocate(30 + name.length())
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(30, name.getBytes(StandardCharsets.US_ASCII))
                .putInt(0, 0x04034b50)
                .putInt(18, (int) size)
                .putInt(22, (int) size)
                .putShort(26, (short) name.length())
                .array();
    }

    private static byte[] central(String name, long size, long header) {
        ByteBuffer entry = ByteBuffer.allocate(46 + name.length() + 28)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(46, name.getBytes(StandardCharsets.US_ASCII))
                .putInt(0, 0x02014b50)
                .putInt(20, -1)
                .putInt(24, -1)
                .putShort(28, (short) name.length())
                .putShort(30, (short) 28)
                .putInt(42, -1);
        int extra = 46 + name.length();
        entry.putShort(extra, (short) 1)
                .putShort(extra + 2, (short) 24)
                .putLong(extra + 4, size)
                .putLong(extra + 12, size)
                .putLong(extra + 20, header);
        return entry.array();
    }

    private static byte[] end64(long count, long size, long start, long position) {
        return ByteBuffer.allocate(56 + 20 + 22)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(0, 0x06064b50)
                .putLong(4, 44)
                .putLong(24, count)
                .putLong(32, count)
                .putLong(40, size)
                .putLong(48, start)
                .putInt(56, 0x07064b50)
                .putLong(64, position)
                .putInt(72, 1)
                .putInt(76, 0x06054b50)
                .putShort(84, (short) -1)
                .putShort(86, (short) -1)
                .putInt(88, -1)
                .putInt(92, -1)
                .array();
    }
}
