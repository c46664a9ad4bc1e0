package io.gptq4j.eval;

import io.gptq4j.gptq.BlockObserver;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;

/**
 * The perplexities of a model before and after it is quantized, measured during the run: the text passes through each
 * block twice, when it is loaded and when its modules are quantized. So neither the checkpoint nor the result is read for
 * it; the result's perplexity is that of its files but for what float16 rounds of tensors that are not quantized. A failure
 * here does not end the run, but is told by {@link #before} and {@link #after}. Used on the run's thread.
 */
public final class BeforeAfter implements BlockObserver, AutoCloseable {
    private final LanguageModel model;
    private final ScoredWindows windows;
    private final Scope states;
    private final List<Tensor> before = new ArrayList<>();
    private final List<Tensor> after = new ArrayList<>();
    private LanguageModel.@Nullable Output output;
    private @Nullable Exception failure;

    /**
     * Prepares the measurement.
     *
     * @param model the float model that the run is about
     * @param tokens the whole text's token ids
     * @param window tokens per window
     * @param limit windows to score at most
     * @throws IllegalArgumentException as {@link Evaluator#perplexity}
     */
    public BeforeAfter(LanguageModel model, int[] tokens, int window, int limit) {
        this.model = model;
        this.windows = ScoredWindows.of(model, tokens, window, limit);
        this.states = model.scope();
    }

    private interface Step {
        void run() throws IOException;
    }

    private void attempt(Step step) {
        if (failure != null) {
            return;
        }
        try {
            step.run();
        } catch (CancellationException e) {
            throw e;
        } catch (IOException | RuntimeException e) {
            failure = e;
            before.forEach(Tensor::close);
            after.forEach(Tensor::close);
        }
    }

    @Override
    public void started(LanguageModel.Embedder embedder) {
        attempt(() -> {
            for (int[][] batch : windows.batches()) {
                before.add(embedder.embed(states, batch)); // [B, T, C]
                after.add(embedder.embed(states, batch));
            }
        });
    }

    @Override
    public void loaded(DecoderBlock block) {
        attempt(() -> forward(block, before));
    }

    @Override
    public void quantized(DecoderBlock block) {
        attempt(() -> forward(block, after));
    }

    private void forward(DecoderBlock block, List<Tensor> hidden) throws IOException {
        model.halves().forEach(hidden.size(), (b, half) -> hidden.set(b, block.forward(states, hidden.get(b))));
    }

    /** The float model's perplexity, once the run is over. */
    public Perplexity before() throws IOException {
        return score(before);
    }

    /** The quantized model's perplexity, once the run is over. */
    public Perplexity after() throws IOException {
        return score(after);
    }

    private Perplexity score(List<Tensor> hidden) throws IOException {
        if (failure instanceof IOException e) {
            throw e;
        } else if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (output == null) { // not sooner: it can be larger than a block
            output = model.output();
        }
        double sum = 0;
        for (int b = 0; b < hidden.size(); b++) {
            sum += windows.score(output, b, hidden.get(b));
        }
        return windows.perplexity(sum);
    }

    @Override
    public void close() {
        if (output != null) {
            output.close();
        }
        states.close();
    }
}
