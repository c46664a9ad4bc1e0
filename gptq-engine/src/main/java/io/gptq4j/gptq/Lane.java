package io.gptq4j.gptq;

import io.gptq4j.model.Block;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One device's part of a run: its share of the calibration windows, and a copy of the current block. */
final class Lane implements AutoCloseable {
    private final LanguageModel model;
    private final List<int[][]> batches;
    private final TensorStore store;
    private final List<Parked> states = new ArrayList<>(); // of each batch
    private final boolean exact;
    private final List<Parked> exactStates = new ArrayList<>(); // the same in the float model; none unless exact
    private @Nullable Scope scope;
    private @Nullable DecoderBlock block;
    private @Nullable Stage at; // where the states are
    private @Nullable Stage exactAt; // where those of the float model are; null beyond the last stage

    /** A {@link DecoderBlock.State} between two stages. */
    private record Parked(TensorStore.Kept residual, TensorStore.@Nullable Kept carried) {}

    /**
     * A lane at the start.
     *
     * @param exact whether the windows go through the float model, too
     */
    Lane(LanguageModel model, List<int[][]> batches, TensorStore.Budget budget, boolean exact) {
        this.model = model;
        this.exact = exact;
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
        each(exactStates, (step, b, half, state) -> park(block().begin(step, state.residual())));
        exactAt = Stage.ATTENTION_IN;
    }

    /**
     * Lets some module groups see their inputs of all windows, which are run from the stage before to theirs, unless they
     * are there already.
     *
     * @param groups of {@code stage}; may be none
     * @param seen takes the inputs, one for each group; a list for each half, or one, which all windows have in turn
     * @param allTokens whether experts see all tokens, whatever the router says
     */
    void observe(Stage stage, List<ModuleGroup> groups, List<List<Inputs>> seen, boolean allTokens) throws IOException {
        Step observation = (step, b, half, state) -> {
            DecoderBlock.State there = stage == at
                    ? state
                    : stage == Stage.ATTENTION_IN
                            ? block().begin(step, state.residual())
                            : block().advance(step, stage, state);
            if (!groups.isEmpty()) {
                see(step, stage, groups, seen.get(half), there, b, allTokens);
            }
            return park(there);
        };
        if (groups.isEmpty() || seen.size() > 1) {
            each(states, observation);
        } else {
            for (int b = 0; b < states.size(); b++) {
                step(states, b, 0, observation);
            }
        }
        at = stage;
    }

    /** What is done with the state of a batch, which belongs to {@code step}; returns what becomes of it. */
    private interface Step {
        Parked run(Scope step, int batch, int half, DecoderBlock.State state) throws IOException;
    }

    private void each(List<Parked> of, Step task) throws IOException {
        model.halves().forEach(of.size(), (b, half) -> step(of, b, half, task));
    }

    private void step(List<Parked> of, int batch, int half, Step task) throws IOException {
        try (Scope step = scope().child()) {
            of.set(batch, task.run(step, batch, half, resume(step, of.get(batch))));
        }
    }

    private void see(
            Scope step,
            Stage stage,
            List<ModuleGroup> groups,
            List<Inputs> seen,
            DecoderBlock.State state,
            int batch,
            boolean allTokens)
            throws IOException {
        boolean compares = seen.stream().anyMatch(Inputs::compares);
        // At the end of a mixture the float model is beyond the block: what its experts ought to give together is
        // known.
        boolean beyond = stage == Stage.MLP_OUT && exactAt == null;
        if (compares && !beyond && stage != exactAt) {
            throw new IllegalStateException("The float model's windows are at " + exactAt + ", not at " + stage);
        }
        DecoderBlock.State exactly = compares ? resume(step, exactStates.get(batch)) : null;
        Tensor lack = exactly != null && beyond ? block().lack(step, state, exactly.residual()) : null;
        block().inputs(
                        step,
                        state,
                        groups,
                        allTokens,
                        (i, x, share) -> counted(step, x, share, own -> {
                            seen.get(i).hessian().add(own);
                            Drift drift = seen.get(i).drift();
                            if (drift != null && lack != null) {
                                drift.addLack(own, lack, Objects.requireNonNull(share));
                            } else if (drift != null) {
                                compare(step, groups.get(i), x, drift, state, Objects.requireNonNull(exactly));
                            }
                        }));
        if (exactly != null) {
            exactStates.set(batch, park(exactly));
        }
    }

