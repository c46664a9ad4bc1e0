package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One decoder block, computed stage by stage so that the input of every module group can be seen, and the weights of
 * its modules replaced, before anything depends on them. B windows, T tokens, C hidden size.
 *
 * <p>A block is run over a set of windows with {@link #begin}, {@link #advance} for the other stages in order, and {@link
 * #finish}; each consumes what it is given. Not thread-safe.
 */
public final class DecoderBlock {
    private final Architecture architecture;
    private final int layer;
    private final Block block;
    private final AttentionPart attention;
    private final @Nullable ExpertsPart experts;
    private final Map<String, Tensor> weights = new HashMap<>(); // by name within the block

    private DecoderBlock(Architecture architecture, int layer, PositionTables positions) {
        this.architecture = architecture;
        this.layer = layer;
        this.block = architecture.block(layer);
        this.attention = new AttentionPart(block.attention(), positions, this::tensor);
        this.experts = block.mlp() instanceof Mlp.Experts moe ? new ExpertsPart(moe, this::tensor) : null;
    }

    /** Converts a block's weights; {@code scope} owns them. */
    static DecoderBlock load(
            Scope scope,
            Architecture architecture,
            int layer,
            BlockReader.Block stored,
            PositionTables positions,
            FloatType type)
            throws IOException {
        DecoderBlock block = new DecoderBlock(architecture, layer, positions);
        int prefix = architecture.inBlock(layer, "").length();
        for (Map.Entry<String, ModelWeights.Stored> tensor : stored.tensors().entrySet()) {
            block.weights.put(
                    tensor.getKey().substring(prefix), tensor.getValue().load(scope, type));
        }
        return block;
    }

    /**
     * What is kept of some windows between two stages: no more than it takes to compute the stage's inputs.
     *
     * @param residual the residual stream, [B, T, C]
     * @param carried at {@link Stage#ATTENTION_OUT} and {@link Stage#MLP_OUT} what the attention or the activation gave, [B, T,
     *     in]; experts are computed again instead. Where the two parts are parallel, the attention's output at {@link
     *     Stage#MLP_IN}, [B, T, C]. Otherwise null
     */
    public record State(Tensor residual, @Nullable Tensor carried) {}

    /** The weight [out, in] of a module, for the solver. */
    public Tensor weight(Linear module) {
        return tensor(module.name() + ".weight");
    }

    /** Puts another weight, owned by the block's scope, in a module's place and frees the old one. */
    public void replaceWeight(Linear module, Tensor weight) {
        Tensor old = weights.put(module.name() + ".weight", weight);
        if (old != null) {
            old.close();
        }
    }

    /** The path of a module, as in the checkpoint. */
    public String path(Linear module) {
        return architecture.inBlock(layer, module.name());
    }

    /** What it consists of. */
    public Block parts() {
        return block;
    }

    /** From the block's input [B, T, C] to the first stage. */
    public State begin(Scope scope, Tensor hidden) {
        return new State(atStart(scope, hidden, block.norms().attentionIn()), null);
    }

    /** Takes what a module group reads. */
    public interface Inputs {
        /**
         * Takes the input of one group.
         *
         * @param index of the group, among those asked for
         * @param x [..., in]; an expert's may have no rows
         * @param share of the tokens, where they belong to an expert's and the router has weighed them; otherwise null
         */
        void accept(int index, Tensor x, @Nullable Share share);
    }

    /**
     * What an expert, or the shared experts, have to do with the windows.
     *
     * @param tokens those that it sees, by their places, [n]
     * @param weights what its outputs for them count for in the mixture's, [n]
     */
    public record Share(Tensor tokens, Tensor weights) {}

    /**
     * The inputs that some groups of one stage read.
     *
     * @param scope owns the inputs that belong to no state
     * @param allTokens whether experts see all tokens, whatever the router says
     */
    public void inputs(Scope scope, State state, List<ModuleGroup> groups, boolean allTokens, Inputs target) {
        Tensor x = null;
        ExpertsPart.Routed routed = null;
        for (int i = 0; i < groups.size(); i++) {
            ModuleGroup group = groups.get(i);
            Stage stage = group.stage();
            if (stage == Stage.ATTENTION_OUT || (stage == Stage.MLP_OUT && experts == null)) {
                target.accept(i, Objects.requireNonNull(state.carried), null);
                continue;
            }
            boolean mlp = stage == Stage.MLP_IN || stage == Stage.MLP_OUT;
            if (x == null) {
                x = input(
                        scope,
                        state,
                        mlp ? block.norms().mlpIn() : block.norms().attentionIn());
                routed = mlp && experts != null ? experts.route(scope, x) : null;
            }
            if (routed == null) {
                Tensor in = stage == Stage.ATTENTION_MID
                        ? attention.latentInput(scope, x, group.modules().get(0))
                        : x;
                target.accept(i, in, null);
                continue;
            }
            ExpertsPart parts = Objects.requireNonNull(experts);
            try (Scope own = scope.child()) {
                if (group.expert().isEmpty()) {
                    if (stage == Stage.MLP_IN) {
                        target.accept(i, x, null);
                    } else {
                        target.accept(i, parts.sharedActivation(own, routed), parts.sharedShare(own, routed));
                    }
                    continue;
                }
                int expert = group.expert().getAsInt();
                Share share = allTokens ? null : parts.share(own, routed, expert);
                Tensor in = parts.seen(own, routed, share);
                target.accept(i, stage == Stage.MLP_IN ? in : parts.activation(own, in, expert), share);
            }
        }
    }

    /** From the stage before {@code stage} to it. */
    public State advance(Scope scope, Stage stage, State state) {
        return advance(scope, stage, state, null);
    }

    private State advance(Scope scope, Stage stage, State state, @Nullable KeyValues past) {
        return switch (stage) {
            case ATTENTION_IN -> throw new IllegalArgumentException("A block begins with begin(), not advance()");
            case ATTENTION_MID -> state;
            case ATTENTION_OUT -> {
                try (Scope step = scope.child()) {
                    Tensor x = input(step, state, block.norms().attentionIn());
                    yield new State(state.residual, attention.gathered(scope, x, past));
                }
            }
            case MLP_IN -> {
                if (block.residual() == Residual.PARALLEL) {
                    try (Tensor carried = Objects.requireNonNull(state.carried)) {
                        yield new State(state.residual, attentionOutput(scope, carried));
                    }
                }
                Tensor sum;
                try (Scope step = scope.child();
                        Tensor carried = Objects.requireNonNull(state.carried);
                        Tensor residual = state.residual) {
                    sum = added(scope, residual, attentionOutput(step, carried));
                }
                sum = atEnd(scope, sum, block.norms().attentionOut());
                yield new State(atStart(scope, sum, block.norms().mlpIn()), null);
            }
            case MLP_OUT -> {
                if (experts != null) {
                    yield state;
                }
                try (Scope step = scope.child()) {
                    Tensor x = input(step, state, block.norms().mlpIn());
                    Tensor act = Parts.activation(step, x, (Mlp.Dense) block.mlp(), this::tensor)
                            .moveTo(scope);
                    if (state.carried == null) {
                        yield new State(state.residual, act);
                    }
                    try (Tensor attended = state.carried;
                            Tensor residual = state.residual) {
                        yield new State(added(scope, residual, attended), act);
                    }
                }
            }
        };
    }

    /** From the last stage to the block's output, [B, T, C]. */
    public Tensor finish(Scope scope, State state) {
        Tensor sum;
        try (Scope step = scope.child()) {
            Tensor y;
            if (experts != null) {
                y = experts.output(step, input(step, state, block.norms().mlpIn()));
            } else {
                try (Tensor carried = Objects.requireNonNull(state.carried)) {
                    y = linear(step, carried, ((Mlp.Dense) block.mlp()).output());
                }
            }
            if (block.residual() != Residual.POST_NORM) {
                y = Parts.norm(step, y, block.norms().mlpOut(), this::tensor);
            }
            try (Tensor residual = state.residual) {
                sum = added(scope, residual, y);
            }
        }
        return atEnd(scope, sum, block.norms().mlpOut());
    }

    /**
     * What the mixture of experts lacks for the block's output to be {@code wanted}, for each unit of the weights that its
     * experts' outputs have, [N, C] float32. An output of every one of them that is so much larger makes up for it.
     *
     * @param state at {@link Stage#MLP_OUT}; stays as it is
     */
    public Tensor lack(Scope scope, State state, Tensor wanted) {
        ExpertsPart mixture = Objects.requireNonNull(experts);
        try (Scope step = scope.child()) {
            Tensor residual = step.call("tensors", "reshaped", state.residual, state.residual.shape());
            Tensor output = finish(step, new State(residual, null));
            Tensor x = input(step, state, block.norms().mlpIn());
            Tensor weights = mixture.weights(step, mixture.route(step, x));
            return scope.call("refine", "lack", wanted, output, weights, 1 / block.multiplier());
        }
    }

    /** All stages in one go. */
    public Tensor forward(Scope scope, Tensor hidden) {
        return forward(scope, hidden, null);
    }

    /**
     * The same for one more token of each window.
     *
     * @param hidden the block's input, [B, 1, C]
     * @param past of the tokens before, in this block; the token is added to it
     */
    public Tensor forward(Scope scope, Tensor hidden, @Nullable KeyValues past) {
        State state = begin(scope, hidden);
        for (Stage stage : Stage.values()) {
            if (stage != Stage.ATTENTION_IN) {
                state = advance(scope, stage, state, past);
            }
        }
        return finish(scope, state);
    }

    /** What a part of the block reads of the residual stream. */
    private Tensor input(Scope scope, State state, Optional<Norm> norm) {
        return switch (block.residual()) {
            case SEQUENTIAL, PARALLEL -> Parts.norm(scope, state.residual, norm, this::tensor);
            case FROM_NORM, POST_NORM -> state.residual;
        };
    }

    /** The residual stream where one half of the block begins. */
    private Tensor atStart(Scope scope, Tensor hidden, Optional<Norm> norm) {
        return block.residual() == Residual.FROM_NORM
                ? replaced(hidden, Parts.norm(scope, hidden, norm, this::tensor))
                : hidden;
    }

    /** The residual stream where one half of the block ends. */
    private Tensor atEnd(Scope scope, Tensor sum, Optional<Norm> norm) {
        return block.residual() == Residual.POST_NORM ? replaced(sum, Parts.norm(scope, sum, norm, this::tensor)) : sum;
    }

    /** What the attention gives to the residual stream. */
    private Tensor attentionOutput(Scope scope, Tensor carried) {
        Tensor y = linear(scope, carried, block.attention().output());
        return block.residual() == Residual.POST_NORM
                ? y
                : Parts.norm(scope, y, block.norms().attentionOut(), this::tensor);
    }

    private Tensor added(Scope scope, Tensor residual, Tensor y) {
        return scope.call("decoder", "add_to", residual, y, block.multiplier()); // [B, T, C]
    }

    private Tensor linear(Scope scope, Tensor x, Linear module) {
        return Parts.linear(scope, x, module, this::tensor);
    }

    private Tensor tensor(String name) {
        Tensor tensor = weights.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("Block " + layer + " has no tensor " + name);
        }
        return tensor;
    }

    private static Tensor replaced(Tensor old, Tensor replacement) {
        if (old != replacement) {
            old.close();
        }
        return replacement;
    }
}
