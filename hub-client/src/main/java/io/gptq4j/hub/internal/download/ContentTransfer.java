package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.internal.io.ContentHash;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fetches the content of one file into a {@link PartialFile} and checks its hash:
 *
 * <ol>
 *   <li>Segments that are not complete are asked for as byte ranges, the first over one connection; while that is slow, more
 *       connections take further segments.
 *   <li>A connection that breaks is asked again for what it still owes, to the byte. Its {@link Retry.Budget} is full again
 *       whenever bytes have arrived.
 *   <li>A thread hashes what is there without a gap, while the rest is coming.
 *   <li>A wrong hash empties the file and begins once more; the second is an error.
 * </ol>
 *
 * <p>One object for one transfer; used by one thread.
 */
final class ContentTransfer {
    private static final Logger LOG = LoggerFactory.getLogger(ContentTransfer.class);
    private static final int BUFFER = 256 << 10;
    private static final int HASH_BUFFER = 1 << 20;
    private static final int HASH_ATTEMPTS = 2;
    private static final long FLUSH = 256L << 20;

    private final HubHttp http;
    private final RemoteContent content;
    private final String path;
    private final String etag;
    private final Tuning tuning;
    /** Connections beyond the first of each file, for all transfers together. */
    private final Semaphore extraConnections;

    private final TransferListener listener;
    /** Set when one connection has failed for good, so that the others end. */
    private volatile boolean stopped;
    /** Set when nothing more will come, so that nobody waits for it. */
    private volatile boolean abandoned;

    ContentTransfer(
            HubHttp http,
            RemoteContent content,
            String path,
            String etag,
            Tuning tuning,
            Semaphore extraConnections,
            TransferListener listener) {
        this.http = http;
        this.content = content;
        this.path = path;
        this.etag = etag;
        this.tuning = tuning;
        this.extraConnections = extraConnections;
        this.listener = listener;
    }

    /** A server does not heed ranges, so the file has to come as one. */
    private static final class RangesIgnoredException extends IOException {
        private static final long serialVersionUID = 1L;
    }

    /**
     * Completes the file.
     *
     * @throws IntegrityException if the content has the wrong hash twice
     */
    void into(Path file) throws IOException {
        try (PartialFile partial = PartialFile.open(file, content.size(), tuning.segmentOf(content.size()))) {
            listener.progressed(path, partial.total());
            for (int attempt = 1; ; attempt++) {
                Optional<ContentHash> hash = ContentHash.matching(etag, content.size());
                String found = partial.segments() == 1 ? fetchOne(partial, hash) : fetchSegments(partial, hash);
                if (found.equals(etag)) {
                    break;
                }
                listener.progressed(path, -content.size());
                partial.reset();
                String difference = "Cannot " + content.request().action() + ": expected "
                        + hash.map(ContentHash::algorithm).orElse("") + " " + etag + ", what arrived has " + found;
                if (attempt == HASH_ATTEMPTS) {
                    throw new IntegrityException(difference
                            + "; nothing was kept. Something between the Hub and this machine changes the data");
                }
                LOG.warn("{}; fetching it once more", difference);
            }
            partial.force();
            partial.deleteCounts();
        }
    }

    /** Fetches a file of one segment; gives its hash, or the etag itself if that is no hash. */
    private String fetchOne(PartialFile partial, Optional<ContentHash> hash) throws IOException {
        try {
            fetchSegment(partial, 0);
        } catch (RangesIgnoredException e) {
            throw new IllegalStateException("A single segment can always begin anew", e);
        }
        if (hash.isEmpty()) {
            return etag;
        }
        hash.get().update(partial.channel(), 0, content.size(), ByteBuffer.allocateDirect(buffer(HASH_BUFFER)));
        return hash.get().hex();
    }

