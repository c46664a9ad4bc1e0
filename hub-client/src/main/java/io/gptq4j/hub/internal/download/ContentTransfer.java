package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.internal.download.SegmentReceiver.RangesIgnoredException;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.internal.io.ContentHash;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fetches the content of one file into a {@link PartialFile} and checks its hash:
 *
 * <ol>
 *   <li>A file of one segment comes over one connection, see {@link SegmentReceiver}; a larger one over several if one is slow,
 *       see {@link ParallelSegments}.
 *   <li>A thread hashes what is there without a gap, and another makes it durable, while the rest is coming.
 *   <li>A wrong hash empties the file and begins once more; the second is an error.
 * </ol>
 *
 * <p>One object for one transfer; used by one thread.
 */
final class ContentTransfer {
    private static final Logger LOG = LoggerFactory.getLogger(ContentTransfer.class);
    private static final int HASH_BUFFER = 1 << 20;
    private static final int HASH_ATTEMPTS = 2;
    private static final long FLUSH = 256L << 20;

    private final Retry retry;
    private final RemoteContent content;
    private final String path;
    private final String etag;
    private final Tuning tuning;
    /** Connections beyond the first of each file, for all transfers together. */
    private final Semaphore extraConnections;

    private final TransferListener listener;
    /** Set when nothing more will come, so that nobody waits for it. */
    private volatile boolean abandoned;

    ContentTransfer(
            Retry retry,
            RemoteContent content,
            String path,
            String etag,
            Tuning tuning,
            Semaphore extraConnections,
            TransferListener listener) {
        this.retry = retry;
        this.content = content;
        this.path = path;
        this.etag = etag;
        this.tuning = tuning;
        this.extraConnections = extraConnections;
        this.listener = listener;
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
        SegmentReceiver receiver = receiver(partial);
        receiver.fetch(0, receiver.buffer(), bytes -> {});
        return hashOf(partial, hash);
    }

    /** The hash of a complete file, or the etag itself if that is no hash. */
    private String hashOf(PartialFile partial, Optional<ContentHash> hash) throws IOException {
        if (hash.isEmpty()) {
            return etag;
        }
        ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.min(HASH_BUFFER, content.size()));
        hash.get().update(partial.channel(), 0, content.size(), buffer);
        return hash.get().hex();
    }

    private String fetchSegments(PartialFile partial, Optional<ContentHash> hash) throws IOException {
        SegmentReceiver receiver = receiver(partial);
        ExecutorService threads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "download " + path);
            thread.setDaemon(true);
            return thread;
        });
        try {
            Future<String> hashing = threads.submit(() -> hash.isPresent() ? follow(partial, hash.get()) : etag);
            Future<?> flushing = threads.submit(() -> flush(partial));
            try {
                new ParallelSegments(partial, receiver, tuning, extraConnections, threads).fetch();
            } catch (RangesIgnoredException e) {
                LOG.info("Ranges of '{}' are not to be had; fetching the whole", path);
                abandoned = true; // what is hashed so far is about to be emptied
                partial.wake();
                await(hashing);
                await(flushing);
                abandoned = false;
                receiver.fetchWhole();
                return hashOf(partial, ContentHash.matching(etag, content.size()));
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
            if (prefix == hashed) {
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

    private SegmentReceiver receiver(PartialFile partial) {
        return new SegmentReceiver(retry, content, partial, path, listener);
    }

    /** The result of another thread. */
    static <T> T await(Future<T> future) throws IOException {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted during a download");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new IllegalStateException("A download failed unexpectedly", e.getCause());
        }
    }
}
