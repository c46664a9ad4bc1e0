package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Moves content from the network into a {@link PartialFile}. A connection that breaks is asked again for what it still owes,
 * to the byte; its {@link Retry.Budget} is full again whenever bytes have arrived. Safe for concurrent use, one thread for
 * each segment.
 */
final class SegmentReceiver {
    private static final int BUFFER = 256 << 10;

    private final Retry retry;
    private final RemoteContent content;
    private final PartialFile partial;
    private final String path;
    private final TransferListener listener;
    /** Set when one connection has failed for good, so that the others end. */
    private volatile boolean stopped;

    SegmentReceiver(Retry retry, RemoteContent content, PartialFile partial, String path, TransferListener listener) {
        this.retry = retry;
        this.content = content;
        this.partial = partial;
        this.path = path;
        this.listener = listener;
    }

    /** A server does not heed ranges, so the file has to come as one. */
    static final class RangesIgnoredException extends IOException {
        private static final long serialVersionUID = 1L;
    }

    /** Ends what is being fetched, or lets it go on. */
    void stop(boolean stopped) {
        this.stopped = stopped;
    }

    /** Whether nothing is to be fetched any more. */
    boolean isStopped() {
        return stopped;
    }

    /** Hears how many bytes more there are. */
    @FunctionalInterface
    interface Arrival {
        void of(long bytes);
    }

    /** A buffer for {@link #fetch}, one for each thread. */
    ByteBuffer buffer() {
        return ByteBuffer.allocateDirect((int) Math.min(BUFFER, content.size()));
    }

    /** Fetches what one segment still lacks, over as many connections one after the other as it takes. */
    void fetch(int segment, ByteBuffer buffer, Arrival arrival) throws IOException {
        Retry.Budget budget = retry.budget();
        boolean begunAnew = false;
        long most = partial.count(segment);
        while (!partial.isComplete(segment) && !stopped) {
            long from = partial.start(segment) + partial.count(segment);
            try (RemoteContent.Part part = content.open(from, partial.end(segment))) {
                if (part.offset() != from || (!part.isRange() && partial.segments() > 1)) {
                    restart();
                }
                receive(part, segment, buffer, arrival);
            } catch (HubException e) {
                if (!RemoteContent.isBeyondEnd(e)) {
                    // Only what is news counts: a server that sends the same over and over would be asked for ever.
                    if (partial.count(segment) > most) {
                        most = partial.count(segment);
                        budget.progressed();
                    }
                    budget.failed(e);
                } else if (begunAnew) {
                    throw changed(e); // it is the store that is short, so beginning again would never end
                } else {
                    if (partial.total() > 0 && partial.segments() == 1) {
                        restart(); // what was left here is of another content
                        begunAnew = true;
                    }
                    budget.failed(changed(e));
                }
            }
        }
    }

    /** Fetches the file as one, from its beginning, until it is there. */
    void fetchWhole() throws IOException {
        Retry.Budget budget = retry.budget();
        ByteBuffer buffer = buffer();
        while (partial.total() < content.size()) {
            listener.progressed(path, -partial.total());
            partial.reset();
            try (RemoteContent.Part part = content.open(0, content.size())) {
                for (int segment = 0; segment < partial.segments(); segment++) {
                    receive(part, segment, buffer, bytes -> {});
                }
            } catch (HubException e) {
                budget.failed(e);
            }
        }
    }

    /** The server sends the whole from its beginning, whatever was asked. */
    private void restart() throws IOException {
        if (partial.segments() > 1) {
            throw new RangesIgnoredException();
        }
        listener.progressed(path, -partial.total());
        partial.reset();
    }

    /** Moves bytes from the network to the rest of a segment; what has come is kept even if the connection breaks. */
    private void receive(RemoteContent.Part part, int segment, ByteBuffer buffer, Arrival arrival) throws IOException {
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
}
