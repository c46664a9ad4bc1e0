package io.gptq4j.safetensors;

/** Conversion between float32 and IEEE 754 binary16, which Java 17 lacks. */
public final class Half {
    private Half() {}

    /** The exact float value of a binary16 bit pattern. */
    public static float toFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = half >>> 10 & 0x1f;
        int fraction = half & 0x3ff;
        if (exponent == 0x1f) {
            return Float.intBitsToFloat(sign | 0x7f800000 | fraction << 13);
        }
        if (exponent == 0) { // zero or subnormal: fraction * 2^-24, exact in float
            float magnitude = fraction * 0x1p-24f;
            return sign == 0 ? magnitude : -magnitude;
        }
        return Float.intBitsToFloat(sign | (exponent + 112) << 23 | fraction << 13);
    }

    /** The nearest binary16 bit pattern, ties to even; beyond the range, infinity. */
    public static short fromFloat(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = bits >>> 16 & 0x8000;
        int magnitude = bits & 0x7fffffff;
        if (magnitude > 0x7f800000) { // NaN: keep it a quiet NaN
            return (short) (sign | 0x7e00 | (magnitude >>> 13 & 0x3ff));
        }
        if (magnitude >= 0x477ff000) { // 65520 and more rounds to infinity
            return (short) (sign | 0x7c00);
        }
        if (magnitude < 0x38800000) { // below 2^-14: a multiple of 2^-24; adding 0.5 rounds at that very bit
            float rounded = Float.intBitsToFloat(magnitude) + 0.5f;
            return (short) (sign | (Float.floatToRawIntBits(rounded) - 0x3f000000));
        }
        int odd = magnitude >>> 13 & 1;
        return (short) (sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13));
    }

    /** The nearest binary16 bit pattern, ties to even; beyond the range, infinity. Rounds once, not by way of float. */
    public static short fromDouble(double value) {
        float narrow = (float) value;
        if (narrow == value || Double.isNaN(value)) {
            return fromFloat(narrow);
        }
        // Round to odd: the last bit then says "inexact", and no second rounding can see a tie that is none.
        int bits = Float.floatToRawIntBits(narrow);
        int towardsZero = Math.abs((double) narrow) > Math.abs(value) ? bits - 1 : bits;
        return fromFloat(Float.intBitsToFloat(towardsZero | 1));
    }
}
