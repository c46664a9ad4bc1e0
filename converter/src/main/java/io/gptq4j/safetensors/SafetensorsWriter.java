package io.gptq4j.safetensors;

import io.gptq4j.internal.Closing;
import io.gptq4j.internal.FileChannels;
import io.gptq4j.internal.Messages;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/**
 * Writes one safetensors file whose tensors are announced first and filled in afterwards, in any order and in pieces of
 * any size. Nothing appears under the file's name until {@link #commit}, so a reader of an older file by that name is
 * not disturbed, and a crash leaves no half-written model.
 *
 * <p>{@link #write} is safe for concurrent use on different ranges; {@link #commit} and {@link #close} belong to one
 * thread, after the writes are done.
 */
public final class SafetensorsWriter implements Closeable {
    private final Path file;
    private final Path temporary;
    private final FileChannel channel;
    private final SafetensorsHeader header;
    private final Map<String, WrittenRanges> written = new HashMap<>();
    private volatile boolean committed;

    private SafetensorsWriter(Path file, Path temporary, FileChannel channel, SafetensorsHeader header) {
        this.file = file;
        this.temporary = temporary;
        this.channel = channel;
        this.header = header;
        header.tensors().keySet().forEach(name -> written.put(name, new WrittenRanges()));
    }

    /**
     * Creates a temporary neighbour of {@code file}, writes the header and sets the full size.
     *
     * @param file where the result goes; an existing file is replaced by {@link #commit}
     * @param tensors all tensors of the file, in any order: {@link SafetensorsHeader#encode} lays them out
     * @param metadata free-form text; loaders expect at least {@code format=pt}
     * @throws IllegalArgumentException if the tensors cannot form a header
     * @throws IOException if the file cannot be created
     */
    public static SafetensorsWriter create(Path file, Collection<TensorInfo> tensors, Map<String, String> metadata)
            throws IOException {
        Path target = file.toAbsolutePath();
        Path directory = target.getParent();
        if (directory == null || !Files.isDirectory(directory)) {
            throw new NoSuchFileException(file.toString(), null, "its directory does not exist");
        }
        byte[] head = SafetensorsHeader.encode(tensors, metadata);
        long length = head.length;
        for (TensorInfo tensor : tensors) {
            length = Math.addExact(length, tensor.byteLength());
        }
        // Read back what is to be written: no file of ours can break a rule that our reader holds others to.
        SafetensorsHeader header =
                SafetensorsHeader.parse(file.toString(), Arrays.copyOfRange(head, Long.BYTES, head.length), length);

        // Not Files.createTempFile: its files are readable by the owner alone, and so would be the model.
        Path temporary = directory.resolve("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        FileChannel channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        SafetensorsWriter writer = new SafetensorsWriter(target, temporary, channel, header);
        try {
            FileChannels.writeFully(channel, 0, ByteBuffer.wrap(head));
            if (length > head.length) {
                FileChannels.writeFully(channel, length - 1, ByteBuffer.allocate(1));
            }
            return writer;
        } catch (IOException | RuntimeException e) {
            Closing.after(e, writer);
            throw e;
        }
    }

    /** The header as it stands in the file. */
    public SafetensorsHeader header() {
        return header;
    }

    /**
     * Where the file is now: under a temporary name until {@link #commit}. It may be read there like any other; what has not been
     * written is zero.
     */
    public Path place() {
        return committed ? file : temporary;
    }

    /**
     * Writes all that remains in {@code bytes} into a tensor. Writing a range again overwrites it.
     *
     * @param name one of the announced tensors
     * @param offset where the bytes go, counted from the tensor's own start
     * @param bytes row-major, little-endian
     * @throws IllegalArgumentException if there is no such tensor or the range leaves it
     * @throws IOException if the bytes cannot be written
     */
    public void write(String name, long offset, ByteBuffer bytes) throws IOException {
        SafetensorsHeader.Entry entry = header.entries().get(name);
        WrittenRanges ranges = written.get(name);
        if (entry == null || ranges == null) {
            throw new IllegalArgumentException("Tensor " + Messages.quote(name) + " was not announced for " + file);
        }
        int count = bytes.remaining();
        if (offset < 0 || offset > entry.info().byteLength() - count) {
            throw new IllegalArgumentException("Bytes " + offset + " to " + (offset + count) + " leave tensor "
                    + Messages.quote(name) + " of " + entry.info().byteLength() + " bytes in " + file);
        }
        FileChannels.writeFully(channel, header.dataStart() + entry.begin() + offset, bytes);
        ranges.add(offset, offset + count);
    }

    /**
     * Makes the file durable and gives it its name, atomically.
     *
     * @throws IllegalStateException if some bytes of some tensor were never written
     * @throws IOException if syncing or renaming fails; the temporary file then goes with {@link #close}
     */
    public void commit() throws IOException {
        for (TensorInfo tensor : header.tensors().values()) {
            WrittenRanges ranges = written.get(tensor.name());
            long missing = ranges == null ? 0 : ranges.firstMissing();
            if (missing < tensor.byteLength()) {
                throw new IllegalStateException("Tensor " + Messages.quote(tensor.name()) + " of " + file
                        + " is incomplete: byte " + missing + " of " + tensor.byteLength() + " was not written");
            }
        }
        channel.force(true);
        channel.close();
        Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        committed = true;
        Path directory = file.getParent();
        if (directory != null) {
            FileChannels.forceDirectory(directory);
        }
    }

    /** Releases the file; without a {@link #commit} nothing of it stays behind. */
    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            if (!committed) {
                Files.deleteIfExists(temporary);
            }
        }
    }

    /** Which bytes of one tensor have been written: disjoint ranges, start to end, neighbours merged. */
    private static final class WrittenRanges {
        private final TreeMap<Long, Long> ranges = new TreeMap<>();

        synchronized void add(long begin, long end) {
            if (begin == end) {
                return;
            }
            long first = begin;
            long last = end;
            Map.Entry<Long, Long> neighbour = ranges.floorEntry(last);
            while (neighbour != null && neighbour.getValue() >= first) {
                first = Math.min(first, neighbour.getKey());
                last = Math.max(last, neighbour.getValue());
                ranges.remove(neighbour.getKey());
                neighbour = ranges.floorEntry(last);
            }
            ranges.put(first, last);
        }

        synchronized long firstMissing() {
            Long end = ranges.get(0L);
            return end == null ? 0 : end;
        }
    }
}
