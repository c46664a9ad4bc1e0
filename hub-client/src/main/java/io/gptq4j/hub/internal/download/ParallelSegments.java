package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.internal.download.SegmentReceiver.RangesIgnoredException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The segments of a file, taken in order by a growing number of connections: one, which the calling thread serves, and
 * another beside it as often as they turn out to be slow. Used by one thread.
 */
final class ParallelSegments {
    private final PartialFile partial;
    private final SegmentReceiver receiver;
    private final Tuning tuning;
    /** Connections beyond the first of each file, for all transfers together. */
    private final Semaphore extraConnections;

    private final ExecutorService threads;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicLong received = new AtomicLong();
    private final List<Future<?>> more = new ArrayList<>();
    private long measuredAt = System.nanoTime();
    private long measured;

    ParallelSegments(
            PartialFile partial,
            SegmentReceiver receiver,
            Tuning tuning,
            Semaphore extraConnections,
            ExecutorService threads) {
        this.partial = partial;
        this.receiver = receiver;
        this.tuning = tuning;
        this.extraConnections = extraConnections;
        this.threads = threads;
    }

    /**
     * Fetches all that is missing.
     *
     * @throws RangesIgnoredException if the server sends the whole whatever is asked for
     */
    void fetch() throws IOException {
        IOException failure = null;
        try {
            work(true);
        } catch (IOException e) {
            failure = e;
            receiver.stop(true);
        }
        for (Future<?> worker : more) {
            try {
                ContentTransfer.await(worker);
            } catch (IOException e) {
                // The first failure stopped the others, whose complaints say nothing new.
                failure = failure == null || e instanceof RangesIgnoredException ? e : failure;
            }
        }
        if (failure != null) {
            receiver.stop(!(failure instanceof RangesIgnoredException));
            throw failure;
        }
    }

    private void work(boolean first) throws IOException {
        try {
            ByteBuffer buffer = receiver.buffer();
            int segment = next.getAndIncrement();
            while (segment < partial.segments() && !receiver.isStopped()) {
                if (!partial.isComplete(segment)) {
                    receiver.fetch(segment, buffer, bytes -> {
                        received.addAndGet(bytes);
                        if (first) {
                            growIfSlow();
                        }
                    });
                }
                segment = next.getAndIncrement();
            }
        } catch (IOException | RuntimeException e) {
            receiver.stop(true);
            throw e;
        }
    }

    private void growIfSlow() {
        long now = System.nanoTime();
        long nanos = now - measuredAt;
        if (nanos < tuning.measureEvery().toNanos()) {
            return;
        }
        double perConnection = 1e9 * (received.get() - measured) / nanos / (1 + more.size());
        if (perConnection < tuning.fastEnough()
                && 1 + more.size() < tuning.connections()
                && next.get() < partial.segments()
                && extraConnections.tryAcquire()) {
            more.add(threads.submit(() -> {
                try {
                    work(false);
                } finally {
                    extraConnections.release();
                }
                return null;
            }));
        }
        measuredAt = now;
        measured = received.get();
    }
}
