package io.gptq4j.gptq;

import io.gptq4j.model.DecoderBlock;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;

/**
 * How the outputs of one module group fall short of the float model's because of what has been quantized before it: D =
 * sum x (y~ - y)^T over the tokens that the group has seen. y is what the group's own float weights make of its input x in
 * the quantized model; y~ is what they make of the float model's input x~. For modules that write to the residual stream
 * both count with the stream; an expert takes its share of what the mixture lacks. With the Hessian, D gives the weights that
 * undo the drift as far as x allows: W + D^T H^-1 is the least-squares solution for y~ given x. The idea of an asymmetric objective: GPTAQ (Li, Yin, Lee, Panda 2025, arXiv
 * 2504.02692); in full and beyond one layer: Qronos (Zhang, Zhang, Colbert, Saab 2025, arXiv 2505.11695).
 *
 * <p>Accumulated unnormalised in float32 on the session's device, [in, rows], the modules side by side.
 */
final class Drift implements AutoCloseable {
    private final Scope scope;
    private final Tensor sum; // [in, rows]

    /** None yet, for modules with {@code in} inputs and together {@code rows} outputs; owned by {@code scope}. */
    Drift(Scope scope, int in, int rows) {
        this.scope = scope;
        this.sum = scope.zeros(in, rows);
    }

    /**
     * Adds some tokens.
     *
     * @param x the group's input in the quantized model, [..., in]
     * @param exact the same in the float model
     * @param weights the float weights of the modules, [out, in] each
     */
    void add(Tensor x, Tensor exact, List<Tensor> weights) {
        scope.call("refine", "add_drift", sum, x, exact, weights).close();
    }

    /**
     * Adds what the residual stream [..., rows] lacks to which the modules' outputs on the same {@code x} are added.
     *
     * @param factor what of the outputs makes one of the stream
     */
    void addResidual(Tensor x, Tensor residual, Tensor exact, double factor) {
        scope.call("refine", "add_residual_drift", sum, x, residual, exact, factor)
                .close();
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

    /** A view of some rows' part, [in, end - start], owned by {@code target}. */
    Tensor rows(Scope target, long start, long end) {
        return target.call("refine", "part", sum, start, end);
    }

    /** Frees the sum. */
    @Override
    public void close() {
        sum.close();
    }
}
