package io.gptq4j.cost;

import io.gptq4j.tensor.FloatType;

/**
 * What of a quantization is neither in the model nor in {@link io.gptq4j.gptq.GptqOptions}.
 *
 * @param windows calibration windows, those that the model makes up included
 * @param seqlen tokens per window
 * @param type the forward's type
 * @param gpu whether it is computed on a GPU
 * @param checkpointBytes the size of all tensors of the checkpoint
 * @param checkpointParameters their elements; what is more than the model has is carried along, as a vision tower is
 * @param evalWindows windows of held-out text for the perplexity before and after; 0 if it is not measured
 * @param evalWindow tokens in each of them
 * @param statesInMemory bytes of hidden states that may stay in memory before they go to a scratch file
 * @param choosesWidths whether the widths of modules are chosen by {@link io.gptq4j.gptq.Sensitivity}
 * @param selfWindows how many of the windows the model makes up, by {@link io.gptq4j.eval.SelfCalibration}
 */
public record Run(
        int windows,
        int seqlen,
        FloatType type,
        boolean gpu,
        long checkpointBytes,
        long checkpointParameters,
        int evalWindows,
        int evalWindow,
        long statesInMemory,
        boolean choosesWidths,
        int selfWindows) {
    /** Checks the ranges. */
    public Run {
        if (windows < 1
                || seqlen < 1
                || evalWindows < 0
                || evalWindow < 0
                || checkpointBytes < 0
                || checkpointParameters < 0
                || statesInMemory < 0
                || selfWindows < 0
                || selfWindows >= windows) {
            throw new IllegalArgumentException("A run takes at least one window of one token, and no negative sizes");
        }
    }

    /** A run with given widths, over a checkpoint of the model alone. */
    public Run(
            int windows,
            int seqlen,
            FloatType type,
            boolean gpu,
            long checkpointBytes,
            int evalWindows,
            int evalWindow,
            long statesInMemory) {
        this(windows, seqlen, type, gpu, checkpointBytes, 0, evalWindows, evalWindow, statesInMemory, false, 0);
    }

    /** Tokens of the calibration. */
    public long tokens() {
        return Math.multiplyExact((long) windows, seqlen);
    }

    /** Windows of the calibration text. */
    int textWindows() {
        return windows - selfWindows;
    }

    /** Tokens of the held-out text, once. */
    public long evalTokens() {
        return Math.multiplyExact((long) evalWindows, evalWindow);
    }
}
