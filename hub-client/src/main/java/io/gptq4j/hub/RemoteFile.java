package io.gptq4j.hub;

import io.gptq4j.hub.internal.download.RemoteContent;
import io.gptq4j.hub.internal.http.Retry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.channels.SeekableByteChannel;

/**
 * A file on the Hub as a channel: the header and single tensors of a checkpoint can be read without downloading it. Reads
 * are byte ranges over HTTP, and each reads ahead: a little after a jump, more and more while reading goes on in order.
 *
 * <p>Not safe for concurrent use; several channels on one file are. Made by {@link HubClient#open}.
 */
public final class RemoteFile implements SeekableByteChannel {
    private static final int LEAST_AHEAD = 64 << 10;
    private static final int MOST_AHEAD = 8 << 20;

    private final Retry retry;
    private final RemoteContent content;
    private byte[] window = new byte[0];
    private long windowStart;
    private long position;
    private int ahead = LEAST_AHEAD;
    private boolean open = true;

    RemoteFile(Retry retry, RemoteContent content) {
        this.retry = retry;
        this.content = content;
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
        if (position < windowStart || position >= windowStart + window.length) {
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
        long from = position;
        long to = Math.min(content.size(), from + Math.min(MOST_AHEAD, Math.max(wanted, ahead)));
        window = retry.run(() -> content.read(from, to));
        windowStart = from;
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
