package io.gptq4j.eval;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.tensor.FloatType;

/**
 * In what pieces a model makes text up: of up to 128 tokens, as long as neither the memory nor the reading is out of proportion to a
 * quantization. Depends on nothing but the model and the options, so that the text does not either.
 *
 * @param length tokens of a piece
 * @param lines pieces that are made at a time
 * @param rounds how many times so many are made
 */
public record Pieces(int length, int lines, int rounds) {
    private static final int SHORTEST = 16;
    private static final int LONGEST = 128;

    /** So many lines keep a CPU busy for as long as it takes to load the weights again. */
    private static final int ENOUGH_LINES = 64;

    /** Products of fewer lines are rounded as the number of threads will have it. */
    static final int FEWEST_LINES = 16;

    /**
     * Parameters that are read in all, the model's for each token: those of 32 billion 128 times, which takes ten minutes where a
     * bus or a disk moves 14 GB a second.
     */
    private static final double READS = 0x1p42;

    /**
     * Keys and values may take as much memory as so many residual streams of all windows. A run that follows the float model
     * keeps two, and beside each what the attention or the activation gave, some three times as wide.
     */
    private static final int STREAMS = 8;

    /** Checks the numbers. */
    public Pieces {
        if (length < 1 || lines < 1 || rounds < 1) {
            throw new IllegalArgumentException(
                    "No pieces of text: " + rounds + " times " + lines + " of " + length + " tokens");
        }
    }

    /**
     * Those for some windows beside a text's.
     *
     * @param type the forward's
     * @param windows all, those that are made up included
     * @param own those that are made up, 1 or more
     * @param seqlen tokens per window
     */
    public static Pieces of(Architecture architecture, FloatType type, int windows, int own, int seqlen) {
        long tokens = (long) own * seqlen;
        double room = (double) STREAMS * windows * seqlen * architecture.hiddenSize() * type.bytes();
        int rounds = (int) Math.ceil(tokens * bytesPerToken(architecture, type) / room);
        double longest =
                Math.min(Math.min(LONGEST, tokens / rounds / ENOUGH_LINES), READS / rounds / parameters(architecture));
        int length = SHORTEST;
        while (2 * length <= longest) {
            length *= 2;
        }
        length = Math.min(length, seqlen);
        long lines = ceilDiv(ceilDiv(tokens, length), rounds);
        return new Pieces(length, Math.toIntExact(Math.max(FEWEST_LINES, lines)), rounds);
    }

    /** The same in more rounds, if keys and values of so many pieces would take more than {@code bytes}. */
    Pieces within(long bytes, Architecture architecture, FloatType type) {
        int most = (int) Math.min(lines, Math.max(FEWEST_LINES, bytes / bytesPerToken(architecture, type) / length));
        return new Pieces(length, most, Math.toIntExact(ceilDiv((long) lines * rounds, most)));
    }

    /** How often a token is made for each of the lines, after the first. */
    public int passes() {
        return Math.multiplyExact(rounds, length - 1);
    }

    /** Bytes of keys and values at a time. */
    public long cacheBytes(Architecture architecture, FloatType type) {
        return bytesPerToken(architecture, type) * length * lines;
    }

    private static long ceilDiv(long number, long by) {
        return -Math.floorDiv(-number, by);
    }

    /** Parameters of all blocks. */
    static long parameters(Architecture architecture) {
        long sum = 0;
        for (int layer = 0; layer < architecture.layers(); layer++) {
            sum += architecture.blockTensors(layer).values().stream()
                    .mapToLong(shape -> shape.stream().reduce(1L, Math::multiplyExact))
                    .sum();
        }
        return sum;
    }

    /** Bytes of the keys and values of a token in all blocks. */
    private static long bytesPerToken(Architecture architecture, FloatType type) {
        long channels = 0;
        for (Block block : architecture.blocks()) {
            channels += block.attention().keyValueChannels();
        }
        return channels * type.bytes();
    }
}
