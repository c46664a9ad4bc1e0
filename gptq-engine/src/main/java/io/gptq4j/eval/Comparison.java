package io.gptq4j.eval;

import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Runs the same windows of a text through several models, so that they can be compared window by window. One block of one
 * model is loaded at a time; then the output matrices of all of them, and the logits of a stretch of positions. Not
 * thread-safe.
 */
public final class Comparison {
    private final List<LanguageModel> models;
    private final boolean hasReference;
    private final TensorStore.Budget budget;
    private final Evaluator.Progress progress;

    /**
     * A comparison.
     *
     * @param models of one session, with the same vocabulary
     * @param hasReference whether the first of them is what the predictions of the others are held against
     * @param budget where hidden states are kept: tokens times hidden size for each model
     * @param progress hears of the blocks of all models
     * @throws IllegalArgumentException if the vocabularies have different sizes
     */
    public Comparison(
            List<LanguageModel> models, boolean hasReference, TensorStore.Budget budget, Evaluator.Progress progress) {
        this.models = List.copyOf(models);
        this.hasReference = hasReference;
        this.budget = budget;
        this.progress = progress;
        int[] sizes = models.stream()
                .mapToInt(model -> model.architecture().vocabSize())
                .distinct()
                .toArray();
        if (sizes.length > 1) {
            throw new IllegalArgumentException("Only models with the same vocabulary can be compared; these have "
                    + sizes[0] + " and " + sizes[1] + " entries (vocab_size in config.json)");
        }
    }

    /**
     * Cuts a stream of tokens into windows, as {@link Evaluator#perplexity} does, and scores them with every model.
     *
     * @param tokens the whole text's token ids
     * @param window tokens per window
     * @param limit windows to score at most
     * @return the scores of each model, in order
     * @throws IllegalArgumentException if the text is shorter than two windows, a model cannot take the window, or
     *     {@code limit} is less than 2
     */
    public List<ModelScores> run(int[] tokens, int window, int limit) throws IOException {
        for (LanguageModel model : models) {
            model.requireWindow(window);
        }
        if (limit < 2 || tokens.length / window < 2) {
            throw new IllegalArgumentException("A comparison takes two windows or more, and the text has "
                    + tokens.length + " tokens, windows " + window
                    + "; use a longer text, a smaller --window or more --windows");
        }
        ScoredWindows windows = ScoredWindows.of(models.get(0), tokens, window, limit);
        int blocks =
                models.stream().mapToInt(model -> model.architecture().layers()).sum();
        try (Scope scope = models.get(0).scope();
                TensorStore store = new TensorStore(scope, budget)) {
            List<List<TensorStore.Kept>> hidden = new ArrayList<>();
            int before = 0;
            for (LanguageModel model : models) {
                int start = before;
                hidden.add(Evaluator.run(
                        model, windows.batches(), store, (done, of) -> progress.update(start + done, blocks)));
                before += model.architecture().layers();
            }
            return score(scope, windows, hidden);
        }
    }

    private List<ModelScores> score(Scope scope, ScoredWindows windows, List<List<TensorStore.Kept>> hidden)
            throws IOException {
        List<LanguageModel.Output> outputs =
                models.stream().map(LanguageModel::output).toList();
        int scored = windows.window() - 1;
        int total = Math.multiplyExact(windows.count(), scored);
        double[][] likelihood = new double[models.size()][total];
        double[][] divergence = new double[models.size()][total];
        double[][] agreement = new double[models.size()][total];
        try {
            int at = 0;
            for (int b = 0; b < windows.batches().size(); b++) {
                int[][] batch = windows.batches().get(b);
                int count = batch.length * scored;
                try (Scope step = scope.child()) {
                    List<Tensor> states = new ArrayList<>();
                    for (List<TensorStore.Kept> ofModel : hidden) {
                        states.add(ofModel.get(b).take(step)); // [B, T, C]
                    }
                    double[][][] values = LanguageModel.compare(outputs, states, batch);
                    for (int m = 0; m < models.size(); m++) {
                        System.arraycopy(values[0][m], 0, likelihood[m], at, count);
                        System.arraycopy(values[1][m], 0, divergence[m], at, count);
                        System.arraycopy(values[2][m], 0, agreement[m], at, count);
                    }
                }
                at += count;
            }
        } finally {
            outputs.forEach(LanguageModel.Output::close);
        }
        List<ModelScores> scores = new ArrayList<>();
        for (int m = 0; m < models.size(); m++) {
            scores.add(new ModelScores(
                    Arrays.stream(means(likelihood[m], scored)).map(x -> -x).toArray(),
                    hasReference && m > 0
                            ? new Divergence(divergence[m], means(divergence[m], scored), means(agreement[m], scored))
                            : null));
        }
        return scores;
    }

    /** The mean of each {@code length} values. */
    private static double[] means(double[] values, int length) {
        double[] means = new double[values.length / length];
        Arrays.setAll(
                means, w -> Arrays.stream(values, w * length, (w + 1) * length).sum() / length);
        return means;
    }
}
