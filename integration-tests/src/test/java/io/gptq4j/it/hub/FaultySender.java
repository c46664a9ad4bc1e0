package io.gptq4j.it.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** Moves a body, and cuts, stalls, slows or corrupts it as the fault says. */
final class FaultySender {
    private static final int SLICES_PER_SECOND = 20;

    private final WritableByteChannel channel;
    private final Fault fault;
    private final ExchangeLog.Entry entry;
    private boolean stalled;

    FaultySender(WritableByteChannel channel, Fault fault, ExchangeLog.Entry entry) {
        this.channel = channel;
        this.fault = fault;
        this.entry = entry;
    }

    /** How many of the wanted bytes may move now that {@code moved} have; waits before it says so. */
    long allow(long moved, long wanted) throws IOException, InterruptedException {
        long allowed = wanted;
        if (fault.dropAfter >= 0) {
            allowed = Math.min(allowed, fault.dropAfter - moved);
            if (allowed <= 0) {
                throw new Cut();
            }
        }
        if (fault.stallAfter >= 0 && !stalled) {
            if (moved >= fault.stallAfter) {
                stalled = true;
                entry.sleep(fault.stall.toMillis());
            } else {
                allowed = Math.min(allowed, fault.stallAfter - moved);
            }
        }
        if (fault.bytesPerSecond > 0) {
            allowed = Math.min(allowed, Math.max(1, fault.bytesPerSecond / SLICES_PER_SECOND));
            entry.sleep(Math.max(1, allowed * 1000 / fault.bytesPerSecond));
        }
        return allowed;
    }

    /** Sends the answer's body; {@code faulty} is false where the fault was for the request's body. */
    void body(Answer answer, boolean faulty) throws IOException, InterruptedException {
        long from = answer.offset();
        long to = from + answer.length();
        try (Content.Source source = answer.content().source()) {
            if (fault.corrupt && answer.length() > 0) {
                long flipped = from + answer.length() / 2;
                send(source, from, from, flipped, faulty);
                allowFaulty(flipped - from, faulty);
                byte wrong = (byte) (source.at(flipped) ^ 1);
                entry.sent(channel.write(ByteBuffer.wrap(new byte[] {wrong})));
                send(source, from, flipped + 1, to, faulty);
            } else {
                send(source, from, from, to, faulty);
            }
        }
    }

    private void allowFaulty(long moved, boolean faulty) throws IOException, InterruptedException {
        if (faulty) {
            allow(moved, 1);
        }
    }

    private void send(Content.Source source, long start, long from, long to, boolean faulty)
            throws IOException, InterruptedException {
        long position = from;
        while (position < to) {
            long wanted = to - position;
            long allowed = faulty ? allow(position - start, wanted) : wanted;
            long written = source.write(position, allowed, channel);
            entry.sent(written);
            position += written;
        }
    }
}
