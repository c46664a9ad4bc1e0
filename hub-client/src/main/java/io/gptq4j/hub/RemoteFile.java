package io.gptq4j.hub;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.internal.download.RemoteContent;
import io.gptq4j.hub.internal.download.Tuning;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.internal.io.Workers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.channels.SeekableByteChannel;
import java.util.ArrayList;
import java.util.List;

/**
 * A file on the Hub as a channel: the header and single tensors of a checkpoint can be read without downloading it. Reads
 * are byte ranges over HTTP, all of one commit.
 *
 * <p>A small read reads ahead: a little after a jump, more and more while reading goes on in order. A large one (1 MiB and
 * more) goes straight into the caller's buffer and fills it, over several connections if it is very large, and fetches
 * nothing else. A connection that breaks is asked again for what it still owes, to the byte.
 *
 * <p>What arrives cannot be compared with the hash of the whole file, only the file's size is.
 *
 * <p>Not safe for concurrent use; several channels on one file are. Made by {@link HubClient#open}.
 */
public final class RemoteFile implements SeekableByteChannel {
    private static final int LEAST_AHEAD = 64 << 10;
    private static final int MOST_AHEAD = 8 << 20;
    private static final int LARGE = 1 << 20;

    private final HubHttp http;
    private final RemoteContent content;
    private final Tuning tuning;
    private byte[] window = new byte[0];
    private long windowStart;
    private long position;
    private int ahead = LEAST_AHEAD;
    private boolean open = true;

    RemoteFile(HubHttp http, RemoteContent content, Tuning tuning) {
        this.http = http;
        this.content = content;
        this.tuning = tuning;
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
        requireOpen();
        if (position >= content.size()) {
            return -1;
        }
        if (!target.hasRemaining()) {
            return 0;
        }
        boolean isInWindow = position >= windowStart && position < windowStart + window.length;
        if (!isInWindow && target.remaining() >= LARGE) {
            int count = (int) Math.min(target.remaining(), content.size() - position);
            fill(position, target.slice(target.position(), count));
            target.position(target.position() + count);
            position += count;
            return count;
        }
        if (!isInWindow) {
            fetch(target.remaining());
        }
        int from = (int) (position - windowStart);
        int count = Math.min(target.remaining(), window.length - from);
        target.put(window, from, count);
        position += count;
        return count;
    }

    private void fetch(int wanted) throws IOException {
        boolean inOrder = position == windowStart + window.length && window.length > 0;
        ahead = inOrder ? Math.min(MOST_AHEAD, 2 * ahead) : LEAST_AHEAD;
        byte[] fresh = new byte[(int) Math.min(Math.max(wanted, ahead), content.size() - position)];
        fetch(position, ByteBuffer.wrap(fresh));
        window = fresh;
        windowStart = position;
    }

    /** Fills the buffer from its beginning, in pieces that several threads fetch. */
    private void fill(long from, ByteBuffer target) throws IOException {
        int piece = (int) Math.min(tuning.segmentSize(), target.capacity());
        List<Integer> starts = new ArrayList<>();
        for (long start = 0; start < target.capacity(); start += piece) {
            starts.add((int) start);
        }
        if (starts.size() == 1) {
            fetch(from, target);
            return;
        }
        new Workers("read", tuning.connections(), http::cancelAll)
                .run(
                        starts,
                        start -> fetch(from + start, target.slice(start, Math.min(piece, target.capacity() - start))));
    }

    /** Fills the buffer from its beginning, over as many connections one after the other as it takes. */
    private void fetch(long from, ByteBuffer target) throws IOException {
        Retry.Budget budget = http.retry().budget();
        while (target.hasRemaining()) {
            int before = target.position();
            try {
                content.read(from + before, target);
            } catch (HubException e) {
                if (target.position() > before) {
                    budget.progressed();
                }
                budget.failed(e);
            }
        }
    }

    @Override
    public long position() throws IOException {
        requireOpen();
        return position;
    }

    @Override
    public SeekableByteChannel position(long newPosition) throws IOException {
        requireOpen();
        if (newPosition < 0) {
            throw new IllegalArgumentException("A position cannot be " + newPosition);
        }
        position = newPosition;
        return this;
    }

    @Override
    public long size() throws IOException {
        requireOpen();
        return content.size();
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    @Override
    public void close() {
        open = false;
        window = new byte[0];
    }

    /** Always refused. */
    @Override
    public int write(ByteBuffer source) {
        throw new NonWritableChannelException();
    }

    /** Always refused. */
    @Override
    public SeekableByteChannel truncate(long size) {
        throw new NonWritableChannelException();
    }

    private void requireOpen() throws ClosedChannelException {
        if (!open) {
            throw new ClosedChannelException();
        }
    }
}
