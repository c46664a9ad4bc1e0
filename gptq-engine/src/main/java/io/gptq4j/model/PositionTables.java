package io.gptq4j.model;

import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The position-dependent constants of a model's attention, made on first use and kept for all blocks. Those for the window
 * length asked for last are kept, or for a longer one where that makes no difference; so windows that are under way at one time
 * must have one length. Thread-safe.
 */
final class PositionTables {
    private final Scope scope;
    private final FloatType type;
    private final Map<Position.Rotary, Rotation> rotations = new HashMap<>();
    private final Map<Integer, Tensor> masks = new HashMap<>(); // by window
    private final Map<SlopesKey, Tensor> slopes = new HashMap<>();

    PositionTables(Scope scope, FloatType type) {
        this.scope = scope;
        this.type = type;
    }

    private record SlopesKey(int heads, double largest) {}

    /**
     * cos and sin of every position and channel, each [T or more, 1, channels], with the sign of their part in a rotation, and the
     * frequencies that they are made of.
     */
    record Rotation(Tensor cos, Tensor sin, float[] plain, float[] used) {}

    /** The rotary tables for windows of {@code length} tokens. */
    synchronized Rotation rotation(Position.Rotary rotary, int length) {
        Rotation known = rotations.get(rotary);
        try (Scope step = scope.child()) {
            float[] plain = known != null
                    ? known.plain
                    : step.call("decoder", "inverse_frequencies", step.zeros(1), rotary.theta(), rotary.channels())
                            .toFloats();
            float[] used = rotary.scaling().frequencies(plain, rotary.theta(), length);
            if (known != null && known.cos.size(0) >= length && Arrays.equals(known.used, used)) {
                return known;
            }
            List<Tensor> tables = scope.callAll(
                    "decoder",
                    "rotary_tables",
                    step.floats(used, used.length),
                    length,
                    rotary.scaling().attentionFactor(),
                    rotary.interleaved(),
                    type);
            if (known != null) {
                known.cos.close();
                known.sin.close();
            }
            Rotation made = new Rotation(tables.get(0), tables.get(1), plain, used);
            rotations.put(rotary, made);
            return made;
        }
    }

    /** Which of {@code length} keys each query sees, if it looks {@code window} positions back; bool [T, T]. */
    synchronized Tensor mask(int length, int window) {
        Tensor known = masks.get(window);
        if (known != null && known.size(0) == length) {
            return known;
        }
        try (Scope step = scope.child()) {
            Tensor made = scope.call("decoder", "window_mask", step.zeros(1), length, window);
            masks.put(window, made);
            if (known != null) {
                known.close();
            }
            return made;
        }
    }

    /** ALiBi's slopes, [H], as float32. */
    synchronized Tensor slopes(int heads, double largest) {
        return slopes.computeIfAbsent(new SlopesKey(heads, largest), key -> {
            float[] values = alibiSlopes(heads, largest);
            return scope.floats(values, values.length);
        });
    }

    /**
     * The slopes of Press et al. 2021 (arXiv 2108.12409): a geometric sequence from 2^(-8/n) to 2^-8 for n heads, 8 being {@code largest}; where n is no
     * power of two, those of the power below, then every other one of the power above.
     */
    static float[] alibiSlopes(int heads, double largest) {
        int power = Integer.highestOneBit(heads);
        float[] slopes = new float[heads];
        for (int h = 0; h < heads; h++) {
            double exponent = h < power ? largest * (h + 1) / power : largest / 2 * (2 * (h - power) + 1) / power;
            slopes[h] = (float) Math.pow(2, -exponent);
        }
        return slopes;
    }
}
