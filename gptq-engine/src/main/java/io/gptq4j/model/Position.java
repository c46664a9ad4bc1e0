package io.gptq4j.model;

/** How attention knows positions; learned ones are added to the embedding instead. */
public sealed interface Position permits Position.Rotary, Position.Alibi, Position.None {
    /**
     * Rotary embedding of the first channels of each head (Su et al. 2021, arXiv 2104.09864), with frequencies 1 /
     * theta^(2i/channels) that {@code scaling} adjusts.
     *
     * @param channels how many of a head's channels are rotated, an even number
     * @param theta the base of the frequencies
     * @param interleaved whether channels 2i and 2i+1 are rotated against each other, not i and i + channels/2
     * @param scaling what changes the frequencies
     */
    record Rotary(int channels, double theta, boolean interleaved, RopeScaling scaling) implements Position {
        /** Checks the number of channels. */
        public Rotary {
            if (channels < 2 || channels % 2 != 0) {
                throw new IllegalArgumentException("Rotary positions take pairs of channels, not " + channels);
            }
        }
    }

    /**
     * Linear biases with one slope per head (Press et al. 2021, arXiv 2108.12409).
     *
     * @param largest the largest exponent of a slope's sequence, 8 in the paper
     * @param scaled whether the bias is multiplied by the attention's scale, as the scores are
     * @param bfloat16 whether the biases are rounded to bfloat16 first
     */
    record Alibi(double largest, boolean scaled, boolean bfloat16) implements Position {}

    /** Nothing in the attention itself. */
    record None() implements Position {}
}
