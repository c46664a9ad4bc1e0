package io.gptq4j.cli;

import java.io.IOException;
import java.util.Locale;

/** Thrown when a quantized model is worse than the user allows; its files are not to be kept. */
final class PerplexityLimitException extends IOException {
    private static final long serialVersionUID = 1L;

    /**
     * With a sentence that says what to do.
     *
     * @param text what the perplexities were measured on
     * @param before of the float model
     * @param after of the quantized model
     * @param limit the share by which it may rise
     */
    PerplexityLimitException(String text, double before, double after, double limit) {
        super(String.format(
                Locale.ROOT,
                "The perplexity on %s rose from %.4f to %.4f, by %.2f %%, and --max-ppl-increase allows %s %%; nothing was"
                        + " written or pushed. Try more --bits, a smaller --group-size, more --samples, or a --calibration text"
                        + " closer to what the model is for",
                text,
                before,
                after,
                100 * (after / before - 1),
                Math.round(limit * 1e9) / 1e7));
    }
}
