package io.gptq4j.gptq;

import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How the outputs of one module group fall short of the float model's because of what has been quantized before it: D =
 * sum x (y~ - y)^T over the tokens that the group has seen. y is what the group's own float weights make of its input x in
 * the quantized model; y~ is what they make of the float model's input x~. For modules that write to the residual stream
 * both count with the stream; an expert takes its share of what the mixture lacks. With the Hessian, D gives the weights that
 * undo the drift as far as x allows: W + D^T H^-1 is the least-squares solution for y~ given x. The idea of an asymmetric
 * objective: GPTAQ (Li, Yin, Lee, Panda 2025, arXiv 2504.02692); in full and beyond one layer: Qronos (Zhang, Zhang, Colbert,
 * Saab 2025, arXiv 2505.11695).
 *
 * <p>Accumulated unnormalised in float32 on the session's device. Where y differs by the input alone, D = C W^T with C = sum x (x~ -
 * x)^T, which takes 2 in^2 operations for a token where the sum itself takes 4 in rows; so modules that have many outputs and
 * write to no stream have C summed up, and share it.
 */
public final class Drift implements AutoCloseable {
    private final Scope scope;
    private final boolean crossed;
    private final Tensor sum; // C [in, in], or D [in, rows], the modules side by side

    /** None yet, for a group that has a target; owned by {@code scope}. */
    Drift(Scope scope, ModuleGroup group) {
        this.scope = scope;
        this.crossed = isCrossed(group);
        this.sum = scope.zeros(group.in(), columns(group));
    }

    /** Whether C is summed up for a group, and not D itself. */
    public static boolean isCrossed(ModuleGroup group) {
        boolean writes = group.stage() == Stage.ATTENTION_OUT || group.stage() == Stage.MLP_OUT;
        return !writes && group.in() <= 2L * group.rows();
    }

    /** Columns of the sum, whose rows are the inputs. */
    static long columns(ModuleGroup group) {
        return isCrossed(group) ? group.in() : group.rows();
    }

    /** A residual stream [..., rows] to which modules' outputs are added, in the quantized model and in the float model. */
    record Streams(Tensor given, Tensor exact, double factor) {}

    /**
     * Adds some tokens.
     *
     * @param x the group's input in the quantized model, [..., in]
     * @param exact the same in the float model
     * @param weights the float weights of the modules, [out, in] each
     * @param streams what the outputs are added to, {@code factor} being what of them makes one of it; null if that is nothing
     */
    void add(Tensor x, Tensor exact, List<Tensor> weights, @Nullable Streams streams) {
        if (crossed) {
            scope.call("refine", "add_crossed", sum, x, exact).close();
            return;
        }
        List<Tensor> both = streams == null ? List.of() : List.of(streams.exact, streams.given);
        double factor = streams == null ? 1 : streams.factor;
        scope.call("refine", "add_drift", sum, x, exact, weights, both, factor).close();
    }

    /**
     * Adds what the outputs of an expert lack, as a part of a mixture.
     *
     * @param x its inputs, each times its weight, [n, in]
     * @param lack {@link DecoderBlock#lack}, of all tokens
     */
    void addLack(Tensor x, Tensor lack, DecoderBlock.Share share) {
        scope.call("refine", "add_lack", sum, x, lack, share.tokens(), share.weights())
                .close();
    }

    /** Adds what another one has seen, which may be on another device. */
    void add(Drift other) {
        try (Scope step = scope.child()) {
            step.call("gptq", "add_to", sum, other.sum.copyTo(step), 1.0);
        }
    }

    /**
     * The drift of some rows of one module, [in, to - from], owned by {@code target} and on its device.
     *
     * @param weight its float weight, on that device
     * @param start which of the group's rows is the module's first
     */
    Tensor of(Scope target, Tensor weight, long from, long to, long start) {
        try (Scope step = target.child()) {
            Tensor own = crossed
                    ? step.call(
                            "refine", "crossed_drift", sum.copyTo(step), step.call("refine", "lines", weight, from, to))
                    : step.call("refine", "part", sum, start + from, start + to).copyTo(step);
            return own.moveTo(target);
        }
    }

    /** Frees the sum. */
    @Override
    public void close() {
        sum.close();
    }
}
