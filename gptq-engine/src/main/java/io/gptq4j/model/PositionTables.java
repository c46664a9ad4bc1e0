package io.gptq4j.model;

import io.gptq4j.model.Architecture.Attention;
import io.gptq4j.model.Architecture.Rotary;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The position-dependent constants of a model's attention, made on first use and kept for all blocks. */
final class PositionTables {
    private final Scope scope;
    private final Attention attention;
    private final FloatType type;
    private @Nullable Rotation rotation;
    private @Nullable Tensor slopes;

    PositionTables(Scope scope, Attention attention, FloatType type) {
        this.scope = scope;
        this.attention = attention;
        this.type = type;
    }

    /** cos and sin of every position and channel, each [T or more, D]. */
    record Rotation(Tensor cos, Tensor sin) {}

    /** The rotary tables for at least {@code length} positions. */
    Rotation rotation(int length) {
        if (rotation == null || rotation.cos.size(0) < length) {
            Rotary rotary = (Rotary) attention.position();
            int dim = attention.headDim();
            try (Scope step = scope.child()) {
                float[] plain = step.call("decoder", "inverse_frequencies", step.zeros(1), rotary.theta(), dim)
                        .toFloats();
                float[] scaled = rotary.scaling().apply(plain);
                if (rotation != null) {
                    rotation.cos.close();
                    rotation.sin.close();
                }
                List<Tensor> tables = scope.callAll(
                        "decoder", "rotary_tables", step.floats(scaled, scaled.length), length, 1.0, type);
                rotation = new Rotation(tables.get(0), tables.get(1));
            }
        }
        return rotation;
    }

    /** ALiBi's slopes, [H], as float32. */
    Tensor slopes() {
        if (slopes == null) {
            float[] values = alibiSlopes(attention.heads());
            slopes = scope.floats(values, values.length);
        }
        return slopes;
    }

    /**
     * The slopes of Press et al. 2021 (arXiv 2108.12409): a geometric sequence from 2^(-8/n) for n heads; where n is no
     * power of two, those of the power below, then every other one of the power above.
     */
    static float[] alibiSlopes(int heads) {
        int power = Integer.highestOneBit(heads);
        float[] slopes = new float[heads];
        for (int h = 0; h < heads; h++) {
            double exponent = h < power ? 8.0 * (h + 1) / power : 4.0 * (2 * (h - power) + 1) / power;
            slopes[h] = (float) Math.pow(2, -exponent);
        }
        return slopes;
    }
}
