package io.gptq4j.it.hub;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * What was asked and answered.
 *
 * <p>A client may look at the log as soon as it has the last byte of an answer, which is before the server's thread has
 * counted it. So readers wait until no exchange is in progress, but not for one that sleeps as a fault told it to.
 */
final class ExchangeLog {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(2);
    private static final int MAX_RESPONSE_TEXT = 1 << 16;

    private final List<Entry> entries = new ArrayList<>();
    private long seq;
    private int busy;
    private int open;

    /** An exchange in progress. */
    final class Entry {
        private final long number;
        private final long connection;
        private final long startedNanos = System.nanoTime();
        private final String listener;
        private final Request request;
        private final Headers headers;
        private int status;
        private Headers responseHeaders = new Headers();
        private @Nullable String responseText;
        private long sentBytes;
        private @Nullable String fault;

        private Entry(long number, long connection, String listener, Request request) {
            this.number = number;
            this.connection = connection;
            this.listener = listener;
            this.request = request;
            this.headers = new Headers(request.headers());
        }

        long number() {
            return number;
        }

        void answered(Answer answer) {
            String text = answer.textWithin(MAX_RESPONSE_TEXT);
            synchronized (ExchangeLog.this) {
                status = answer.status();
                responseHeaders = new Headers(answer.headers());
                responseText = text;
            }
        }

        void sent(long bytes) {
            synchronized (ExchangeLog.this) {
                sentBytes += bytes;
            }
        }

        void fault(String description) {
            synchronized (ExchangeLog.this) {
                fault = fault == null ? description : fault + ", " + description;
            }
        }

        /** Sleeps without holding up readers of the log. */
        void sleep(long millis) throws InterruptedException {
            leave();
            try {
                Thread.sleep(millis);
            } finally {
                synchronized (ExchangeLog.this) {
                    busy++;
                }
            }
        }

        private Exchange toExchange() {
            RequestBody body = request.body();
            return new Exchange(
                    number,
                    connection,
                    startedNanos,
                    listener,
                    request.method(),
                    request.path(),
                    request.query(),
                    headers,
                    body.size(),
                    body.sha256(),
                    body.text(),
                    status,
                    responseHeaders,
                    responseText,
                    sentBytes,
                    fault);
        }
    }

    synchronized Entry begin(String listener, long connection, Request request) {
        Entry entry = new Entry(++seq, connection, listener, request);
        entries.add(entry);
        busy++;
        open++;
        return entry;
    }

    synchronized void end() {
        open--;
        leave();
    }

    /** Waits until no exchange is in progress, not even one that sleeps. */
    synchronized void awaitIdle(Duration most) throws InterruptedException, TimeoutException {
        long deadline = System.nanoTime() + most.toNanos();
        while (open > 0) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                throw new TimeoutException(open + " exchanges are still in progress");
            }
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
    }

    private synchronized void leave() {
        busy--;
        notifyAll();
    }

    synchronized void clear() {
        settle();
        entries.clear();
    }

    synchronized List<Exchange> all() {
        settle();
        return entries.stream().map(Entry::toExchange).toList();
    }

    private synchronized void settle() {
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        try {
            long left = PATIENCE_NANOS;
            while (busy > 0 && left > 0) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
                left = deadline - System.nanoTime();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
