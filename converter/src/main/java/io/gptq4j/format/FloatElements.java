package io.gptq4j.format;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import java.nio.ByteBuffer;

/** Elements of floating tensors as numbers. */
public final class FloatElements {
    private FloatElements() {}

    /**
     * The exact value of the next element of a buffer, which is little-endian.
     *
     * @param dtype F16, BF16, F32 or F64
     * @throws IllegalArgumentException if it is none of them
     */
    public static double next(DType dtype, ByteBuffer source) {
        return switch (dtype) {
            case F16 -> Half.toFloat(source.getShort());
            case BF16 -> Float.intBitsToFloat(source.getShort() << 16);
            case F32 -> source.getFloat();
            case F64 -> source.getDouble();
            default -> throw new IllegalArgumentException(dtype + " is no floating type of weights");
        };
    }
}
