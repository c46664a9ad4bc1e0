package io.gptq4j.model;

import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.Arrays;

/** Quantized linears as the float weights that a server computes from them. */
public final class QuantizedWeights {
    private QuantizedWeights() {}

    /**
     * W[o][i] = scale[gIdx[i]][o] * (codes[o][i] - zero[gIdx[i]][o]), [out, in].
     *
     * @param scope owns the result
     * @param type the type of the result; the arithmetic is float32
     */
    public static Tensor dequantize(Scope scope, QuantizedLinear linear, FloatType type) {
        int out = linear.outFeatures();
        try (Scope step = scope.child()) {
            float[] scales = new float[Math.multiplyExact(linear.groups(), out)];
            float[] zeros = new float[scales.length];
            for (int g = 0; g < linear.groups(); g++) {
                for (int o = 0; o < out; o++) {
                    scales[g * out + o] = Half.toFloat(linear.scales()[g][o]);
                    zeros[g * out + o] = linear.zeros()[g][o] & 0xff;
                }
            }
            return dequantize(
                    scope,
                    step.byteRows(linear.codes()),
                    step.floats(scales, linear.groups(), out),
                    step.floats(zeros, linear.groups(), out),
                    linear.gIdx(),
                    type);
        }
    }

    /**
     * The same of what is on the device already.
     *
     * @param codes [out, in] uint8
     * @param scale [groups, out] float32; rounded to float16 here, which is what an artifact stores
     * @param zero [groups, out] float32
     * @param gIdx the group of every input
     */
    public static Tensor dequantize(Scope scope, Tensor codes, Tensor scale, Tensor zero, int[] gIdx, FloatType type) {
        try (Scope step = scope.child()) {
            Tensor groups = step.longs(Arrays.stream(gIdx).asLongStream().toArray(), gIdx.length);
            return scope.call("tensors", "dequantized", codes, scale, zero, groups, trivialGroup(gIdx), type);
        }
    }

    /** The size of groups that follow one another, the last of which is full; 0 if these groups do not. */
    private static int trivialGroup(int[] gIdx) {
        int group = gIdx.length / (gIdx[gIdx.length - 1] + 1);
        for (int i = 0; i < gIdx.length; i++) {
            if (gIdx[i] != i / group) {
                return 0;
            }
        }
        return gIdx.length % group == 0 ? group : 0;
    }
}