    private String fetchSegments(PartialFile partial, Optional<ContentHash> hash) throws IOException {
        ExecutorService threads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "download " + path);
            thread.setDaemon(true);
            return thread;
        });
        try {
            Future<String> hashing = threads.submit(() -> hash.isPresent() ? follow(partial, hash.get()) : etag);
            Future<?> flushing = threads.submit(() -> flush(partial));
            try {
                new Segments(partial, threads).fetch();
            } catch (RangesIgnoredException e) {
                LOG.info(
                        "{} does not heed ranges; fetching the whole",
                        content.request().url().host());
                fetchWhole(partial);
            }
            String found = await(hashing);
            await(flushing);
            return found;
        } catch (IOException | RuntimeException e) {
            abandoned = true;
            partial.wake();
            throw e;
        } finally {
            threads.shutdownNow();
        }
    }

    /** Hashes the prefix of the file while it grows. */
    private String follow(PartialFile partial, ContentHash hash) throws IOException, InterruptedException {
        ByteBuffer buffer = ByteBuffer.allocateDirect(HASH_BUFFER);
        FileChannel channel = partial.channel();
        long hashed = 0;
        while (hashed < content.size() && !abandoned) {
            long prefix = partial.prefix();
            if (prefix <= hashed) { // less than before where the whole had to be fetched anew
                partial.awaitPrefixBeyond(hashed);
            } else {
                hash.update(channel, hashed, prefix - hashed, buffer);
                hashed = prefix;
            }
        }
        return hash.hex();
    }

    /** Makes content durable while more is coming, so that little is left to wait for in the end. */
    private @Nullable Void flush(PartialFile partial) throws IOException, InterruptedException {
        for (long flushed = 0; flushed + FLUSH < content.size() && !abandoned; flushed = partial.prefix()) {
            partial.awaitPrefixBeyond(flushed + FLUSH);
            partial.force();
        }
        return null;
    }

    /** The segments of a file, taken in order by a growing number of connections. */
    private final class Segments {
        private final PartialFile partial;
        private final ExecutorService threads;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicLong received = new AtomicLong();
        private final List<Future<?>> more = new ArrayList<>();
        private long measuredAt = System.nanoTime();
        private long measured;

        Segments(PartialFile partial, ExecutorService threads) {
            this.partial = partial;
            this.threads = threads;
        }

        void fetch() throws IOException {
            IOException failure = null;
            try {
                work(true);
            } catch (IOException e) {
                failure = e;
                stopped = true;
            }
            for (Future<?> worker : more) {
                try {
                    await(worker);
                } catch (IOException e) {
                    // The first failure stopped the others, whose complaints say nothing new.
                    failure = failure == null || e instanceof RangesIgnoredException ? e : failure;
                }
            }
            if (failure != null) {
                stopped = !(failure instanceof RangesIgnoredException);
                throw failure;
            }
        }

        private void work(boolean first) throws IOException {
            try {
                int segment = next.getAndIncrement();
                while (segment < partial.segments() && !stopped) {
                    if (!partial.isComplete(segment)) {
                        fetchSegment(partial, segment, bytes -> {
                            received.addAndGet(bytes);
                            if (first) {
                                growIfSlow();
                            }
                        });
                    }
                    segment = next.getAndIncrement();
                }
            } catch (IOException | RuntimeException e) {
                stopped = true;
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

    /** Hears how many bytes more there are. */
    @FunctionalInterface
    private interface Arrival {
        void of(long bytes);
    }

    private void fetchSegment(PartialFile partial, int segment) throws IOException {
        fetchSegment(partial, segment, bytes -> {});
    }

    /** Fetches what one segment still lacks, over as many connections one after the other as it takes. */
    private void fetchSegment(PartialFile partial, int segment, Arrival arrival) throws IOException {
        Retry.Budget budget = http.retry().budget();
        ByteBuffer buffer = ByteBuffer.allocateDirect(buffer(BUFFER));
        boolean begunAnew = false;
        while (!partial.isComplete(segment) && !stopped) {
            long before = partial.count(segment);
            long from = partial.start(segment) + before;
            try (RemoteContent.Part part = content.open(from, partial.end(segment))) {
                if (part.offset() != from || (!part.isRange() && partial.segments() > 1)) {
                    restart(partial);
                }
                receive(part, partial, segment, buffer, arrival);
            } catch (HubException e) {
                if (!RemoteContent.isBeyondEnd(e)) {
                    progress(budget, partial, segment, before);
                    budget.failed(e);
                } else if (begunAnew) {
                    throw changed(e); // it is the store that is short, so beginning again would never end
                } else {
                    if (partial.total() > 0 && partial.segments() == 1) {
                        restart(partial); // what was left here is of another content
                        begunAnew = true;
                    }
                    budget.failed(changed(e));
                }
            }
        }
    }

    private void fetchWhole(PartialFile partial) throws IOException {
        Retry.Budget budget = http.retry().budget();
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
        while (partial.total() < content.size()) {
            listener.progressed(path, -partial.total());
            partial.reset();
            try (RemoteContent.Part part = content.open(0, content.size())) {
                for (int segment = 0; segment < partial.segments(); segment++) {
                    receive(part, partial, segment, buffer, bytes -> {});
                }
            } catch (HubException e) {
                budget.failed(e);
            }
        }
    }

    private static void progress(Retry.Budget budget, PartialFile partial, int segment, long before) {
        if (partial.count(segment) > before) {
            budget.progressed();
        }
    }

    /** The server sends the whole from its beginning, whatever was asked. */
    private void restart(PartialFile partial) throws IOException {
        if (partial.segments() > 1) {
            throw new RangesIgnoredException();
        }
        listener.progressed(path, -partial.total());
        partial.reset();
    }

    /** Moves bytes from the network to the rest of a segment; what has come is kept even if the connection breaks. */
    private void receive(RemoteContent.Part part, PartialFile partial, int segment, ByteBuffer buffer, Arrival arrival)
            throws IOException {
        long left = partial.end(segment) - partial.start(segment) - partial.count(segment);
        while (left > 0) {
            @Nullable IOException broken = null;
            boolean ended = false;
            buffer.clear().limit((int) Math.min(buffer.capacity(), left));
            try {
                while (buffer.hasRemaining() && !ended && !stopped) {
                    ended = part.source().read(buffer) < 0;
                }
            } catch (IOException e) {
                broken = e;
            }
            int filled = buffer.flip().remaining();
            if (filled > 0) {
                partial.append(segment, buffer);
                listener.progressed(path, filled);
                arrival.of(filled);
                left -= filled;
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new InterruptedIOException("Interrupted during a download");
            }
            if (broken != null) {
                throw HubHttp.broken(content.request(), broken);
            }
            if (stopped) {
                return;
            }
            if (ended && left > 0) {
                throw new HubNetworkException(
                        "Cannot " + content.request().action() + ": the content ended " + left + " bytes too early",
                        null,
                        false);
            }
        }
    }

    private HubException changed(HubException cause) {
        return new HubNetworkException(
                "Cannot " + content.request().action() + ": the store has fewer than the announced " + content.size()
                        + " bytes",
                cause,
                false);
    }

    private int buffer(int most) {
        return (int) Math.min(most, content.size());
    }

    private static <T> T await(Future<T> future) throws IOException {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted during a download");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            throw new IllegalStateException("A download failed unexpectedly", e.getCause());
        }
    }
}
