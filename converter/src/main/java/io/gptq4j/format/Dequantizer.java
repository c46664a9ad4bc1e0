package io.gptq4j.format;

import io.gptq4j.safetensors.Half;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/**
 * Turns a quantized Linear back into float32, one row at a time, so that the caller decides how much of the matrix is
 * in memory. Every value is {@code scale * (code - zero)} with one rounding, in float32.
 *
 * <p>An instance keeps scratch space for one row: not for concurrent use. Several instances may share one module.
 */
public final class Dequantizer {
    private final QuantizedLinear linear;
    private final float[] scales;
    private final int[] zeros;
    private final float[] row;

    /**
     * Prepares the rows of one module.
     *
     * @throws IllegalArgumentException naming the module, if a group index is out of range
     */
    public Dequantizer(QuantizedLinear linear) {
        this.linear = linear;
        scales = new float[linear.groups()];
        zeros = new int[linear.groups()];
        row = new float[linear.inFeatures()];
        QuantizedLinear.requireGroupsInRange(linear.name(), linear.gIdx(), linear.groups());
    }

    /**
     * Puts row {@code output} of the weight, {@code in} floats, at the buffer's position and advances it.
     *
     * @throws IndexOutOfBoundsException if there is no such row
     * @throws java.nio.BufferOverflowException if the buffer has too little space; nothing is written then
     */
    public void row(int output, FloatBuffer target) {
        compute(output);
        target.put(row);
    }

    /**
     * As {@link #row(int, FloatBuffer)}, in the byte order of the buffer: {@code 4 * in} bytes.
     *
     * @throws IndexOutOfBoundsException if there is no such row
     * @throws java.nio.BufferOverflowException if the buffer has too little space; nothing is written then
     */
    public void row(int output, ByteBuffer target) {
        compute(output);
        target.asFloatBuffer().put(row);
        target.position(target.position() + Float.BYTES * row.length);
    }

    private void compute(int output) {
        byte[] codes = linear.codes()[output];
        int[] gIdx = linear.gIdx();
        for (int g = 0; g < scales.length; g++) {
            scales[g] = Half.toFloat(linear.scales()[g][output]);
            zeros[g] = linear.zeros()[g][output] & 0xff;
        }
        for (int i = 0; i < row.length; i++) {
            int g = gIdx[i];
            row[i] = scales[g] * ((codes[i] & 0xff) - zeros[g]);
        }
    }
}
