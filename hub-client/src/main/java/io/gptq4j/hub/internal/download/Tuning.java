package io.gptq4j.hub.internal.download;

import java.time.Duration;

/**
 * How a large file is fetched.
 *
 * @param wholeUpTo bytes of the largest file that is asked for as one
 * @param segmentSize bytes asked for at a time of a larger one
 * @param connections most connections for one file, and most for all beyond the first of each
 * @param fastEnough bytes per second over one connection beyond which more connections gain nothing
 * @param measureEvery how long a connection is watched before another is opened beside it
 */
public record Tuning(long wholeUpTo, long segmentSize, int connections, long fastEnough, Duration measureEvery) {
    /**
     * One connection as long as it is fast: on a loopback or a fast local network the processor is the limit. Segments of 8
     * MiB, because what was asked for and not yet taken from the network is lost if the process is killed.
     */
    public static final Tuning DEFAULT = new Tuning(64L << 20, 8L << 20, 8, 64_000_000, Duration.ofSeconds(1));

    /** Bytes of the segments that a file is divided into. */
    long segmentOf(long size) {
        return size <= wholeUpTo ? size : segmentSize;
    }
}
