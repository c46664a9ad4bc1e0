package io.gptq4j.eval;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What a model made of the windows of a text.
 *
 * @param windows the mean negative log-likelihood per scored token, in nats, of each window
 * @param divergence how far its predictions are from the reference's; null for the reference, and where there is none
 */
public record ModelScores(double[] windows, @Nullable Divergence divergence) {
    /** The mean negative log-likelihood per scored token, in nats. */
    public double nll() {
        return Arrays.stream(windows).sum() / windows.length;
    }

    /** The perplexity, as {@link Evaluator#perplexity} has it. */
    public double perplexity() {
        return Math.exp(nll());
    }
}
