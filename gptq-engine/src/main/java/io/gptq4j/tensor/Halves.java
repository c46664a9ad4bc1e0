package io.gptq4j.tensor;

import ai.djl.pytorch.jni.JniUtils;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Goes through batches, on a CPU in two halves: the caller takes every other one and a second thread those between, each with
 * half of libtorch's threads. What libtorch does on one thread, and Java between its calls, then keeps nobody else waiting. On a
 * GPU, which has one stream, and where there is one thread, the batches come one after the other.
 *
 * <p>Which half takes a batch depends on nothing but its number, so that sums of each half are the same with any number of threads.
 * Belongs to one session's thread.
 */
public final class Halves implements AutoCloseable {
    private final boolean gpu;
    private final Worker second = new Worker("second half");

    /** Halves of what is computed in sessions on a GPU, or on the CPU. */
    public Halves(boolean gpu) {
        this.gpu = gpu;
    }

    /** What is done with a batch. */
    public interface Task {
        /**
         * Does it; at the same time as the other half does it with another batch.
         *
         * @param batch from 0
         * @param half from 0 to less than {@link #count}
         */
        void run(int batch, int half) throws IOException;
    }

    /** How many there are: 2, or 1 on a GPU. */
    public int count() {
        return count(gpu);
    }

    /** How many there would be. */
    public static int count(boolean gpu) {
        return gpu ? 1 : 2;
    }

    /**
     * Does all batches and returns when none is under way any more, even if one fails or the caller is interrupted. Not to be called
     * by a task.
     *
     * @throws IOException what a task threw, as are unchecked exceptions; if tasks of both halves failed, the caller's own, with the other
     *     suppressed
     */
    public void forEach(int batches, Task task) throws IOException {
        int threads = JniUtils.getNumThreads();
        if (gpu || threads == 1 || batches < 2) {
            for (int b = 0; b < batches; b++) {
                task.run(b, b % count());
            }
            return;
        }
        AtomicBoolean failed = new AtomicBoolean();
        Worker.Pending<Boolean> other = second.start(() -> {
            JniUtils.setNumThreads(
                    threads - threads / 2); // the setting is the thread's own, and that of threads to come
            for (int b = 1; b < batches && !failed.get(); b += 2) {
                task.run(b, 1);
            }
            return true;
        });
        JniUtils.setNumThreads(threads / 2);
        try {
            for (int b = 0; b < batches; b += 2) {
                task.run(b, 0);
            }
        } catch (Throwable failure) {
            failed.set(true);
            other.awaitEnd().filter(its -> its != failure).ifPresent(failure::addSuppressed);
            throw failure;
        } finally {
            other.awaitEnd();
            JniUtils.setNumThreads(threads);
        }
        other.await();
    }

    @Override
    public void close() {
        second.close();
    }
}
