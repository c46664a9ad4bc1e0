package io.gptq4j.internal;

import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Complete positional reads and writes: one call of a channel may always move fewer bytes than asked for. */
public final class FileChannels {
    /** The JDK mirrors a heap buffer into a cached direct one of equal size, so heap transfers are cut into pieces. */
    private static final int HEAP_PIECE = 1 << 20;

    private FileChannels() {}

    /**
     * Fills {@code target} from {@code position} on. Reads of a {@link FileChannel} carry no state and may run
     * concurrently; on any other channel, moving and reading are serialised on the channel itself.
     *
     * @throws EOFException if the channel ends before the buffer is full
     */
    public static void readFully(SeekableByteChannel channel, long position, ByteBuffer target) throws IOException {
        if (channel instanceof FileChannel file) {
            int limit = target.limit();
            long from = position;
            while (target.position() < limit) {
                target.limit(pieceEnd(target, limit));
                int count;
                try {
                    count = file.read(target, from);
                } finally {
                    target.limit(limit);
                }
                if (count < 0) {
                    throw endOfFile(from);
                }
                from += count;
            }
        } else {
            synchronized (channel) {
                channel.position(position);
                while (target.hasRemaining()) {
                    if (channel.read(target) < 0) {
                        throw endOfFile(channel.position());
                    }
                }
            }
        }
    }

    /** Writes all that remains in {@code source} at {@code position}; may run concurrently. */
    public static void writeFully(FileChannel file, long position, ByteBuffer source) throws IOException {
        int limit = source.limit();
        long to = position;
        while (source.position() < limit) {
            source.limit(pieceEnd(source, limit));
            try {
                to += file.write(source, to);
            } finally {
                source.limit(limit);
            }
        }
    }

    /** Makes a rename inside {@code directory} durable, where the system can: Windows has no handle for directories. */
    public static void forceDirectory(Path directory) throws IOException {
        if (File.separatorChar == '/') {
            try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
                channel.force(true);
            }
        }
    }

    private static int pieceEnd(ByteBuffer buffer, int limit) {
        return buffer.isDirect() ? limit : buffer.position() + Math.min(limit - buffer.position(), HEAP_PIECE);
    }

    private static EOFException endOfFile(long position) {
        return new EOFException("unexpected end of file at byte " + position);
    }
}
