package io.gptq4j.hub.internal.download;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A file on its way. It is divided into segments of equal size; each is filled from its beginning, several at a time, and
 * how far each has come survives the process.
 *
 * <p>A file of one segment is a plain prefix: its length says how far it has come. Otherwise a second file beside it holds
 * the count of each segment: magic, size, segment size and the counts, all big-endian longs. A count is written after its
 * bytes; after a power failure it may still be ahead of them, which the hash of the whole tells.
 *
 * <p>Safe for concurrent use as long as each segment has one writer.
 */
final class PartialFile implements Closeable {
    private static final long MAGIC = 0x6770_7471_346a_5231L; // "gptq4jR1"
    private static final int HEADER_LONGS = 3;
    private static final String SUFFIX = ".incomplete";

    private final Path file;
    private final @Nullable Path countsFile;
    private final long size;
    private final long segmentSize;
    private final long[] counts;
    private final FileChannel channel;
    private final @Nullable FileChannel countsChannel;
    private long total;
    /** A segment before which all are complete. */
    private int firstGap;

    private boolean ended;

    private PartialFile(
            Path file,
            @Nullable Path countsFile,
            long size,
            long segmentSize,
            long[] counts,
            FileChannel channel,
            @Nullable FileChannel countsChannel) {
        this.file = file;
        this.countsFile = countsFile;
        this.size = size;
        this.segmentSize = segmentSize;
        this.counts = counts;
        this.channel = channel;
        this.countsChannel = countsChannel;
        total = Arrays.stream(counts).sum();
    }

