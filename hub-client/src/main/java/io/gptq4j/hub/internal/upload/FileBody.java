package io.gptq4j.hub.internal.upload;

import io.gptq4j.hub.error.HubException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import java.util.function.LongConsumer;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import okio.BufferedSink;
import org.jspecify.annotations.Nullable;

/** A piece of a file as the body of a request; sent with its length, because stores refuse chunked bodies. Repeatable. */
final class FileBody extends RequestBody {
    private static final int BUFFER = 256 << 10;

    private final LocalContent content;
    private final long from;
    private final long length;
    private final LongConsumer progress;

    /**
     * Bytes of a file.
     *
     * @param progress hears how many of these bytes were sent so far; begins at 0 again when they are sent again
     */
    FileBody(LocalContent content, long from, long length, LongConsumer progress) {
        this.content = content;
        this.from = from;
        this.length = length;
        this.progress = progress;
    }

    @Override
    public @Nullable MediaType contentType() {
        return null; // a signed address may be good for one type only, and that is none
    }

    @Override
    public long contentLength() {
        return length;
    }

    @Override
    public void writeTo(BufferedSink sink) throws IOException {
        long sent = 0;
        progress.accept(0);
        try (FileChannel channel = FileChannel.open(content.source(), StandardOpenOption.READ)) {
            ByteBuffer buffer = ByteBuffer.allocate((int) Math.max(1, Math.min(BUFFER, length)));
            while (sent < length) {
                buffer.clear().limit((int) Math.min(buffer.capacity(), length - sent));
                int read = read(channel, buffer, from + sent);
                sink.write(buffer.array(), 0, read);
                sent += read;
                progress.accept(sent);
            }
        }
    }

    /** A failure of this disk must not pass for one of the network, which would be tried again. */
    private int read(FileChannel channel, ByteBuffer buffer, long position) throws HubException {
        int read;
        try {
            read = channel.read(buffer, position);
        } catch (IOException e) {
            throw new HubException("Cannot read " + content.source() + ": " + e.getMessage(), e);
        }
        if (read < 0) {
            throw new HubException(content.source() + " has become shorter while it was uploaded; upload it again");
        }
        return read;
    }
}