    /** Adds to a drift what a group's outputs, all that they are added to included, fall short of those of the float model. */
    private void compare(
            Scope step,
            ModuleGroup group,
            Tensor x,
            Drift drift,
            DecoderBlock.State state,
            DecoderBlock.State exactly) {
        List<Tensor> weights = group.modules().stream().map(block()::weight).toList();
        Block parts = block().parts();
        Drift.Streams streams = parts.addsToResidual(group)
                ? new Drift.Streams(state.residual(), exactly.residual(), 1 / parts.multiplier())
                : null;
        block().inputs(step, exactly, List.of(group), false, (j, y, none) -> drift.add(x, y, weights, streams));
    }

    /**
     * Where the float model is followed, errors of experts count as much as their outputs do, so their inputs are taken times
     * the router's weights.
     */
    private void counted(Scope step, Tensor x, DecoderBlock.@Nullable Share share, Consumer<Tensor> target) {
        if (share == null || !exact) {
            target.accept(x);
            return;
        }
        try (Tensor weighted = step.call("refine", "weighted", x, share.weights())) {
            target.accept(weighted);
        }
    }

    /**
     * Runs the windows of the float model from a stage to the next one that reads what is kept between stages, or to the next
     * block; before a weight of the stage is replaced. Does nothing if they are beyond it.
     */
    void advanceExact(Stage stage) throws IOException {
        if (exactAt != stage) {
            return;
        }
        Block parts = block().parts();
        List<Stage> stages = new ArrayList<>(parts.stages());
        stages.remove(Stage.ATTENTION_MID);
        if (parts.mlp() instanceof Mlp.Experts) {
            stages.remove(Stage.MLP_OUT);
        }
        int next = stages.indexOf(stage) + 1;
        each(
                exactStates,
                (step, b, half, state) -> next == stages.size()
                        ? new Parked(store.put(block().finish(step, state)), null)
                        : park(block().advance(step, stages.get(next), state)));
        exactAt = next == stages.size() ? null : stages.get(next);
    }

    /**
     * Lets some experts see tokens whatever the router says, at the stage where the windows are: no more of them than a prior
     * takes.
     */
    void sample(List<ModuleGroup> experts, List<Hessian> hessians) throws IOException {
        for (int b = 0; b < states.size() && hessians.stream().anyMatch(Siblings::isStarved); b++) {
            step(states, b, 0, (step, batch, half, state) -> {
                block().inputs(
                                step,
                                state,
                                experts,
                                true,
                                (i, x, share) -> hessians.get(i).add(x));
                return park(state);
            });
        }
    }

    /** Turns the windows into the next block's input, and lets go of the block. */
    void finish() throws IOException {
        each(states, (step, b, half, state) -> new Parked(store.put(block().finish(step, state)), null));
        scope().close();
        scope = null;
        block = null;
        at = null;
    }

    private Parked park(DecoderBlock.State state) throws IOException {
        Tensor carried = state.carried();
        return new Parked(store.put(state.residual()), carried == null ? null : store.put(carried));
    }

    private static DecoderBlock.State resume(Scope step, Parked parked) throws IOException {
        TensorStore.Kept carried = parked.carried;
        return new DecoderBlock.State(parked.residual.take(step), carried == null ? null : carried.take(step));
    }

    @Override
    public void close() throws IOException {
        if (scope != null) {
            scope.close();
        }
        store.close();
    }
}
