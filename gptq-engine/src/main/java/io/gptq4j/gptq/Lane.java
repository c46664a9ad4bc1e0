package io.gptq4j.gptq;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
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
    private final boolean exact;
    private final List<Parked> states = new ArrayList<>(); // of each batch
    private final List<Parked> exactStates = new ArrayList<>(); // the same in the float model, if that is wanted
    private @Nullable Scope scope;
    private @Nullable DecoderBlock block;

    /** A {@link DecoderBlock.State} between two stages. */
    private record Parked(TensorStore.Kept residual, TensorStore.@Nullable Kept carried) {}

    /**
     * A lane at the start.
     *
     * @param exact whether the windows go through the float model, too
     */
    Lane(LanguageModel model, List<int[][]> batches, TensorStore.Budget budget, boolean exact) {
        this.model = model;
        this.batches = batches;
        this.exact = exact;
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
                if (exact) {
                    exactStates.add(new Parked(store.put(embedder.embed(step, batch)), null));
                }
            }
            if (observer != null) {
                observer.started(embedder);
            }
        }
    }

    void load(BlockReader.Block stored) throws IOException {
        scope = model.scope();
        block = model.block(scope, stored);
        for (int b = 0; b < exactStates.size(); b++) {
            try (Scope step = scope.child()) {
                exactStates.set(
                        b, park(block.begin(step, exactStates.get(b).residual.take(step))));
            }
        }
    }

    /**
     * Runs all windows to a stage.
     *
     * @param hessian takes the stage's inputs; null if none of its modules is to be solved
     */
    void advance(Stage stage, @Nullable Hessian hessian) throws IOException {
        advance(stage, hessian, null, List.of());
    }

    /**
     * The same, and what the modules' outputs lack. The windows of the float model must be at this stage.
     *
     * @param drift takes it; null if nobody wants to know
     * @param modules the modules to be solved, whose weights are still the float model's
     */
    void advance(Stage stage, @Nullable Hessian hessian, @Nullable Drift drift, List<Linear> modules)
            throws IOException {
        for (int b = 0; b < states.size(); b++) {
            try (Scope step = scope().child()) {
                Parked parked = states.get(b);
                Tensor residual = parked.residual.take(step);
                DecoderBlock.State state = stage == Stage.ATTENTION_IN
                        ? block().begin(step, residual)
                        : block().advance(step, stage, new DecoderBlock.State(residual, take(step, parked.carried)));
                if (hessian != null) {
                    Tensor x = block().input(step, stage, state);
                    hessian.add(x);
                    if (drift != null) {
                        compare(step, stage, drift, modules, x, state.residual(), b);
                    }
                }
                states.set(b, park(state));
            }
        }
    }

    private void compare(
            Scope step, Stage stage, Drift drift, List<Linear> modules, Tensor x, Tensor residual, int batch)
            throws IOException {
        Parked parked = exactStates.get(batch);
        DecoderBlock.State exactly = new DecoderBlock.State(parked.residual.take(step), take(step, parked.carried));
        drift.add(
                x,
                block().input(step, stage, exactly),
                modules.stream().map(block()::weight).toList());
        if (stage == Stage.ATTENTION_OUT || stage == Stage.MLP_OUT) {
            drift.addResidual(x, residual, exactly.residual());
        }
        exactStates.set(batch, park(exactly));
    }

    /**
     * Runs the windows of the float model from a stage to the next one, or to the next block; before a weight of the stage is
     * replaced.
     */
    void advanceExact(Stage stage) throws IOException {
        for (int b = 0; b < exactStates.size(); b++) {
            try (Scope step = scope().child()) {
                Parked parked = exactStates.get(b);
                DecoderBlock.State state =
                        new DecoderBlock.State(parked.residual.take(step), take(step, parked.carried));
                exactStates.set(
                        b,
                        stage == Stage.MLP_OUT
                                ? new Parked(store.put(block().finish(step, state)), null)
                                : park(block().advance(step, Stage.values()[stage.ordinal() + 1], state)));
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
