package io.gptq4j.it.hub;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/** Bytes in memory, or a file that is never read whole. */
final class Content {
    static final Content EMPTY = new Content(new byte[0], null, 0);

    private static final int MOST_PER_WRITE = 1 << 22;

    private final byte @Nullable [] bytes;
    private final @Nullable Path file;
    private final long size;

    private Content(byte @Nullable [] bytes, @Nullable Path file, long size) {
        this.bytes = bytes;
        this.file = file;
        this.size = size;
    }

    static Content of(byte[] bytes) {
        return new Content(bytes.clone(), null, bytes.length);
    }

    static Content of(Path file) throws IOException {
        return new Content(null, file, Files.size(file));
    }

    long size() {
        return size;
    }

    boolean inMemory() {
        return bytes != null;
    }

    InputStream open() throws IOException {
        return bytes != null ? new ByteArrayInputStream(bytes) : Files.newInputStream(path());
    }

    byte[] read() throws IOException {
        try (InputStream in = open()) {
            return in.readAllBytes();
        }
    }

    private Path path() {
        if (file == null) {
            throw new IllegalStateException("this content is in memory");
        }
        return file;
    }

    /** Opens the content for writing parts of it to a socket. */
    Source source() throws IOException {
        return new Source(bytes != null ? null : FileChannel.open(path(), StandardOpenOption.READ));
    }

    /** An open content. */
    final class Source implements AutoCloseable {
        private final @Nullable FileChannel channel;

        private Source(@Nullable FileChannel channel) {
            this.channel = channel;
        }

        /** Hands at most {@code length} bytes to the target; returns how many it took. */
        long write(long position, long length, WritableByteChannel target) throws IOException {
            long most = Math.min(length, MOST_PER_WRITE);
            if (channel != null) {
                long written = channel.transferTo(position, most, target);
                if (written == 0 && position >= channel.size()) {
                    throw new IOException("the file became shorter than " + size + " bytes");
                }
                return written;
            }
            return target.write(slice(position, most));
        }

        byte at(long position) throws IOException {
            if (channel == null) {
                return slice(position, 1).get();
            }
            ByteBuffer one = ByteBuffer.allocate(1);
            channel.read(one, position);
            return one.get(0);
        }

        private ByteBuffer slice(long position, long length) {
            if (bytes == null) {
                throw new IllegalStateException("this content is a file");
            }
            return ByteBuffer.wrap(bytes, Math.toIntExact(position), Math.toIntExact(length));
        }

        @Override
        public void close() throws IOException {
            if (channel != null) {
                channel.close();
            }
        }
    }
}
