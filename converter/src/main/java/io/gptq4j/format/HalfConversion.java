package io.gptq4j.format;

import io.gptq4j.safetensors.DType;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Narrows floating elements to binary16: to the nearest, ties to even; tiny values become subnormal or zero. */
final class HalfConversion {
    private HalfConversion() {}

    /** What to do about a finite value beyond binary16: throw. */
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
     * @throws IllegalArgumentException if it is none of them
     */
    static void convert(DType dtype, ByteBuffer source, ByteBuffer target, Overflow overflow) throws IOException {
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
}
