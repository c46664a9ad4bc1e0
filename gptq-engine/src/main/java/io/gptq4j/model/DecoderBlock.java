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

    /** Reads a block's weights; {@code scope} owns them. */
    static DecoderBlock load(
            Scope scope,
            Architecture architecture,
            int layer,
            ModelWeights weights,
            PositionTables positions,
            FloatType type)
            throws IOException {
        DecoderBlock block = new DecoderBlock(architecture, layer, positions);
        int prefix = architecture.inBlock(layer, "").length();
        for (String name : architecture.blockTensors(layer).keySet()) {
            block.weights.put(name.substring(prefix), weights.load(scope, name, type));
        }
        return block;
    }

    /**
     * What is kept of some windows between two stages.
     *
     * @param residual the residual stream, [B, T, C]
     * @param x the input of the stage's modules, [B, T, in]; may be the residual itself
     */
    public record State(Tensor residual, Tensor x) {
        private void closeInput() {
            if (x != residual) {
                x.close();
            }
        }
    }

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
        return normalised(scope, hidden, architecture.attentionNorm());
    }

    /** From the stage before {@code stage} to it. */
    public State advance(Scope scope, Stage stage, State state) {
        return switch (stage) {
            case ATTENTION_IN -> throw new IllegalArgumentException("A block begins with begin(), not advance()");
            case ATTENTION_OUT -> {
                Tensor attended = attention(scope, state.x);
                state.closeInput();
                yield new State(state.residual, attended);
            }
            case MLP_IN -> {
                Tensor sum = addTo(scope, state, architecture.attention().output());
                if (architecture.residual() == Residual.POST_NORM) {
                    sum = replaced(sum, norm(scope, sum, architecture.attentionNorm()));
                    yield new State(sum, sum);
                }
                yield normalised(scope, sum, architecture.mlpNorm());
            }
            case MLP_OUT -> {
                Tensor activated = mlp(scope, state.x);
                state.closeInput();
                yield new State(state.residual, activated);
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

    private State normalised(Scope scope, Tensor hidden, Norm norm) {
        return switch (architecture.residual()) {
            case PRE_NORM -> new State(hidden, norm(scope, hidden, norm));
            case PRE_NORM_FROM_NORM -> {
                Tensor x = replaced(hidden, norm(scope, hidden, norm));
                yield new State(x, x);
            }
            case POST_NORM -> new State(hidden, hidden);
        };
    }

    /** residual + output(x), which ends both halves of a block. */
    private Tensor addTo(Scope scope, State state, Linear output) {
        try (Tensor y = linear(scope, state.x, output)) {
            Tensor sum = scope.call("decoder", "add", state.residual, y); // [B, T, C]
            state.closeInput();
            state.residual.close();
            return sum;
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
