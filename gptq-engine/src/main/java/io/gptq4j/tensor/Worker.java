package io.gptq4j.tensor;

import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * A thread that does one thing after the other beside the thread that computes, and may use libtorch itself. It is
 * interrupted only when it is closed, because that closes the files under it. Its owner is one thread.
 */
public final class Worker implements AutoCloseable {
    private final ExecutorService thread;

    /** A worker whose thread has this name. */
    public Worker(String name) {
        thread = Executors.newSingleThreadExecutor(task -> {
            Thread worker = new Thread(
                    () -> {
                        Torch.enterThread();
                        task.run();
                    },
                    name);
            worker.setDaemon(true);
            return worker;
        });
    }

    /** What a worker does. */
    public interface Task<R> {
        /** Does it. */
        R run() throws IOException;
    }

    /** A task that is under way. */
    public static final class Pending<R> {
        private final Future<R> future;

        private Pending(Future<R> future) {
            this.future = future;
        }

        /** Waits until the task has ended in any way, even if the caller is interrupted meanwhile; returns what it threw. */
        Optional<Throwable> awaitEnd() {
            boolean interrupted = false;
            try {
                while (true) {
                    try {
                        future.get();
                        return Optional.empty();
                    } catch (InterruptedException e) {
                        interrupted = true;
                    } catch (ExecutionException e) {
                        return Optional.ofNullable(e.getCause());
                    }
                }
            } finally {
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
            }
        }

        /**
         * Waits for the result.
         *
         * @throws IOException what the task threw, as are unchecked exceptions
         */
        public R await() throws IOException {
            try {
                return future.get();
            } catch (ExecutionException e) {
                if (e.getCause() instanceof IOException cause) {
                    throw cause;
                } else if (e.getCause() instanceof RuntimeException cause) {
                    throw cause;
                } else if (e.getCause() instanceof Error cause) {
                    throw cause;
                }
                throw new IOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CancellationException("Interrupted.");
            }
        }
    }

    /** Has a task done after those before it. */
    public <R> Pending<R> start(Task<R> task) {
        return new Pending<>(thread.submit(task::run));
    }

    /** Whether {@link #close} was called, which a long task may look at. */
    public boolean isClosing() {
        return thread.isShutdown();
    }

    /**
     * Takes no more tasks, breaks off the one that waits for a disk or a network, and waits for its end, even if the caller
     * is interrupted: nobody may free the memory that it fills, or close what it writes to.
     */
    @Override
    public void close() {
        for (Runnable task : thread.shutdownNow()) {
            if (task instanceof Future<?> waiting) {
                waiting.cancel(false);
            }
        }
        boolean interrupted = false;
        boolean ended = false;
        while (!ended) {
            try {
                ended = thread.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
