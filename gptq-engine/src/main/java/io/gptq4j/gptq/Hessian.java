package io.gptq4j.gptq;

import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;

/**
 * The layer Hessian H = 2/n sum x x^T over the n tokens seen by one module group (GPTQ, section 3.1). One matrix
 * serves all modules that read the same input. Accumulated unnormalised in float32 on the session's device, whatever
 * the type of x: the sum over many tokens is what a shorter type could not hold. As the matrix is symmetric, only its
 * upper triangle is summed up.
 */
public final class Hessian implements AutoCloseable {
    /** Lines of the smallest products; measured: smaller ones save work that they do not do any faster. */
    private static final int CPU_BASE = 128;

    private static final int GPU_BASE = 2048;

    private final Scope scope;
    private final Tensor sum; // [in, in], the upper triangle
    private long tokens;

    /** An empty Hessian for {@code in} inputs, owned by {@code scope}. */
    public Hessian(Scope scope, int in) {
        this.scope = scope;
        this.sum = scope.zeros(in, in);
    }

    /** Adds the tokens of x [..., in]. */
    public void add(Tensor x) {
        long count = 1;
        long[] shape = x.shape();
        for (int axis = 0; axis < shape.length - 1; axis++) {
            count *= shape[axis];
        }
        scope.call("gptq", "accumulate", sum, x, scope.isGpu() ? GPU_BASE : CPU_BASE)
                .close();
        tokens += count;
    }

    /** Adds the tokens that another one has seen, which may be on another device. */
    public void add(Hessian other) {
        try (Scope step = scope.child()) {
            step.call("gptq", "add_to", sum, other.sum.copyTo(step));
        }
        tokens += other.tokens;
    }

    /** The unnormalised sum of x x^T, [in, in] float32; owned by this. */
    Tensor sum() {
        scope.call("gptq", "mirrored", sum).close();
        return sum;
    }

    /** Number of inputs. */
    public int size() {
        return Math.toIntExact(sum.size(0));
    }

    /** Tokens accumulated so far. */
    public long tokens() {
        return tokens;
    }

    /** Frees the matrix. */
    @Override
    public void close() {
        sum.close();
    }
}
