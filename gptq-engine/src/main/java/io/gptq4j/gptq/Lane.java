package io.gptq4j.gptq;

import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One device's part of a run: its share of the calibration windows, and a copy of the current block. */
final class Lane implements AutoCloseable {
    private final LanguageModel model;
    private final List<int[][]> batches;
    private final TensorStore store;
    private final List<Parked> states = new ArrayList<>(); // of each batch
    private @Nullable Scope scope;
    private @Nullable DecoderBlock block;
    private @Nullable Stage at; // where the states are

    /** A {@link DecoderBlock.State} between two stages. */
    private record Parked(TensorStore.Kept residual, TensorStore.@Nullable Kept carried) {}

    Lane(LanguageModel model, List<int[][]> batches, TensorStore.Budget budget) {
        this.model = model;
        this.batches = batches;
        this.store = new TensorStore(model.scope(), budget);
    }

    LanguageModel model() {
        return model;
    }

    /** The current block. */
    DecoderBlock block() {
        if (block == null) {
            throw new IllegalStateException("No block is loaded");
        }
        return block;
    }

    /** Owns what belongs to the current block. */
    Scope scope() {
        if (scope == null) {
            throw new IllegalStateException("No block is loaded");
        }
        return scope;
    }

    /** Turns the windows into the first block's input; the observer may do the same with its own. */
    void embed(@Nullable BlockObserver observer) throws IOException {
        try (LanguageModel.Embedder embedder = model.embedder();
                Scope step = model.scope()) {
            for (int[][] batch : batches) {
                states.add(new Parked(store.put(embedder.embed(step, batch)), null)); // [B, T, C]
            }
            if (observer != null) {
                observer.started(embedder);
            }
        }
    }

    void load(BlockReader.Block stored) throws IOException {
        scope = model.scope();
        block = model.block(scope, stored);
    }

    /**
     * Lets some module groups see their inputs of all windows, which are run from the stage before to theirs, unless they
     * are there already.
     *
     * @param groups of {@code stage}; may be none
     * @param hessians take the inputs, one for each group
     * @param allTokens whether experts see all tokens, whatever the router says
     */
    void observe(Stage stage, List<ModuleGroup> groups, List<Hessian> hessians, boolean allTokens) throws IOException {
        for (int b = 0; b < states.size(); b++) {
            try (Scope step = scope().child()) {
                Parked parked = states.get(b);
                DecoderBlock.State state =
                        new DecoderBlock.State(parked.residual.take(step), take(step, parked.carried));
                if (stage != at) {
                    state = stage == Stage.ATTENTION_IN
                            ? block().begin(step, state.residual())
                            : block().advance(step, stage, state);
                }
                if (!groups.isEmpty()) {
                    block().inputs(
                                    step,
                                    state,
                                    groups,
                                    allTokens,
                                    (i, x) -> hessians.get(i).add(x));
                }
                states.set(b, park(state));
            }
        }
        at = stage;
    }

    /**
     * Lets some experts see tokens whatever the router says, at the stage where the windows are: no more of them than a prior
     * takes.
     */
    void sample(List<ModuleGroup> experts, List<Hessian> hessians) throws IOException {
        for (int b = 0; b < states.size() && hessians.stream().anyMatch(Siblings::isStarved); b++) {
            try (Scope step = scope().child()) {
                Parked parked = states.get(b);
                DecoderBlock.State state =
                        new DecoderBlock.State(parked.residual.take(step), take(step, parked.carried));
                block().inputs(
                                step,
                                state,
                                experts,
                                true,
                                (i, x) -> hessians.get(i).add(x));
                states.set(b, park(state));
            }
        }
    }

    /** Turns the windows into the next block's input, and lets go of the block. */
    void finish() throws IOException {
        for (int b = 0; b < states.size(); b++) {
            try (Scope step = scope().child()) {
                Parked parked = states.get(b);
                DecoderBlock.State state =
                        new DecoderBlock.State(parked.residual.take(step), take(step, parked.carried));
                states.set(b, new Parked(store.put(block().finish(step, state)), null));
            }
        }
        scope().close();
        scope = null;
        block = null;
        at = null;
    }

    private Parked park(DecoderBlock.State state) throws IOException {
        Tensor carried = state.carried();
        return new Parked(store.put(state.residual()), carried == null ? null : store.put(carried));
    }

    private static @Nullable Tensor take(Scope step, TensorStore.@Nullable Kept kept) throws IOException {
        return kept == null ? null : kept.take(step);
    }

    @Override
    public void close() throws IOException {
        if (scope != null) {
            scope.close();
        }
        store.close();
    }
}
