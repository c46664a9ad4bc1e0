package io.gptq4j.eval;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntPredicate;

/**
 * Text that a model makes up, to calibrate it on. A calibration text is of one kind, and the Hessians of modules know only the
 * directions that occur in it; what a model says by itself has some of everything that it has learned. After Liu et al.
 * 2023 (arXiv 2305.17888, section 3.1) and Williams et al. 2024 (arXiv 2410.17170), whose texts are as long as a window; here
 * windows are made of pieces of {@link #PIECE} tokens, the first of which is any token of the vocabulary, as likely as
 * another, and the others are drawn by the model's probabilities. Short pieces hold more of the vocabulary, and need
 * no memory of keys and values: the model reads all pieces again for each token.
 *
 * <p>All pieces go through one block before the next one is loaded, so that the memory is one block or the output matrix, and
 * the hidden states; the checkpoint is read {@code PIECE - 1} times. Not thread-safe.
 */
public final class SelfCalibration {
    /**
     * Tokens of a piece. By KL divergence 4 are as good as 512, by perplexity 4 are too few: they know no place where the model is
     * sure of what comes; see {@code docs/quality.md}.
     */
    public static final int PIECE = 16;

    /** Draws that may meet tokens that begin no text, before there seem to be no others. */
    private static final int ATTEMPTS = 10_000;

    private final LanguageModel model;
    private final TensorStore.Budget budget;
    private final Evaluator.Progress progress;

    /** Prepares to let {@code model} speak; hidden states are kept where {@code budget} allows. */
    public SelfCalibration(LanguageModel model, TensorStore.Budget budget, Evaluator.Progress progress) {
        this.model = model;
        this.budget = budget;
        this.progress = progress;
    }

    /**
     * Makes windows up, of the length of a text's.
     *
     * @param text the windows of a text; checked first, since what is wrong with them should be told sooner
     * @param count how many to make, 0 or more
     * @param begins whether a token may begin a piece; special tokens and those without text should not
     * @param seed the same gives the same windows
     * @return those of the text, and after them the new ones
     * @throws IllegalArgumentException if the model has no positions for the windows
     * @throws CheckpointException if a token of the text is none of the model's, or a weight is NaN or infinite
     */
    public CalibrationSet extended(CalibrationSet text, int count, IntPredicate begins, long seed) throws IOException {
        model.requireWindow(text.seqlen());
        model.requireTokens(text.windows());
        return text.with(windows(count, text.seqlen(), begins, seed));
    }

    /** The new windows alone, [count][seqlen]. */
    int[][] windows(int count, int seqlen, IntPredicate begins, long seed) throws IOException {
        long tokens = Math.multiplyExact((long) count, seqlen);
        Random random = new Random(seed);
        int[][] pieces = new int[Math.toIntExact((tokens + PIECE - 1) / PIECE)][];
        Arrays.setAll(pieces, piece -> new int[] {first(random, begins)});
        for (int length = 1; length < PIECE && pieces.length > 0; length++) {
            pieces = longer(pieces, random, length);
        }
        int[] stream = Arrays.stream(pieces).flatMapToInt(Arrays::stream).toArray();
        int[][] windows = new int[count][];
        Arrays.setAll(windows, w -> Arrays.copyOfRange(stream, w * seqlen, (w + 1) * seqlen));
        return windows;
    }

    private int first(Random random, IntPredicate begins) {
        int id = random.nextInt(model.architecture().vocabSize());
        for (int attempt = 1; attempt < ATTEMPTS && !begins.test(id); attempt++) {
            id = random.nextInt(model.architecture().vocabSize());
        }
        return id;
    }

    /** All pieces, of {@code length} tokens so far, with one more token. */
    private int[][] longer(int[][] pieces, Random random, int length) throws IOException {
        List<int[][]> batches = CalibrationSet.batches(pieces, model.batchTokens());
        int[][] longer = new int[pieces.length][];
        int done = 0;
        try (Scope scope = model.scope();
                TensorStore store = new TensorStore(scope, budget)) {
            Evaluator.Progress share =
                    (block, blocks) -> progress.update((length - 1) * blocks + block, (PIECE - 1) * blocks);
            List<TensorStore.Kept> hidden = Evaluator.run(model, batches, store, share);
            try (LanguageModel.Output output = model.output()) {
                for (int b = 0; b < hidden.size(); b++) {
                    try (Scope step = scope.child()) {
                        Tensor x = hidden.get(b).take(step); // [B, length, C]
                        float[] draws = new float[batches.get(b).length];
                        for (int i = 0; i < draws.length; i++) {
                            draws[i] = random.nextFloat();
                        }
                        int[] next = output.next(x, draws);
                        for (int i = 0; i < next.length; i++, done++) {
                            longer[done] = Arrays.copyOf(pieces[done], length + 1);
                            longer[done][length] = next[i];
                        }
                    }
                }
            }
        }
        return longer;
    }
}
