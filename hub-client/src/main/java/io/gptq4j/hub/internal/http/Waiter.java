package io.gptq4j.hub.internal.http;

import java.io.InterruptedIOException;
import java.time.Duration;

/** Lets time pass; tests only count it. */
@FunctionalInterface
public interface Waiter {
    /** Sleeps. */
    Waiter SLEEPING = duration -> {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted while waiting to try again");
        }
    };

    /**
     * Waits.
     *
     * @throws InterruptedIOException if the thread was interrupted
     */
    void await(Duration duration) throws InterruptedIOException;
}
