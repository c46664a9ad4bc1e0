package io.gptq4j.it.hub;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Buffered bytes of a connection. */
final class SocketIn {
    private static final int MAX_LINE = 1 << 16;

    private final SocketChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 16).flip();

    SocketIn(SocketChannel channel) {
        this.channel = channel;
    }

    /** A line without its end, or null at the end of the stream. */
    @Nullable
    String line() throws IOException {
        StringBuilder line = new StringBuilder();
        while (true) {
            if (!buffer.hasRemaining() && !fill()) {
                if (line.length() > 0) {
                    throw new EOFException("the connection ended within a line");
                }
                return null;
            }
            char c = (char) (buffer.get() & 0xff);
            if (c == '\n') {
                int length = line.length();
                boolean carriageReturn = length > 0 && line.charAt(length - 1) == '\r';
                String bytes = carriageReturn ? line.substring(0, length - 1) : line.toString();
                return new String(bytes.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
            }
            if (line.length() == MAX_LINE) {
                throw new IOException("a header line has more than " + MAX_LINE + " bytes");
            }
            line.append(c);
        }
    }

    /** Some bytes, at least one. */
    int read(byte[] target, int offset, int length) throws IOException {
        if (!buffer.hasRemaining() && length >= buffer.capacity()) {
            int read = channel.read(ByteBuffer.wrap(target, offset, length));
            if (read < 0) {
                throw cutShort();
            }
            return read;
        }
        if (!buffer.hasRemaining() && !fill()) {
            throw cutShort();
        }
        int size = Math.min(length, buffer.remaining());
        buffer.get(target, offset, size);
        return size;
    }

    private static EOFException cutShort() {
        return new EOFException("the connection ended within the request's body");
    }

    private boolean fill() throws IOException {
        buffer.clear();
        int read = channel.read(buffer);
        buffer.flip();
        return read > 0;
    }
}
