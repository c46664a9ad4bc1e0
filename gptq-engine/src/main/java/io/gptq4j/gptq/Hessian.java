package io.gptq4j.gptq;

import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;

/**
 * The layer Hessian H = 2/n sum x x^T over the n tokens seen by one module group (GPTQ, section 3.1). One matrix
 * serves all modules that read the same input. Accumulated unnormalised in float32 on the session's device.
 */
public final class Hessian {
    private final Scope scope;
    private final Tensor sum; // [in, in]
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
        scope.call("gptq", "accumulate", sum, x).close();
        tokens += count;
    }

    /** The unnormalised sum of x x^T, [in, in] float32. */
    Tensor sum() {
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
}
