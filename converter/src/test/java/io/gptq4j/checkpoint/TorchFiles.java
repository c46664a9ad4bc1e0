package io.gptq4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Builds pickles and torch.save archives, good and bad ones. */
final class TorchFiles {
    private final ByteArrayOutputStream pickle = new ByteArrayOutputStream();
    private final List<String> names = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();

    /** A pickle that has begun an empty state dict and its items. */
    static TorchFiles stateDict() {
        return new TorchFiles().op(0x80, 2).op('}').op('(');
    }

    static TorchFiles raw() {
        return new TorchFiles();
    }

    TorchFiles op(int... bytes) {
        for (int b : bytes) {
            pickle.write(b);
        }
        return this;
    }

    TorchFiles text(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        op('X').le(utf8.length, 4);
        pickle.writeBytes(utf8);
        return this;
    }

    TorchFiles integer(long value) {
        return op(0x8a, 8).le(value, 8);
    }

    TorchFiles integers(long... values) {
        op('(');
        for (long value : values) {
            integer(value);
        }
        return op('t');
    }

    TorchFiles le(long value, int bytes) {
        for (int i = 0; i < bytes; i++) {
            pickle.write((int) (value >> (8 * i)));
        }
        return this;
    }

    TorchFiles global(String module, String name) {
        pickle.writeBytes(("c" + module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
        return this;
    }

    TorchFiles storage(String type, String key, long count) {
        return op('(').text("storage")
                .global("torch", type)
                .text(key)
                .text("cpu")
                .integer(count)
                .op('t', 'Q');
    }

    /** One item of the state dict: a view of a storage. */
    TorchFiles tensor(String name, String type, String key, long count, long offset, long[] shape, long[] strides) {
        return text(name)
                .global("torch._utils", "_rebuild_tensor_v2")
                .op('(')
                .storage(type, key, count)
                .integer(offset)
                .integers(shape)
                .integers(strides)
                .op(0x89)
                .global("collections", "OrderedDict")
                .op(')', 'R', 't', 'R');
    }

    TorchFiles end() {
        return op('u', '.');
    }

    byte[] pickle() {
        return pickle.toByteArray();
    }

    TorchFiles entry(String name, byte[] content) {
        names.add(name);
        contents.add(content);
        return this;
    }

    /** Writes the archive with the JDK's own zip writer. */
    Path zip(Path file) throws IOException {
        return zip(file, ZipEntry.STORED);
    }

    Path zip(Path file, int method) throws IOException {
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            put(zip, "archive/data.pkl", pickle(), method);
            for (int i = 0; i < names.size(); i++) {
                put(zip, "archive/" + names.get(i), contents.get(i), method);
            }
        }
        return file;
    }

    /** Copies a file of the resources beside this class into a directory. */
    static Path copy(String resource, Path directory) throws IOException {
        Path file = directory.resolve(resource);
        try (InputStream in = TorchFiles.class.getResourceAsStream(resource)) {
            Files.write(file, Objects.requireNonNull(in).readAllBytes());
        }
        return file;
    }

    /** Why an archive is refused. */
    static CheckpointException refusal(Path file) {
        CheckpointException refusal = catchThrowableOfType(
                CheckpointException.class, () -> TorchZipReader.open(file).close());
        assertThat(refusal).as("%s must be refused", file).isNotNull();
        return refusal;
    }

    static byte[] littleEndianShorts(int... values) {
        ByteBuffer buffer = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int value : values) {
            buffer.putShort((short) value);
        }
        return buffer.array();
    }

    private static void put(ZipOutputStream zip, String name, byte[] content, int method) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(method);
        entry.setSize(content.length);
        if (method == ZipEntry.STORED) {
            CRC32 crc = new CRC32();
            crc.update(content);
            entry.setCompressedSize(content.length);
            entry.setCrc(crc.getValue());
        }
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }
}
