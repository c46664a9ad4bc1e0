package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.Architecture;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Whether the perplexity before and after is measured, and on what. */
final class PerplexityOptions {
    @Option(
            names = "--eval",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "Measure the perplexity before and after (default); takes little time beside the rest.")
    private boolean eval;

    @Option(
            names = "--eval-text",
            paramLabel = "FILE",
            description =
                    "UTF-8 text to measure it on (default: an embedded English text, which shares nothing with the"
                            + " one for calibration).")
    private @Nullable Path evalText;

    /**
     * Refuses a contradiction.
     *
     * @throws IllegalArgumentException naming both options
     */
    void check() {
        if (evalText != null && !eval) {
            throw new IllegalArgumentException(
                    "--eval-text says what to measure the perplexity on, --no-eval not to measure it; leave one out");
        }
    }

    /** The text to measure it on; null if it is not to be measured. */
    @Nullable
    HeldOut heldOut(Checkpoint checkpoint, CalibrationSet windows, Architecture architecture) throws IOException {
        return eval ? HeldOut.read(evalText, checkpoint, windows, architecture.defaultWindow()) : null;
    }
}
