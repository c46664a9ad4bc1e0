package io.gptq4j.format;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Narrows floating elements to 16 bits: to the nearest, ties to even; tiny values become subnormal or zero. */
final class HalfConversion {
    private HalfConversion() {}

    /** What to do about a finite value beyond F16, which BF16 does not know: throw. */
    @FunctionalInterface
    interface Overflow {
        /**
         * @param index of the element, counted from the first one converted
         * @param value the element
         */
        void at(int index, double value) throws IOException;
    }

    /**
     * Converts all that remains in {@code source}; infinities and NaNs stay what they are. Both buffers are
     * little-endian.
     *
     * @param dtype F16, BF16, F32 or F64
     * @param wanted F16, or BF16 for elements of type F32
     * @throws IllegalArgumentException if it is none of them
     */
    static void convert(DType dtype, ByteBuffer source, DType wanted, ByteBuffer target, Overflow overflow)
            throws IOException {
        if (wanted == DType.BF16) {
            while (source.hasRemaining()) {
                target.putShort(brain((float) FloatElements.next(dtype, source)));
            }
            return;
        }
        int count = source.remaining() / (dtype.bits() / 8);
        for (int index = 0; index < count; index++) {
            double value = FloatElements.next(dtype, source);
            short half = Half.fromDouble(value);
            if ((half & 0x7fff) == 0x7c00 && Double.isFinite(value)) {
                overflow.at(index, value);
            }
            target.putShort(half);
        }
    }

    private static short brain(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (Float.isNaN(value) ? bits >>> 16 | 0x40 : (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
    }
}
