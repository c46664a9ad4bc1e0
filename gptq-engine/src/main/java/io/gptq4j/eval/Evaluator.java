package io.gptq4j.eval;

import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs windows of text through a model, all of them through one block before the next is loaded, so that the memory
 * needed is one block or the output matrix, and the hidden states. Not thread-safe.
 */
public final class Evaluator {
    /** Positions whose logits are brought to the heap at a time. */
    private static final int LOGIT_ROWS = 64;

    private static final TensorStore.Budget IN_MEMORY =
            new TensorStore.Budget(Long.MAX_VALUE, Long.MAX_VALUE, Path.of(""));

    private final LanguageModel model;
    private final TensorStore.Budget budget;
    private final Progress progress;

    /** Hears how many of the blocks are done. */
    public interface Progress {
        /** Block {@code done} of {@code blocks} is finished. */
        void update(int done, int blocks);
    }

    /** Takes the logits of one position after the other. */
    public interface LogitSink {
        /** The float32 logits of some positions in order, row-major [rows, V]. */
        void accept(float[] logits) throws IOException;
    }

    /** An evaluator of {@code model} that keeps all hidden states in memory. */
    public Evaluator(LanguageModel model, Progress progress) {
        this(model, IN_MEMORY, progress);
    }

    /** An evaluator of {@code model} that keeps hidden states where {@code budget} allows. */
    public Evaluator(LanguageModel model, TensorStore.Budget budget, Progress progress) {
        this.model = model;
        this.budget = budget;
        this.progress = progress;
    }

    /**
     * Cuts a stream of tokens into windows and scores them.
     *
     * @param tokens the whole text's token ids
     * @param window tokens per window
     * @param limit windows to score at most
     * @throws IllegalArgumentException if the text is shorter than one window, the model cannot take the window, or
     *     {@code limit} is less than 1
     */
    public Perplexity perplexity(int[] tokens, int window, int limit) throws IOException {
        ScoredWindows windows = ScoredWindows.of(model, tokens, window, limit);
        try (Scope scope = model.scope();
                TensorStore store = new TensorStore(scope, budget)) {
            List<TensorStore.Kept> hidden = run(model, windows.batches(), store, progress);
            double sum = 0;
            try (LanguageModel.Output output = model.output()) { // not sooner: it can be larger than a block
                for (int b = 0; b < hidden.size(); b++) {
                    try (Scope step = scope.child()) {
                        sum += windows.score(output, b, hidden.get(b).take(step));
                    }
                }
            }
            return windows.perplexity(sum);
        }
    }

    /**
     * The log-likelihoods of tokens 2 to n, each given the ones before it.
     *
     * @param tokens 2 or more ids, no more than the model has positions for
     * @param logits receives the logits of every position, the last one's included; null if they are not wanted
     */
    public double[] score(int[] tokens, @Nullable LogitSink logits) throws IOException {
        model.requireWindow(tokens.length);
        int[][] window = {tokens};
        try (Scope states = model.scope();
                TensorStore store = new TensorStore(states, budget)) {
            Tensor hidden =
                    run(model, List.<int[][]>of(window), store, progress).get(0).take(states);
            try (LanguageModel.Output output = model.output()) {
                if (logits != null) {
                    for (int start = 0; start < tokens.length; start += LOGIT_ROWS) {
                        logits.accept(output.logits(hidden, start, Math.min(tokens.length, start + LOGIT_ROWS)));
                    }
                }
                return output.logLikelihoods(hidden, window);
            }
        }
    }

    /** The last block's outputs, [B, T, C] for each batch, in a store. */
    static List<TensorStore.Kept> run(LanguageModel model, List<int[][]> batches, TensorStore store, Progress progress)
            throws IOException {
        List<TensorStore.Kept> hidden = new ArrayList<>();
        try (LanguageModel.Embedder embedder = model.embedder()) {
            for (int[][] batch : batches) {
                try (Scope step = model.scope()) {
                    hidden.add(store.put(embedder.embed(step, batch)));
                }
            }
        }
        int blocks = model.architecture().layers();
        try (BlockReader reader = model.blocks()) {
            for (int layer = 0; layer < blocks; layer++) {
                try (Scope scope = model.scope()) {
                    DecoderBlock block = model.block(scope, reader);
                    model.halves().forEach(hidden.size(), (b, half) -> {
                        try (Scope step = scope.child()) {
                            Tensor x = hidden.get(b).take(step);
                            hidden.set(b, store.put(block.forward(step, x)));
                        }
                    });
                }
                progress.update(layer + 1, blocks);
            }
        }
        return hidden;
    }
}
