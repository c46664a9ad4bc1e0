package io.gptq4j.model;

import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keys and values that one block has computed for the tokens of some windows so far, rotated and normalized as attention reads
 * them, so that the next token needs no more than its own. Belongs to one thread at a time.
 */
public final class KeyValues {
    private final Scope scope;
    private final int capacity;
    private int length;
    private @Nullable Tensor keys; // [B, K, capacity, D]
    private @Nullable Tensor values; // [B, K, capacity, E]

    /**
     * None yet.
     *
     * @param scope owns them
     * @param capacity how many tokens the windows will have; positions are those of windows of this length
     */
    public KeyValues(Scope scope, int capacity) {
        this.scope = scope;
        this.capacity = capacity;
    }

    /** How many tokens there will be. */
    int capacity() {
        return capacity;
    }

    /** How many tokens there are, which is the position of the next one. */
    int length() {
        return length;
    }

    /**
     * Takes those of the next token in.
     *
     * @param step owns the results
     * @param k [B, K, 1, D]
     * @param v [B, K, 1, E]
     * @param window how many of the last tokens are seen, 0 for all
     * @return views of those seen, the new one last: keys [B, K, S, D] and values [B, K, S, E]
     */
    List<Tensor> with(Scope step, Tensor k, Tensor v, int window) {
        if (length == capacity) {
            throw new IllegalStateException("There is room for " + capacity + " tokens");
        }
        if (keys == null || values == null) {
            keys = scope.call("decoder", "room", k, capacity);
            values = scope.call("decoder", "room", v, capacity);
        }
        int start = window > 0 ? Math.max(0, length + 1 - window) : 0;
        List<Tensor> seen = List.of(
                step.call("decoder", "kept", keys, k, length, start),
                step.call("decoder", "kept", values, v, length, start));
        length++;
        return seen;
    }
}
