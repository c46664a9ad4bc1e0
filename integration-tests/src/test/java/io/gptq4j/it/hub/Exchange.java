package io.gptq4j.it.hub;

import org.jspecify.annotations.Nullable;

/**
 * One request and what became of it, as it stood when the log was read.
 *
 * @param seq counts the requests of both listeners from 1, in the order of arrival
 * @param connection counts the connections of both listeners from 1
 * @param startedNanos {@link System#nanoTime} when the request's head had been read
 * @param listener {@code hub} or {@code cdn}; with the storage on the hub's own port it is told by the path
 * @param path as sent, percent-encoded, without the query
 * @param query as sent, percent-encoded; empty without a query
 * @param bodySize bytes of the request's body that were read
 * @param bodySha256 of those bytes
 * @param bodyText the body when it is text of at most 1 MiB, else null
 * @param status of the answer; 0 when a fault closed the connection before the status line
 * @param responseText the answer's body when it is text of at most 64 KiB, else null
 * @param sentBytes bytes of the answer's body that the socket accepted
 * @param fault the fault that was applied, or null; {@code client went away} when writing or reading failed
 */
public record Exchange(
        long seq,
        long connection,
        long startedNanos,
        String listener,
        String method,
        String path,
        String query,
        Headers headers,
        long bodySize,
        String bodySha256,
        @Nullable String bodyText,
        int status,
        Headers responseHeaders,
        @Nullable String responseText,
        long sentBytes,
        @Nullable String fault) {
    /** The first value of a request header, or null. */
    public @Nullable String header(String name) {
        return headers.get(name);
    }

    /** Path and query as sent. */
    public String target() {
        return query.isEmpty() ? path : path + "?" + query;
    }
}
