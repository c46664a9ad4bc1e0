package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.TextFile;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.card.CardFacts;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.eval.BeforeAfter;
import io.gptq4j.eval.HeldOutText;
import io.gptq4j.eval.Perplexity;
import io.gptq4j.gptq.BlockObserver;
import java.io.IOException;
import java.nio.file.Path;
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
    private final @Nullable Double limit;

    private HeldOut(String name, int[] tokens, int window, int windows, @Nullable Double limit) {
        this.name = name;
        this.tokens = tokens;
        this.window = window;
        this.windows = windows;
        this.limit = limit;
    }

    /**
     * Reads and tokenizes the text, before anything that takes long.
     *
     * @param file the user's text, or null for the embedded one
     * @param longest the longest window to use
     * @param limit the share by which the perplexity may rise, or null if a result is welcome whatever it is
     * @throws IllegalArgumentException if there is nothing to predict in the text
     */
    static HeldOut read(
            @Nullable Path file, Checkpoint checkpoint, CalibrationSet calibration, int longest, @Nullable Double limit)
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
                file == null ? HeldOutText.NAME : String.valueOf(file.getFileName()), tokens, window, windows, limit);
    }

    /** Windows that are measured, at most. */
    int windows() {
        return Math.min(windows, tokens.length / window);
    }

    /** Tokens in each. */
    int window() {
        return window;
    }

    /** A measurement that goes along with a run; to be closed. */
    final class Measurement implements AutoCloseable {
        private final BeforeAfter both;

        private Measurement(BeforeAfter both) {
            this.both = both;
        }

        /** Who must see the run's blocks. */
        BlockObserver observer() {
            return both;
        }

        /**
         * What was measured, once the run is over.
         *
         * @return null if that failed, which is worth a warning and not the loss of a finished artifact, unless there is a
         *     limit
         * @throws PerplexityLimitException if the perplexity has risen by more than it may
         */
        CardFacts.@Nullable Perplexity result(Console console) throws IOException {
            try {
                Perplexity before = both.before();
                Perplexity after = both.after();
                requireFinite("float", before);
                if (limit != null && !(after.perplexity() / before.perplexity() - 1 <= limit)) {
                    throw new PerplexityLimitException(name, before.perplexity(), after.perplexity(), limit);
                }
                requireFinite("quantized", after);
                return new CardFacts.Perplexity(
                        name, before.windows(), before.window(), before.perplexity(), after.perplexity());
            } catch (PerplexityLimitException e) {
                throw e;
            } catch (IOException | RuntimeException | OutOfMemoryError e) {
                Failure failure = Failure.of(e);
                if (failure.code() == ExitCode.INTERRUPTED) {
                    throw e;
                }
                giveUp(console, failure);
                if (limit != null) {
                    throw e;
                }
                return null;
            }
        }

        @Override
        public void close() {
            both.close();
        }
    }

    /**
     * Begins to measure a model and what a run makes of it.
     *
     * @return null, with a warning, if the text does not fit the model and there is no limit
     */
    @Nullable
    Measurement begin(Session session, Console console) {
        try {
            return new Measurement(new BeforeAfter(session.model(), tokens, window, windows));
        } catch (RuntimeException e) {
            giveUp(console, Failure.of(e));
            if (limit != null) {
                throw e;
            }
            return null;
        }
    }

    private static void requireFinite(String which, Perplexity perplexity) throws CheckpointException {
        if (!Double.isFinite(perplexity.perplexity())) {
            throw new CheckpointException("the perplexity of the " + which + " model is " + perplexity.perplexity());
        }
    }

    private void giveUp(Console console, Failure failure) {
        console.warn("The perplexity on " + name + " could not be measured"
                + (limit == null ? "" : ", so that --max-ppl-increase cannot be held and nothing is written") + ": "
                + failure.sentence());
    }
}
