package io.gptq4j.model;

import io.gptq4j.model.Architecture.Alibi;
import io.gptq4j.model.Architecture.Attention;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NoPosition;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.Residual;
import io.gptq4j.model.Architecture.Rotary;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    private final PositionTables positions;
    private final Map<String, Tensor> weights = new HashMap<>(); // by name within the block

    private DecoderBlock(Architecture architecture, int layer, PositionTables positions) {
        this.architecture = architecture;
        this.layer = layer;
        this.positions = positions;
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
     * What is kept of some windows between two stages: no more than it takes to compute the stage's input.
     *
     * @param residual the residual stream, [B, T, C]
     * @param carried what the attention or the activation gave, [B, T, in], until its output module has been applied
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

    /** From the block's input [B, T, C] to the first stage. */
    public State begin(Scope scope, Tensor hidden) {
        return new State(atStart(scope, hidden, architecture.attentionNorm()), null);
    }

    /** The input [B, T, in] that the modules of {@code stage} read; belongs to the state, or to {@code scope}. */
    public Tensor input(Scope scope, Stage stage, State state) {
        if (state.carried != null) {
            return state.carried;
        }
        Norm norm = stage == Stage.ATTENTION_IN ? architecture.attentionNorm() : architecture.mlpNorm();
        return architecture.residual() == Residual.PRE_NORM ? norm(scope, state.residual, norm) : state.residual;
    }

    /** From the stage before {@code stage} to it. */
    public State advance(Scope scope, Stage stage, State state) {
        return switch (stage) {
            case ATTENTION_IN -> throw new IllegalArgumentException("A block begins with begin(), not advance()");
            case ATTENTION_OUT -> {
                try (Scope step = scope.child()) {
                    Tensor x = input(step, Stage.ATTENTION_IN, state);
                    yield new State(state.residual, attention(step, x).moveTo(scope));
                }
            }
            case MLP_IN -> {
                Tensor sum = addTo(scope, state, architecture.attention().output());
                if (architecture.residual() == Residual.POST_NORM) {
                    yield new State(replaced(sum, norm(scope, sum, architecture.attentionNorm())), null);
                }
                yield new State(atStart(scope, sum, architecture.mlpNorm()), null);
            }
            case MLP_OUT -> {
                try (Scope step = scope.child()) {
                    Tensor x = input(step, Stage.MLP_IN, state);
                    yield new State(state.residual, mlp(step, x).moveTo(scope));
                }
            }
        };
    }

    /** From the last stage to the block's output, [B, T, C]. */
    public Tensor finish(Scope scope, State state) {
        Tensor sum = addTo(scope, state, architecture.mlp().output());
        return architecture.residual() == Residual.POST_NORM
                ? replaced(sum, norm(scope, sum, architecture.mlpNorm()))
                : sum;
    }

    /** All stages in one go. */
    public Tensor forward(Scope scope, Tensor hidden) {
        State state = begin(scope, hidden);
        for (Stage stage : Stage.values()) {
            if (stage != Stage.ATTENTION_IN) {
                state = advance(scope, stage, state);
            }
        }
        return finish(scope, state);
    }

    /** The residual stream where one half of the block begins. */
    private Tensor atStart(Scope scope, Tensor hidden, Norm norm) {
        return architecture.residual() == Residual.PRE_NORM_FROM_NORM
                ? replaced(hidden, norm(scope, hidden, norm))
                : hidden;
    }

    /** residual + output(carried), which ends both halves of a block. */
    private Tensor addTo(Scope scope, State state, Linear output) {
        try (Scope step = scope.child();
                Tensor carried = Objects.requireNonNull(state.carried);
                Tensor residual = state.residual) {
            Tensor y = linear(step, carried, output);
            return scope.call("decoder", "add_to", residual, y); // [B, T, C]
        }
    }

    private Tensor attention(Scope scope, Tensor x) {
        Attention attention = architecture.attention();
        try (Scope step = scope.child()) {
            List<Tensor> qkv = switch (attention.projection()) {
                case SEPARATE ->
                    attention.inputs().stream()
                            .map(module -> linear(step, x, module))
                            .toList();
                case FUSED_PER_HEAD -> {
                    Tensor fused = linear(step, x, attention.inputs().get(0)); // [B, T, H * 3 * D]
                    yield step.callAll("decoder", "split_per_head", fused, attention.heads());
                }
            };
            Tensor q = qkv.get(0); // [B, T, H * D]
            Tensor k = qkv.get(1); // [B, T, K * D]
            Tensor v = qkv.get(2); // [B, T, K * D]
            int heads = attention.heads();
            int kvHeads = attention.kvHeads();
            double scale = attention.scale();
            if (attention.position() instanceof Rotary) {
                PositionTables.Rotation table = positions.rotation(Math.toIntExact(x.size(1)));
                return scope.call(
                        "decoder", "rotary_attention", q, k, v, table.cos(), table.sin(), heads, kvHeads, scale);
            } else if (attention.position() instanceof Alibi) {
                return scope.call("decoder", "alibi_attention", q, k, v, positions.slopes(), heads, scale);
            } else if (attention.position() instanceof NoPosition) {
                return scope.call("decoder", "attention", q, k, v, heads, kvHeads, scale);
            }
            throw new IllegalStateException("Unknown position " + attention.position());
        }
    }

    private Tensor mlp(Scope scope, Tensor x) {
        List<Linear> inputs = architecture.mlp().inputs();
        String activation = architecture.mlp().activation().script();
        try (Tensor first = linear(scope, x, inputs.get(0))) {
            if (inputs.size() == 1) {
                return scope.call("decoder", "activate", first, activation); // [B, T, ffn]
            }
            try (Tensor up = linear(scope, x, inputs.get(1))) {
                return scope.call("decoder", "gated", first, up, activation); // [B, T, ffn]
            }
        }
    }

    private Tensor linear(Scope scope, Tensor x, Linear module) {
        return linear(scope, x, module, this::tensor);
    }

    private Tensor norm(Scope scope, Tensor x, Norm norm) {
        return norm(scope, x, norm, this::tensor);
    }

    private Tensor tensor(String name) {
        Tensor tensor = weights.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("Block " + layer + " has no tensor " + name);
        }
        return tensor;
    }

    private static Tensor replaced(Tensor old, Tensor replacement) {
        old.close();
        return replacement;
    }

    /** Where a tensor of a part comes from. */
    interface TensorLookup<E extends Exception> {
        Tensor get(String name) throws E;
    }

    static <E extends Exception> Tensor linear(Scope scope, Tensor x, Linear module, TensorLookup<E> weights) throws E {
        Tensor weight = weights.get(module.name() + ".weight");
        return module.bias()
                ? scope.call("decoder", "linear_with_bias", x, weight, weights.get(module.name() + ".bias"))
                : scope.call("decoder", "linear", x, weight);
    }

    static <E extends Exception> Tensor norm(Scope scope, Tensor x, Norm norm, TensorLookup<E> weights) throws E {
        String name = norm.name();
        return switch (norm.kind()) {
            case RMS -> scope.call("decoder", "rms_norm", x, weights.get(name + ".weight"), norm.eps());
            case LAYER ->
                scope.call(
                        "decoder",
                        "layer_norm",
                        x,
                        weights.get(name + ".weight"),
                        weights.get(name + ".bias"),
                        norm.eps());
            case LAYER_PLAIN -> scope.call("decoder", "plain_layer_norm", x, norm.eps());
        };
    }
}
