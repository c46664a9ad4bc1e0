package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.Architecture;
import java.io.IOException;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Whether the perplexity before and after is measured, on what, and how much worse it may be. */
final class PerplexityOptions {
    /** In percent, or below 1: a plain 1 or 5 would be meant in percent as often as not. */
    private static final Pattern SHARE = Pattern.compile("(\\d{1,6}(?:\\.\\d{1,9})?)\\s*%|(0?\\.\\d{1,9}|0)");

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

    @Option(
            names = "--max-ppl-increase",
            paramLabel = "X",
            description =
                    "Neither write nor push a result whose perplexity is higher than the model's by more than this,"
                            + " such as 1%% or 0.01 (default: no limit).")
    private @Nullable String maxIncrease;

    /**
     * Refuses a contradiction, and a limit that is none.
     *
     * @throws IllegalArgumentException naming the options
     */
    void check() {
        if (limit() != null && !eval) {
            throw new IllegalArgumentException(
                    "--max-ppl-increase needs the perplexity, and --no-eval says not to measure"
                            + " it; leave one out");
        }
        if (evalText != null && !eval) {
            throw new IllegalArgumentException(
                    "--eval-text says what to measure the perplexity on, --no-eval not to measure it; leave one out");
        }
    }

    /** The rise that is allowed, as a share; null for any. */
    @Nullable
    Double limit() {
        if (maxIncrease == null) {
            return null;
        }
        Matcher share = SHARE.matcher(maxIncrease.strip());
        if (!share.matches()) {
            throw new IllegalArgumentException(
                    "--max-ppl-increase is a share such as 1% or 0.01, not '" + maxIncrease + "'");
        }
        return share.group(1) != null ? Double.parseDouble(share.group(1)) / 100 : Double.parseDouble(share.group(2));
    }

    /** The text to measure it on; null if it is not to be measured. */
    @Nullable
    HeldOut heldOut(Checkpoint checkpoint, CalibrationSet windows, Architecture architecture) throws IOException {
        return eval ? HeldOut.read(evalText, checkpoint, windows, architecture.defaultWindow(), limit()) : null;
    }
}
