package io.gptq4j.eval;

import java.util.Arrays;

/**
 * How far a model's predictions of a text are from a reference's. For the same text it tells models apart that perplexity does
 * not: it sees every probability, not only that of the token that came.
 *
 * @param tokens the KL divergence KL(reference || model), in nats, of the prediction of each scored token, window by window
 * @param windows its mean over each window
 * @param agreement the share of each window's scored tokens for which both hold the same token to be the most likely, 0 to 1
 */
public record Divergence(double[] tokens, double[] windows, double[] agreement) {
    /** The mean divergence; it cannot be less than 0, nor can the interval. */
    public Interval mean() {
        return within(Interval.of(windows), Double.POSITIVE_INFINITY);
    }

    /** The mean agreement, from 0 to 1, and so its interval. */
    public Interval agreeing() {
        return within(Interval.of(agreement), 1);
    }

    private static Interval within(Interval interval, double most) {
        return new Interval(interval.mean(), Math.max(0, interval.low()), Math.min(most, interval.high()));
    }

    /**
     * The divergence that a share of the tokens does not exceed.
     *
     * @param share from 0 to 1: 0.5 for the median, 1 for the largest
     */
    public double quantile(double share) {
        double[] sorted = tokens.clone();
        Arrays.sort(sorted);
        return sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)];
    }
}
