package io.gptq4j.eval;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * The windows of a text that a perplexity is measured on.
 *
 * @param batches the windows, some at a time; [B][window] token ids each
 * @param window tokens per window
 * @param count number of windows
 */
record ScoredWindows(List<int[][]> batches, int window, int count) {
    /** The most tokens that go through a block together, and so through the head, whose logits would be too many. */
    private static final int TOKENS = 2048;

    /** See {@link Evaluator#perplexity}. */
    static ScoredWindows of(LanguageModel model, int[] tokens, int window, int limit) {
        model.requireWindow(window);
        if (limit < 1) {
            throw new IllegalArgumentException("The number of windows to score must be positive, not " + limit);
        }
        int count = Math.min(limit, tokens.length / window);
        if (count == 0) {
            throw new IllegalArgumentException("The text has only " + tokens.length
                    + " tokens, less than one window of " + window + "; use a longer text or a smaller --window");
        }
        int[][] windows = new int[count][];
        for (int i = 0; i < count; i++) {
            windows[i] = Arrays.copyOfRange(tokens, i * window, (i + 1) * window);
        }
        return new ScoredWindows(CalibrationSet.batches(windows, Math.min(TOKENS, model.batchTokens())), window, count);
    }

    /** The sum of log-likelihoods of a batch, from the last block's output, [B, T, C]. */
    double score(LanguageModel.Output output, int batch, Tensor hidden) throws IOException {
        return Arrays.stream(output.logLikelihoods(hidden, batches.get(batch))).sum();
    }

    /** The perplexity that follows from the sum over all batches. */
    Perplexity perplexity(double sum) {
        long scored = (long) count * (window - 1);
        double nll = -sum / scored;
        return new Perplexity(Math.exp(nll), nll, count, window, scored);
    }
}
