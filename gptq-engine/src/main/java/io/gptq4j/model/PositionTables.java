package io.gptq4j.model;

import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The position-dependent constants of a model's attention, made on first use and kept for all blocks. Windows of one model
 * have few different lengths; each gets tables of its own, since frequencies may depend on the length.
 */
final class PositionTables {
    private final Scope scope;
    private final FloatType type;
    private final Map<RotationKey, Rotation> rotations = new HashMap<>();
    private final Map<MaskKey, Tensor> masks = new HashMap<>();
    private final Map<SlopesKey, Tensor> slopes = new HashMap<>();

    PositionTables(Scope scope, FloatType type) {
        this.scope = scope;
        this.type = type;
    }

    private record RotationKey(Position.Rotary rotary, int length) {}

    private record MaskKey(int length, int window) {}

    private record SlopesKey(int heads, double largest) {}

    /** cos and sin of every position and channel, each [T, channels]. */
    record Rotation(Tensor cos, Tensor sin) {}

    /** The rotary tables for windows of {@code length} tokens. */
    Rotation rotation(Position.Rotary rotary, int length) {
        return rotations.computeIfAbsent(new RotationKey(rotary, length), key -> {
            try (Scope step = scope.child()) {
                float[] plain = step.call(
                                "decoder", "inverse_frequencies", step.zeros(1), rotary.theta(), rotary.channels())
                        .toFloats();
                float[] used = rotary.scaling().frequencies(plain, rotary.theta(), length);
                List<Tensor> tables = scope.callAll(
                        "decoder",
                        "rotary_tables",
                        step.floats(used, used.length),
                        length,
                        rotary.scaling().attentionFactor(),
                        rotary.interleaved(),
                        type);
                return new Rotation(tables.get(0), tables.get(1));
            }
        });
    }

    /** Which of {@code length} keys each query sees, if it looks {@code window} positions back; bool [T, T]. */
    Tensor mask(int length, int window) {
        return masks.computeIfAbsent(new MaskKey(length, window), key -> {
            try (Scope step = scope.child()) {
                return scope.call("decoder", "window_mask", step.zeros(1), length, window);
            }
        });
    }

    /** ALiBi's slopes, [H], as float32. */
    Tensor slopes(int heads, double largest) {
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
