package io.gptq4j.checkpoint;

import io.gptq4j.internal.FileChannels;
import io.gptq4j.internal.Messages;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * The directory of a zip archive, zip64 included, whose entries lie uncompressed in the file (APPNOTE.TXT 4.3). The
 * JDK's reader inflates and copies; what is wanted here is where an entry's bytes are, to read tensors in place.
 */
final class StoredZip {
    private static final int LOCAL_HEADER = 0x04034b50;
    private static final int CENTRAL_HEADER = 0x02014b50;
    private static final int END = 0x06054b50;
    private static final int END64_LOCATOR = 0x07064b50;
    private static final int END64 = 0x06064b50;
    private static final int END_SIZE = 22;
    private static final int END64_LOCATOR_SIZE = 20;
    private static final int END64_SIZE = 56;
    private static final int CENTRAL_SIZE = 46;
    private static final int LOCAL_SIZE = 30;
    private static final long MARKER_32 = 0xffffffffL;
    private static final int MARKER_16 = 0xffff;
    /** A directory of a million entries is a tenth of this. */
    private static final long LARGEST_DIRECTORY = 256L << 20;

    private final String source;
    private final FileChannel channel;
    private final Map<String, Entry> entries = new HashMap<>();

    private record Entry(long header, long size, long compressedSize, int method, int flags) {}

    /** Where an entry's bytes lie in the file. */
    record Extent(long position, long size) {}

    StoredZip(String source, FileChannel channel) throws IOException {
        this.source = source;
        this.channel = channel;
        try {
            readDirectory();
        } catch (EOFException e) {
            throw new CheckpointException(source + ": the zip directory points beyond the end of the file", e);
        }
    }

    Set<String> names() {
        return entries.keySet();
    }

    /** Finds an entry's bytes. */
    Extent locate(String name) throws IOException {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new CheckpointException(source + ": zip entry " + Messages.quote(name) + " is missing");
        }
        if (entry.method() != 0 || entry.size() != entry.compressedSize() || (entry.flags() & 1) != 0) {
            throw new CheckpointException(source + ": zip entry " + Messages.quote(name)
                    + " is compressed or encrypted, but torch.save stores entries as they are:"
                    + " save the file again with torch.save");
        }
        ByteBuffer local = read(entry.header(), LOCAL_SIZE);
        if (local.getInt(0) != LOCAL_HEADER) {
            throw damaged("no local header where the directory places entry " + Messages.quote(name));
        }
        long position = entry.header() + LOCAL_SIZE + unsigned(local, 26) + unsigned(local, 28);
        if (entry.size() > channel.size() - position) {
            throw damaged("entry " + Messages.quote(name) + " of " + entry.size() + " bytes at byte " + position
                    + " ends beyond the file");
        }
        return new Extent(position, entry.size());
    }

    private void readDirectory() throws IOException {
        long fileSize = channel.size();
        ByteBuffer tail = readTail(fileSize);
        int end = findEnd(tail);
        long count = unsigned(tail, end + 10);
        long size = tail.getInt(end + 12) & MARKER_32;
        long start = tail.getInt(end + 16) & MARKER_32;
        int locator = end - END64_LOCATOR_SIZE;
        if (locator >= 0 && tail.getInt(locator) == END64_LOCATOR) {
            ByteBuffer end64 = read(tail.getLong(locator + 8), END64_SIZE);
            if (end64.getInt(0) != END64) {
                throw damaged("no zip64 directory end where its locator points");
            }
            count = end64.getLong(32);
            size = end64.getLong(40);
            start = end64.getLong(48);
        }
        if (size < 0 || size > LARGEST_DIRECTORY || start < 0 || start > fileSize - size) {
            throw damaged("a directory of " + size + " bytes at byte " + start + " of " + fileSize);
        }
        ByteBuffer directory = read(start, (int) size);
        long seen = 0;
        while (directory.remaining() >= CENTRAL_SIZE && directory.getInt(directory.position()) == CENTRAL_HEADER) {
            readEntry(directory);
            seen++;
        }
        if (seen != count) {
            throw damaged("a directory of " + count + " entries of which " + seen + " can be read");
        }
    }

    private void readEntry(ByteBuffer directory) throws IOException {
        int at = directory.position();
        int flags = unsigned(directory, at + 8);
        int method = unsigned(directory, at + 10);
        long compressedSize = directory.getInt(at + 20) & MARKER_32;
        long size = directory.getInt(at + 24) & MARKER_32;
        int nameLength = unsigned(directory, at + 28);
        int extraLength = unsigned(directory, at + 30);
        int commentLength = unsigned(directory, at + 32);
        long header = directory.getInt(at + 42) & MARKER_32;
        int next = at + CENTRAL_SIZE + nameLength + extraLength + commentLength;
        if (next > directory.limit()) {
            throw damaged("a directory that ends within an entry");
        }
        byte[] name = new byte[nameLength];
        directory.get(at + CENTRAL_SIZE, name);

        ByteBuffer wide = zip64Field(directory, at + CENTRAL_SIZE + nameLength, extraLength);
        size = widen(size, wide);
        compressedSize = widen(compressedSize, wide);
        header = widen(header, wide);
        Entry entry = new Entry(header, size, compressedSize, method, flags);
        if (entries.put(new String(name, StandardCharsets.UTF_8), entry) != null) {
            throw damaged("two entries of one name");
        }
        directory.position(next);
    }

    /** The zip64 extra field (header id 1): 8-byte values for just those fields that hold the 32-bit marker. */
    private static ByteBuffer zip64Field(ByteBuffer directory, int from, int length) {
        int at = from;
        while (at + 4 <= from + length) {
            int size = Math.min(unsigned(directory, at + 2), from + length - at - 4);
            if (unsigned(directory, at) == 1) {
                return directory.slice(at + 4, size).order(ByteOrder.LITTLE_ENDIAN);
            }
            at += 4 + size;
        }
        return ByteBuffer.allocate(0);
    }

    private long widen(long value, ByteBuffer wide) throws CheckpointException {
        if (value != MARKER_32) {
            return value;
        }
        if (wide.remaining() < Long.BYTES) {
            throw damaged("an entry whose zip64 sizes are missing");
        }
        long widened = wide.getLong();
        if (widened < 0) {
            throw damaged("an entry of negative size or position");
        }
        return widened;
    }

    private int findEnd(ByteBuffer tail) throws CheckpointException {
        for (int at = tail.limit() - END_SIZE; at >= 0; at--) {
            if (tail.getInt(at) == END && at + END_SIZE + unsigned(tail, at + 20) == tail.limit()) {
                return at;
            }
        }
        throw damaged("no directory at its end; it is probably truncated, fetch it again");
    }

    /** The last bytes of the file: directory end with the longest comment, and the zip64 locator before it. */
    private ByteBuffer readTail(long fileSize) throws IOException {
        int size = (int) Math.min(fileSize, END_SIZE + MARKER_16 + END64_LOCATOR_SIZE);
        return read(fileSize - size, size);
    }

    private ByteBuffer read(long position, int size) throws IOException {
        if (position < 0 || position > channel.size() - size) {
            throw damaged("a reference to byte " + position + ", beyond its end");
        }
        ByteBuffer buffer = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        FileChannels.readFully(channel, position, buffer);
        return buffer.flip();
    }

    private static int unsigned(ByteBuffer buffer, int at) {
        return Short.toUnsignedInt(buffer.getShort(at));
    }

    private CheckpointException damaged(String what) {
        return new CheckpointException(source + ": the zip archive is damaged: it has " + what);
    }
}
