package io.gptq4j.eval;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.tensor.FloatType;

/**
 * In what pieces a model makes text up: of up to 128 tokens, as long as neither the memory nor the reading is out of proportion to a
 * quantization. The pieces depend on nothing but the model and the options, so that the text does not either; how many of them
 * are made at a time may depend on the memory.
 *
 * @param length tokens of a piece
 * @param count how many there are
 * @param lines how many are made at a time
 */
public record Pieces(int length, int count, int lines) {
    private static final int SHORTEST = 16;
    private static final int LONGEST = 128;

    /** Pieces that go through a block together, if there are enough: they keep a CPU busy while it loads the weights again. */
    private static final int BATCH = 64;

    /** Products of fewer lines are rounded as the number of threads will have it. */
    private static final int FEWEST = 16;

    /**
     * Parameters that are read in all, the model's for each token, unless pieces are the shortest: those of 32 billion 128 times,
     * which takes ten minutes where a bus or a disk moves 14 GB a second.
     */
    private static final double READS = 0x1p42;

    /**
     * Keys and values may take as much memory as so many residual streams of all windows. A run that follows the float model
     * keeps two, and beside each what the attention or the activation gave, some three times as wide.
     */
    private static final int STREAMS = 8;

    /** Checks the numbers. */
    public Pieces {
        if (length < 1 || count < 1 || lines < 1) {
            throw new IllegalArgumentException(
                    "No pieces of text: " + count + " of " + length + " tokens, " + lines + " at a time");
        }
    }

    /**
     * Those for some windows beside a text's.
     *
     * @param windows all, those that are made up included
     * @param own those that are made up, 1 or more
     * @param seqlen tokens per window
     */
    public static Pieces of(Architecture architecture, int windows, int own, int seqlen) {
        long tokens = (long) own * seqlen;
        double room = (double) STREAMS * windows * seqlen * architecture.hiddenSize();
        int rounds = (int) Math.ceil(tokens * channels(architecture) / room);
        double longest =
                Math.min(Math.min(LONGEST, tokens / rounds / BATCH), READS / rounds / architecture.blockParameters());
        int length = SHORTEST;
        while (2 * length <= longest) {
            length *= 2;
        }
        length = Math.min(length, seqlen);
        int count = Math.toIntExact(ceilDiv(tokens, length));
        int last = count % BATCH;
        if (last > 0 && last < FEWEST) {
            count += FEWEST - last;
        }
        return new Pieces(length, count, lines(count, ceilDiv(count, rounds)));
    }

    /** The same in more rounds, if keys and values of so many pieces would take more than {@code bytes}. */
    public Pieces within(long bytes, Architecture architecture, FloatType type) {
        long most = bytes / (channels(architecture) * type.bytes() * length);
        return most >= lines ? this : new Pieces(length, count, lines(count, Math.max(1, most - most % BATCH)));
    }

    /** Whole batches of at least so many pieces, but no more than there are. */
    private static int lines(int count, long atLeast) {
        return (int) Math.min(count, ceilDiv(atLeast, BATCH) * BATCH);
    }

    /** How many times some of them are made. */
    int rounds() {
        return (int) ceilDiv(count, lines);
    }

    /** How often a token is made for each of the lines, after the first. */
    public int passes() {
        return Math.multiplyExact(rounds(), length - 1);
    }

    /** Pieces that go through a block together, whatever the memory, since rounding may depend on it; if they can, in two batches. */
    int batch() {
        return count < 2 * FEWEST ? count : (int) Math.min(BATCH, ceilDiv(count, 2));
    }

    /** How many batches go through a block, in all passes. */
    public long batches() {
        return ceilDiv(count, batch()) * (length - 1);
    }

    /** Bytes of keys and values at a time. */
    public long cacheBytes(Architecture architecture, FloatType type) {
        return channels(architecture) * type.bytes() * length * lines;
    }

    private static long ceilDiv(long number, long by) {
        return -Math.floorDiv(-number, by);
    }

    /** Channels of the keys and values of a token in all blocks. */
    private static long channels(Architecture architecture) {
        long channels = 0;
        for (Block block : architecture.blocks()) {
            channels += block.attention().keyValueChannels();
        }
        return channels;
    }
}
