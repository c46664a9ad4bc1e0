package io.gptq4j.hub.internal.io;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Does the same with many things, several at a time. The first failure ends the rest: what waits is not begun, what runs is
 * interrupted.
 */
public final class Workers {
    private static final int GRACE_SECONDS = 8;

    private final String name;
    private final int count;
    private final Runnable breakOff;

    /**
     * So many threads.
     *
     * @param name what they are called
     * @param breakOff ends what they are waiting for, when the caller was interrupted: an interrupt ends no reading from a
     *     socket
     */
    public Workers(String name, int count, Runnable breakOff) {
        this.name = name;
        this.count = count;
        this.breakOff = breakOff;
    }

    /** What is done with one thing. */
    @FunctionalInterface
    public interface Job<T> {
        /** Does it. */
        void run(T item) throws IOException;
    }

    /**
     * Does it with all.
     *
     * @throws IOException the first failure
     * @throws InterruptedIOException if the caller was interrupted
     */
    public <T> void run(List<T> items, Job<T> job) throws IOException {
        if (items.isEmpty()) {
            return;
        }
        ExecutorService threads = Executors.newFixedThreadPool(Math.min(count, items.size()), task -> {
            Thread thread = new Thread(task, name);
            thread.setDaemon(true);
            return thread;
        });
        CompletionService<Void> results = new ExecutorCompletionService<>(threads);
        AtomicBoolean failed = new AtomicBoolean(); // the thread that fails takes the next item before we hear of it
        try {
            for (T item : items) {
                Future<Void> unused = results.submit(() -> {
                    if (!failed.get()) {
                        boolean done = false;
                        try {
                            job.run(item);
                            done = true;
                        } finally {
                            failed.compareAndSet(false, !done);
                        }
                    }
                    return null;
                });
            }
            for (int done = 0; done < items.size(); done++) {
                results.take().get();
            }
        } catch (InterruptedException e) {
            threads.shutdownNow();
            breakOff.run();
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted during a " + name);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            if (e.getCause() instanceof RuntimeException runtime) {
                throw runtime;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new IllegalStateException("A " + name + " failed unexpectedly", e.getCause());
        } catch (CancellationException e) {
            throw new IllegalStateException("Nobody cancels a " + name, e);
        } finally {
            end(threads);
        }
    }

    /** Waits for what was interrupted, so that it leaves no file half renamed and no lock held. */
    private static void end(ExecutorService threads) {
        threads.shutdownNow();
        boolean interrupted = Thread.interrupted();
        try {
            boolean ended = threads.awaitTermination(GRACE_SECONDS, TimeUnit.SECONDS);
            interrupted |= !ended && Thread.interrupted();
        } catch (InterruptedException e) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
