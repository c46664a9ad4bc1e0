package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Patience;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import okhttp3.HttpUrl;
import okhttp3.Response;
import okio.BufferedSource;
import okio.GzipSource;
import okio.Okio;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of one file, wherever the Hub keeps them. The Hub's own address of a file stays; the address of the store it
 * redirects to is signed and expires, so it is used while it works and asked for again when it does not. Safe for
 * concurrent use.
 */
public final class RemoteContent {
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18}|\\*)");
    private static final Set<Integer> EXPIRED = Set.of(400, 401, 403, 404, 410);
    private static final int RANGE_NOT_SATISFIABLE = 416;
    private static final int PARTIAL_CONTENT = 206;

    private final HubHttp http;
    private final HubRequest request;
    private final long size;
    private volatile @Nullable HttpUrl store;

    /**
     * A file.
     *
     * @param action what messages say is being done
     * @param resolve the Hub's own address of the file
     * @param store the address that it redirected to, or null if it was not asked yet
     * @param size bytes of the content
     */
    public RemoteContent(HubHttp http, String action, HttpUrl resolve, @Nullable HttpUrl store, long size) {
        this.http = http;
        request = new HubRequest(action, "GET", resolve, okhttp3.Headers.EMPTY, null, Patience.CONTENT, true)
                .header("Accept-Encoding", "identity");
        this.store = store;
        this.size = size;
    }

    /** Bytes of the content. */
    public long size() {
        return size;
    }

    /** The request, for messages. */
    HubRequest request() {
        return request;
    }

    /**
     * Content that comes in.
     *
     * @param offset where in the file it begins: 0 if the server did not heed the range
     * @param isRange whether the server heeded the range
     */
    record Part(Response response, BufferedSource source, long offset, boolean isRange) implements Closeable {
        @Override
        public void close() {
            response.close();
        }
    }

    /**
     * Asks for the bytes from {@code from} to before {@code to}.
     *
     * @throws HubException if the server refuses; asking again is the caller's affair
     */
    Part open(long from, long to) throws IOException {
        boolean isWhole = from == 0 && to == size;
        HubRequest ranged =
                isWhole ? request : request.header("Range", "bytes=" + from + "-" + (to == size ? "" : to - 1));
        Response response = fetch(ranged);
        try {
            return part(response, from, to);
        } catch (IOException | RuntimeException e) {
            response.close();
            throw e;
        }
    }

    /**
     * Fills the rest of {@code target} with the bytes from {@code from} on; what came before a failure is in it then.
     *
     * @throws HubException if the server does not give ranges, or the connection breaks
     * @throws InterruptedIOException if the thread was interrupted
     */
    public void read(long from, ByteBuffer target) throws IOException {
        long to = from + target.remaining();
        try (Part part = open(from, to)) {
            if (!part.isRange() && from > 0) {
                throw new HubException("Cannot " + request.action() + ": "
                        + request.url().host() + " does not give ranges of bytes; download the file instead");
            }
            while (target.hasRemaining()) {
                boolean ended;
                try {
                    ended = part.source().read(target) < 0;
                } catch (IOException e) {
                    throw HubHttp.broken(request, e);
                }
                if (Thread.currentThread().isInterrupted()) {
                    throw new InterruptedIOException("Interrupted while reading a remote file");
                }
                if (ended) {
                    throw new HubNetworkException(
                            "Cannot " + request.action() + ": the content ended too early", null, false);
                }
            }
        }
    }

    private Response fetch(HubRequest ranged) throws IOException {
        HttpUrl known = store;
        if (known != null) {
            HubRequest direct = ranged.at(known);
            Response response = http.follow(direct, redirect -> true);
            if (!EXPIRED.contains(response.code())) {
                return http.accept(direct, response);
            }
            response.close();
            store = null;
        }
        Response response = http.accept(ranged, http.follow(ranged, redirect -> true));
        HttpUrl end = response.request().url();
        store = end.equals(ranged.url()) ? null : end;
        return response;
    }

    private Part part(Response response, long from, long to) throws IOException {
        String encoding = response.header("Content-Encoding", "identity");
        boolean encoded = !"identity".equalsIgnoreCase(encoding);
        if (response.code() == PARTIAL_CONTENT) {
            Matcher range = CONTENT_RANGE.matcher(response.header("Content-Range", ""));
            if (encoded
                    || !range.matches()
                    || Long.parseLong(range.group(1)) != from
                    || Long.parseLong(range.group(2)) >= to
                    || (!range.group(3).equals("*") && Long.parseLong(range.group(3)) != size)) {
                throw new HubNetworkException(
                        "Cannot " + request.action() + ": asked for bytes " + from + " to " + (to - 1) + " of " + size
                                + ", the server sent Content-Range '" + response.header("Content-Range", "")
                                + "' and Content-Encoding '" + encoding + "'",
                        null,
                        false);
            }
            return new Part(response, response.body().source(), from, true);
        }
        long length = response.body().contentLength();
        if (!encoded && length > size) {
            throw new HubException("Cannot " + request.action() + ": " + size + " bytes were announced, the store has "
                    + length + "; is this file another one there?");
        }
        if (!encoded) {
            return new Part(response, response.body().source(), 0, false);
        }
        if (!"gzip".equalsIgnoreCase(encoding)) {
            throw new HubException("Cannot " + request.action() + ": the server sent it with Content-Encoding '"
                    + encoding + "' although identity was asked for");
        }
        return new Part(response, Okio.buffer(new GzipSource(response.body().source())), 0, false);
    }

    /** Whether a failure says that there is nothing behind the position asked for, that is, that the file has changed. */
    static boolean isBeyondEnd(HubException failure) {
        return failure instanceof HubHttpException http && http.status() == RANGE_NOT_SATISFIABLE;
    }
}
