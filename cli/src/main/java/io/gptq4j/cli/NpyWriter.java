package io.gptq4j.cli;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Writes a float32 matrix as a NumPy file, format version 1.0, row by row through a temporary neighbour. Format: numpy's
 * {@code numpy.lib.format}.
 */
final class NpyWriter implements Closeable {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

    private final Path file;
    private final Path temporary;
    private final FileChannel channel;
    private final long elements;
    private long written;

    private NpyWriter(Path file, Path temporary, FileChannel channel, long elements) {
        this.file = file;
        this.temporary = temporary;
        this.channel = channel;
        this.elements = elements;
    }

    static NpyWriter create(Path file, long rows, long columns) throws IOException {
        Path target = file.toAbsolutePath();
        if (Files.isDirectory(target)) {
            throw new FileSystemException(file.toString(), null, "is a directory; name a file for the logits");
        }
        if (target.getParent() == null || !Files.isDirectory(target.getParent())) {
            throw new FileSystemException(file.toString(), null, "its directory does not exist; create it first");
        }
        Path temporary = file.resolveSibling("." + file.getFileName() + ".partial");
        FileChannel channel = FileChannel.open(
                temporary, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING);
        NpyWriter writer = new NpyWriter(file, temporary, channel, Math.multiplyExact(rows, columns));
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows + ", " + columns + "), }";
        int padding = 63 - (MAGIC.length + 2 + header.length()) % 64; // data starts at a multiple of 64
        byte[] text = (header + " ".repeat(padding) + "\n").getBytes(StandardCharsets.US_ASCII);
        try {
            writer.writeFully(ByteBuffer.allocate(MAGIC.length + 2 + text.length)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .put(MAGIC)
                    .putShort((short) text.length)
                    .put(text)
                    .flip());
        } catch (IOException e) {
            writer.close();
            throw e;
        }
        return writer;
    }

    void write(float[] values) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        writeFully(bytes);
        written += values.length;
    }

    private void writeFully(ByteBuffer bytes) throws IOException {
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (ClosedByInterruptException e) {
            throw e;
        } catch (IOException e) { // such as a full disk, whose message does not say which
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    void commit() throws IOException {
        if (written != elements) {
            throw new IllegalStateException("Wrote " + written + " of " + elements + " numbers to " + file);
        }
        channel.force(true);
        channel.close();
        Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    @Override
    public void close() throws IOException {
        channel.close();
        Files.deleteIfExists(temporary);
    }
}
