package io.gptq4j.it.hub;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/**
 * The body of a request, read once and hashed on the way. It is never held whole unless {@link #bytes} is asked for.
 *
 * <p>Read by the connection's thread; size, sha256 and text may be looked at by any.
 */
final class RequestBody {
    private static final int BUFFER = 1 << 18;
    private static final int MAX_TEXT = 1 << 20;
    private static final int MAX_IN_MEMORY = 1 << 30;

    /** What a fault does to the body: called before bytes are read, says how many may be. */
    interface Pace {
        long allow(long readSoFar, long wanted) throws IOException, InterruptedException;
    }

    private final SocketIn in;
    private final boolean chunked;
    private final boolean textual;
    private final MessageDigest digest = Hex.sha256();
    private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
    private Pace pace = (read, wanted) -> wanted;
    private long left;
    private boolean ended;
    private long count;

    private volatile long size;
    private volatile String sha256 = "";
    private volatile @Nullable String text;

    /** With {@code length} bytes, or chunked when it is negative. */
    RequestBody(SocketIn in, long length, boolean textual) {
        this.in = in;
        this.chunked = length < 0;
        this.left = Math.max(length, 0);
        this.ended = length == 0;
        this.textual = textual;
    }

    boolean isChunked() {
        return chunked;
    }

    /** Bytes still to come; unknown, and 0, for a chunked body. */
    long left() {
        return left;
    }

    void pace(Pace newPace) {
        pace = newPace;
    }

    byte[] bytes() throws IOException, InterruptedException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] buffer = new byte[BUFFER];
        for (int read = read(buffer); read >= 0; read = read(buffer)) {
            if (all.size() + read > MAX_IN_MEMORY) {
                throw new HubError(413, null, "Payload too large");
            }
            all.write(buffer, 0, read);
        }
        return all.toByteArray();
    }

    void writeTo(FileChannel file, long position) throws IOException, InterruptedException {
        byte[] buffer = new byte[BUFFER];
        long at = position;
        for (int read = read(buffer); read >= 0; read = read(buffer)) {
            ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, read);
            while (bytes.hasRemaining()) {
                at += file.write(bytes, at);
            }
        }
    }

    /** Reads and forgets what is left, so that the next request can be read. */
    void drain() throws IOException, InterruptedException {
        byte[] buffer = new byte[BUFFER];
        while (read(buffer) >= 0) {
            // Hashed and counted by read.
        }
    }

    private int read(byte[] buffer) throws IOException, InterruptedException {
        if (!ended && chunked && left == 0) {
            startChunk();
        }
        if (ended) {
            finish();
            return -1;
        }
        long allowed = pace.allow(count, Math.min(left, buffer.length));
        int read = in.read(buffer, 0, (int) allowed);
        digest.update(buffer, 0, read);
        if (textual && kept.size() + read <= MAX_TEXT) {
            kept.write(buffer, 0, read);
        }
        count += read;
        size = count;
        left -= read;
        if (left == 0 && chunked) {
            in.line();
        } else if (left == 0) {
            ended = true;
        }
        return read;
    }

    private void startChunk() throws IOException {
        String line = String.valueOf(in.line());
        int end = line.indexOf(';');
        left = Long.parseLong((end < 0 ? line : line.substring(0, end)).strip(), 16);
        if (left == 0) {
            ended = true;
            for (String trailer = in.line(); trailer != null && !trailer.isEmpty(); trailer = in.line()) {
                // Trailers say nothing here.
            }
        }
    }

    /** Settles hash and text; also for a body that was not read to its end. */
    void finish() {
        if (sha256.isEmpty()) {
            sha256 = Hex.of(digest.digest());
            if (textual && kept.size() == count) {
                text = kept.toString(StandardCharsets.UTF_8);
            }
        }
    }

    long size() {
        return size;
    }

    String sha256() {
        return sha256;
    }

    @Nullable
    String text() {
        return text;
    }
}