    /**
     * Opens what an earlier process left, or begins anew.
     *
     * @param file ends in {@code .incomplete}
     * @param size bytes that the whole has; more than 0
     * @param segmentSize bytes of all segments but the last
     */
    static PartialFile open(Path file, long size, long segmentSize) throws IOException {
        FileChannel channel =
                FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        try {
            long[] counts = new long[Math.toIntExact((size + segmentSize - 1) / segmentSize)];
            Path countsFile = countsFile(file);
            if (counts.length == 1) {
                Files.deleteIfExists(countsFile);
                if (channel.size() > size) {
                    channel.truncate(0);
                }
                counts[0] = channel.size();
                return new PartialFile(file, null, size, segmentSize, counts, channel, null);
            }
            FileChannel countsChannel = FileChannel.open(
                    countsFile, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            try {
                PartialFile partial =
                        new PartialFile(file, countsFile, size, segmentSize, counts, channel, countsChannel);
                if (!partial.readCounts(countsChannel)) {
                    partial.reset();
                }
                return partial;
            } catch (IOException | RuntimeException e) {
                countsChannel.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** Bytes that an earlier process left, without opening them for writing. */
    static long left(Path file, long size, long segmentSize) throws IOException {
        if (!Files.isRegularFile(file)) {
            return 0;
        }
        if (size <= segmentSize) {
            return Math.min(size, Files.size(file));
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
                FileChannel counts = FileChannel.open(countsFile(file), StandardOpenOption.READ)) {
            long[] found = new long[Math.toIntExact((size + segmentSize - 1) / segmentSize)];
            PartialFile partial = new PartialFile(file, null, size, segmentSize, found, channel, null);
            return partial.readCounts(counts) ? partial.total() : 0;
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    /** Removes what an attempt left that nobody will go on with. */
    static void delete(Path file) throws IOException {
        Files.deleteIfExists(file);
        Files.deleteIfExists(countsFile(file));
    }

    /** Where the counts of a file of several segments are. */
    private static Path countsFile(Path file) {
        String name = String.valueOf(file.getFileName());
        return file.resolveSibling(name.substring(0, name.length() - SUFFIX.length()) + ".ranges" + SUFFIX);
    }

    /** Number of segments. */
    int segments() {
        return counts.length;
    }

    /** First byte of a segment. */
    long start(int segment) {
        return segment * segmentSize;
    }

    /** First byte behind a segment. */
    long end(int segment) {
        return Math.min(size, start(segment) + segmentSize);
    }

    /** Bytes of a segment that are there, from its beginning on. */
    synchronized long count(int segment) {
        return counts[segment];
    }

    /** Whether a segment is complete. */
    boolean isComplete(int segment) {
        return start(segment) + count(segment) == end(segment);
    }

    /** Bytes that are there, in all segments together. */
    synchronized long total() {
        return total;
    }

    /** Bytes that are there without a gap from the beginning of the file on. */
    synchronized long prefix() {
        while (firstGap < counts.length - 1 && counts[firstGap] == segmentSize) {
            firstGap++;
        }
        return start(firstGap) + counts[firstGap];
    }

    /** Appends to what a segment has; the bytes must not reach beyond its end. */
    void append(int segment, ByteBuffer bytes) throws IOException {
        long position = start(segment) + count(segment);
        if (position + bytes.remaining() > end(segment)) {
            throw new IllegalArgumentException("Bytes beyond the end of segment " + segment + " of " + file);
        }
        int length = bytes.remaining();
        long to = position;
        while (bytes.hasRemaining()) {
            to += channel.write(bytes, to);
        }
        synchronized (this) {
            counts[segment] += length;
            total += length;
            if (countsChannel != null) {
                writeLong(countsChannel, HEADER_LONGS + segment, counts[segment]);
            }
            notifyAll();
        }
    }

    /** Waits until the prefix is longer than {@code known}, or {@link #wake} is called. */
    synchronized void awaitPrefixBeyond(long known) throws InterruptedException {
        while (prefix() <= known && !ended) {
            wait();
        }
    }

    /** Ends a wait for what will not come. */
    synchronized void wake() {
        ended = true;
        notifyAll();
    }

    /** Forgets everything. */
    synchronized void reset() throws IOException {
        channel.truncate(0);
        Arrays.fill(counts, 0);
        total = 0;
        firstGap = 0;
        ended = false;
        if (countsChannel != null) {
            countsChannel.truncate(0);
            writeLong(countsChannel, 0, MAGIC);
            writeLong(countsChannel, 1, size);
            writeLong(countsChannel, 2, segmentSize);
            for (int segment = 0; segment < counts.length; segment++) {
                writeLong(countsChannel, HEADER_LONGS + segment, 0);
            }
        }
    }

    /** The channel of the content, for reading. */
    FileChannel channel() {
        return channel;
    }

    /** Makes the content durable. */
    void force() throws IOException {
        channel.force(true);
    }

    /** Removes the counts, once the content has its final name. */
    void deleteCounts() throws IOException {
        if (countsFile != null) {
            Files.deleteIfExists(countsFile);
        }
    }

    /** Keeps what is there for the next process; of nothing, nothing is kept. */
    @Override
    public void close() throws IOException {
        try (channel) {
            if (countsChannel != null) {
                countsChannel.close();
            }
        }
        if (total() == 0) {
            Files.deleteIfExists(file);
            deleteCounts();
        }
    }

    private boolean readCounts(FileChannel from) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate((HEADER_LONGS + counts.length) * Long.BYTES);
        while (bytes.hasRemaining()) {
            if (from.read(bytes, bytes.position()) < 0) {
                return false;
            }
        }
        bytes.flip();
        if (bytes.getLong() != MAGIC || bytes.getLong() != size || bytes.getLong() != segmentSize) {
            return false;
        }
        for (int segment = 0; segment < counts.length; segment++) {
            counts[segment] = bytes.getLong();
            boolean written = counts[segment] == 0 || start(segment) + counts[segment] <= channel.size();
            if (counts[segment] < 0 || counts[segment] > end(segment) - start(segment) || !written) {
                return false;
            }
        }
        total = Arrays.stream(counts).sum();
        return true;
    }

    private static void writeLong(FileChannel to, int index, long value) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES).putLong(0, value);
        while (bytes.hasRemaining()) {
            to.write(bytes, (long) index * Long.BYTES + bytes.position());
        }
    }
}
