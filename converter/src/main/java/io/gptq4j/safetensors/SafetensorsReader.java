package io.gptq4j.safetensors;

import io.gptq4j.internal.Closing;
import io.gptq4j.internal.FileChannels;
import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.SafetensorsException.Reason;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;

/**
 * One safetensors file, validated when it is opened. Only the header is held in memory; tensors are read by position.
 * Safe for concurrent use.
 */
public final class SafetensorsReader implements TensorSource {
    /** The first 8 bytes of a Git LFS pointer, which is what an unfinished clone holds in place of the file. */
    private static final long LFS_POINTER = ByteBuffer.wrap("version ".getBytes(StandardCharsets.US_ASCII))
            .order(ByteOrder.LITTLE_ENDIAN)
            .getLong();

    private final String name;
    private final SeekableByteChannel channel;
    private final SafetensorsHeader header;

    private SafetensorsReader(String name, SeekableByteChannel channel, SafetensorsHeader header) {
        this.name = name;
        this.channel = channel;
        this.header = header;
    }

    /**
     * Opens a file and validates its header against its length.
     *
     * @throws SafetensorsException if it breaks a rule of the format
     */
    public static SafetensorsReader open(Path file) throws IOException {
        return open(file.toString(), FileChannel.open(file, StandardOpenOption.READ));
    }

    /**
     * The same over any channel, such as one that fetches ranges of a remote file. A {@link FileChannel} is read
     * concurrently; any other channel is moved and read by one thread at a time.
     *
     * @param name what messages call it
     * @param channel belongs to the reader from now on: closed with it, and also if this call fails
     * @throws SafetensorsException if it breaks a rule of the format
     */
    public static SafetensorsReader open(String name, SeekableByteChannel channel) throws IOException {
        try {
            return new SafetensorsReader(name, channel, readHeader(name, channel));
        } catch (IOException | RuntimeException e) {
            Closing.after(e, channel);
            throw e;
        }
    }

    /** The file's header: places of the tensors, metadata. */
    public SafetensorsHeader header() {
        return header;
    }

    /** The free-form metadata in key order, such as {@code format=pt}; empty if there is none. Unmodifiable. */
    public Map<String, String> metadata() {
        return header.metadata();
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return header.tensors();
    }

    @Override
    public void read(String tensor, long offset, ByteBuffer target) throws IOException {
        SafetensorsHeader.Entry entry = entry(tensor);
        if (offset < 0 || offset > entry.end() - entry.begin() - target.remaining()) {
            throw new IllegalArgumentException("Bytes " + offset + " to " + (offset + target.remaining()) + " leave "
                    + Messages.quote(tensor) + " of " + entry.info().byteLength() + " bytes in " + name);
        }
        try {
            FileChannels.readFully(channel, header.dataStart() + entry.begin() + offset, target);
        } catch (EOFException e) {
            SafetensorsException failure = new SafetensorsException(
                    name,
                    Reason.TRUNCATED,
                    "the file has shrunk since it was opened and ends within tensor " + Messages.quote(tensor));
            failure.initCause(e);
            throw failure;
        }
    }

    @Override
    public String location(String tensor) {
        entry(tensor);
        return name;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private SafetensorsHeader.Entry entry(String tensor) {
        SafetensorsHeader.Entry entry = header.entries().get(tensor);
        if (entry == null) {
            throw new IllegalArgumentException("There is no tensor " + Messages.quote(tensor) + " in " + name);
        }
        return entry;
    }

    private static SafetensorsHeader readHeader(String name, SeekableByteChannel channel) throws IOException {
        long size = channel.size();
        if (size < Long.BYTES) {
            throw new SafetensorsException(
                    name,
                    Reason.HEADER_TOO_SMALL,
                    "the file has " + size + " bytes, but the length of a safetensors header alone takes 8");
        }
        ByteBuffer first = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        FileChannels.readFully(channel, 0, first);
        long length = first.getLong(0);
        if (length < 0 || length > SafetensorsHeader.MAX_LENGTH) {
            throw new SafetensorsException(
                    name,
                    Reason.HEADER_TOO_LARGE,
                    length == LFS_POINTER
                            ? "this is a Git LFS pointer, not the file itself: fetch the file"
                            : "the header claims " + Long.toUnsignedString(length) + " bytes, the format allows "
                                    + SafetensorsHeader.MAX_LENGTH + ": this is hardly a safetensors file");
        }
        if (length > size - Long.BYTES) {
            throw new SafetensorsException(
                    name,
                    Reason.HEADER_TRUNCATED,
                    "the header claims " + length + " bytes, but only " + (size - Long.BYTES)
                            + " follow its length: the file is truncated, fetch it again");
        }
        byte[] json = new byte[Math.toIntExact(length)];
        FileChannels.readFully(channel, Long.BYTES, ByteBuffer.wrap(json));
        return SafetensorsHeader.parse(name, json, size);
    }
}
