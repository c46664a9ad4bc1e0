package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.Architecture;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What to calibrate on. */
final class CalibrationOptions {
    @Option(
            names = "--calibration",
            paramLabel = "FILE",
            description = "UTF-8 text, or .jsonl with \"text\" or \"input_ids\" (default: an embedded English text).")
    private @Nullable Path calibration;

    @Option(
            names = "--samples",
            paramLabel = "N",
            defaultValue = "128",
            description = "Calibration windows (default: ${DEFAULT-VALUE}).")
    private int samples;

    @Option(
            names = "--seqlen",
            paramLabel = "N",
            description = "Tokens per window (default: 2048, or what the model can take).")
    private @Nullable Integer seqlen;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "Chooses the windows (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--self-samples",
            paramLabel = "N",
            description =
                    "Windows of text that the model makes up itself, to calibrate on besides, so that it stays good at what"
                            + " the calibration text is not about (default: half of --samples; with --stream 0, since the weights are"
                            + " read many times for it).")
    private @Nullable Integer selfSamples;

    @Option(
            names = "--all-experts",
            description = "Calibrate every expert of a mixture on all tokens, not on those that the router sends to it;"
                    + " takes longer. Without it, experts that few tokens came to learn from the others.")
    private boolean allExperts;

    /**
     * Refuses what makes no sense for any model.
     *
     * @throws IllegalArgumentException naming the option
     */
    void check() {
        requirePositive("--samples", samples);
        if (selfSamples != null && selfSamples < 0) {
            throw new IllegalArgumentException("--self-samples must be 0 or more, not " + selfSamples);
        }
        if (seqlen != null) {
            requirePositive("--seqlen", seqlen);
        }
    }

    /** Lets the model make nothing up unless it is told to. */
    void withoutOwnText() {
        if (selfSamples == null) {
            selfSamples = 0;
        }
    }

    /** How many windows the model is to make up beside so many of a text. */
    int selfSamples(int windows) {
        return selfSamples != null ? selfSamples : (windows + 1) / 2;
    }

    long seed() {
        return seed;
    }

    boolean allExperts() {
        return allExperts;
    }

    /** The windows for a model, with a note if the text has fewer than were asked for. */
    CalibrationSet windows(Console console, Checkpoint checkpoint, Architecture architecture) throws IOException {
        int length = seqlen != null ? seqlen : architecture.defaultWindow();
        try (Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
            CalibrationSet windows = calibration == null
                    ? CalibrationSet.embedded(tokenizer, samples, length, seed)
                    : CalibrationSet.fromFile(calibration, tokenizer, samples, length, seed);
            if (windows.windows().length < samples) {
                console.note("Calibrating on " + Sizes.count(windows.windows().length, "window") + " of " + length
                        + " tokens: " + windows.source() + " has no more.");
            }
            return windows;
        }
    }

    private static void requirePositive(String option, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(option + " must be at least 1, not " + value);
        }
    }
}
