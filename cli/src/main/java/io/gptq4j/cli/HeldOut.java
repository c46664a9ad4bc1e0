package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.TextFile;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.card.CardFacts;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.eval.HeldOutText;
import io.gptq4j.eval.Perplexity;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A text that a model was not calibrated on, for its perplexity before and after. */
final class HeldOut {
    /** A share of the calibration's tokens that keeps the two evaluations cheap beside it ... */
    private static final int SHARE = 8;
    /** ... but not fewer windows than these, with which the two numbers can be compared, and not more than are needed. */
    private static final int FEWEST_WINDOWS = 4;

    private static final int MOST_WINDOWS = 20;

    private final String name;
    private final int[] tokens;
    private final int window;
    private final int windows;

    private HeldOut(String name, int[] tokens, int window, int windows) {
        this.name = name;
        this.tokens = tokens;
        this.window = window;
        this.windows = windows;
    }

    /**
     * Reads and tokenizes the text, before anything that takes long.
     *
     * @param file the user's text, or null for the embedded one
     * @param longest the longest window to use
     * @throws IllegalArgumentException if there is nothing to predict in the text
     */
    static HeldOut read(@Nullable Path file, Checkpoint checkpoint, CalibrationSet calibration, int longest)
            throws IOException {
        String text = file == null ? HeldOutText.read() : TextFile.read(file);
        int[] tokens;
        try (Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
            tokens = tokenizer.encode(text);
        }
        if (tokens.length < 2) {
            throw new IllegalArgumentException(
                    "--eval-text " + file + " has " + tokens.length + " tokens; a perplexity takes two or more");
        }
        int window = Math.min(longest, tokens.length);
        long share = (long) calibration.windows().length * calibration.seqlen() / SHARE / window;
        int windows = (int) Math.max(FEWEST_WINDOWS, Math.min(MOST_WINDOWS, share));
        return new HeldOut(
                file == null ? HeldOutText.NAME : String.valueOf(file.getFileName()), tokens, window, windows);
    }

    /** Windows that are measured, at most. */
    int windows() {
        return Math.min(windows, tokens.length / window);
    }

    /** Tokens in each. */
    int window() {
        return window;
    }

    /**
     * Measures a model and what was made of it.
     *
     * @param quantized the artifact's directory
     * @return null if that fails, which is worth a warning and not the loss of a finished artifact
     */
    CardFacts.@Nullable Perplexity measure(Session session, Path quantized, Console console) throws IOException {
        try {
            Perplexity before = evaluate(session.model(), "evaluating the original", console.progress());
            Perplexity after;
            try (Checkpoint checkpoint = Checkpoint.open(quantized);
                    LanguageModel model = LanguageModel.open(
                            session.torch(),
                            checkpoint,
                            ModelFamilies.architecture(checkpoint.config()),
                            session.model().type())) {
                after = evaluate(model, "evaluating the result", console.progress());
            }
            for (Perplexity perplexity : Arrays.asList(before, after)) {
                if (!Double.isFinite(perplexity.perplexity())) {
                    throw new ArithmeticException("it is " + perplexity.perplexity());
                }
            }
            return new CardFacts.Perplexity(
                    name, before.windows(), before.window(), before.perplexity(), after.perplexity());
        } catch (IOException | RuntimeException | OutOfMemoryError e) {
            Failure failure = Failure.of(e);
            if (failure.code() == ExitCode.INTERRUPTED) {
                throw e;
            }
            console.warn("The perplexity on " + name + " could not be measured: " + failure.sentence());
            return null;
        }
    }

    private Perplexity evaluate(LanguageModel model, String phase, ProgressView view) throws IOException {
        view.start(phase, model.architecture().layers());
        Evaluator evaluator = new Evaluator(model, (done, blocks) -> view.update(done, ""));
        return evaluator.perplexity(tokens, window, windows);
    }
}
