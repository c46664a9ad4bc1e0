package io.gptq4j.eval;

import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
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

    private final LanguageModel model;
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

    /** An evaluator of {@code model}. */
    public Evaluator(LanguageModel model, Progress progress) {
        this.model = model;
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
        try (Scope states = model.scope()) {
            List<Tensor> hidden = run(states, windows.batches());
            try (LanguageModel.Output output = model.output()) { // not sooner: it can be larger than a block
                return windows.score(output, hidden);
            }
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
        try (Scope states = model.scope()) {
            Tensor hidden = run(states, List.<int[][]>of(window)).get(0);
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

    /** The last block's outputs, [B, T, C] for each batch. */
    private List<Tensor> run(Scope states, List<int[][]> batches) throws IOException {
        List<Tensor> hidden = new ArrayList<>();
        try (LanguageModel.Embedder embedder = model.embedder()) {
            for (int[][] batch : batches) {
                hidden.add(embedder.embed(states, batch));
            }
        }
        int blocks = model.architecture().layers();
        try (BlockReader reader = model.blocks()) {
            for (int layer = 0; layer < blocks; layer++) {
                try (Scope scope = model.scope()) {
                    DecoderBlock block = model.block(scope, reader);
                    hidden.replaceAll(x -> block.forward(states, x));
                }
                progress.update(layer + 1, blocks);
            }
        }
        return hidden;
    }
}
