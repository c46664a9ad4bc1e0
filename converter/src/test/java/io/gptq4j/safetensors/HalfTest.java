package io.gptq4j.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HalfTest {
    /** The value of a finite pattern by the definition of IEEE 754, in exact arithmetic. */
    private static BigDecimal exact(int half) {
        int exponent = half >> 10 & 0x1f;
        long significand = exponent == 0 ? half & 0x3ff : 0x400 | (half & 0x3ff);
        BigDecimal magnitude =
                BigDecimal.valueOf(significand).multiply(new BigDecimal(Math.scalb(1.0, Math.max(exponent, 1) - 25)));
        return half >= 0x8000 ? magnitude.negate() : magnitude;
    }

    @Test
    void everyFinitePatternHasItsExactValueAndComesBack() {
        for (int half = 0; half < 0x10000; half++) {
            if ((half & 0x7c00) == 0x7c00) {
                continue;
            }
            float value = Half.toFloat((short) half);
            assertThat(new BigDecimal(value)).isEqualByComparingTo(exact(half));
            assertThat(Half.fromFloat(value) & 0xffff).isEqualTo(half);
            assertThat(Half.fromDouble(value) & 0xffff).isEqualTo(half);
        }
    }

    @Test
    void infinitiesAndNaNsStayWhatTheyAre() {
        for (int half = 0; half < 0x10000; half++) {
            if ((half & 0x7c00) != 0x7c00) {
                continue;
            }
            float value = Half.toFloat((short) half);
            if ((half & 0x3ff) == 0) {
                assertThat(value).isEqualTo(half == 0x7c00 ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY);
                assertThat(Half.fromFloat(value) & 0xffff).isEqualTo(half);
                assertThat(Half.fromDouble(value) & 0xffff).isEqualTo(half);
            } else {
                assertThat(value).isNaN();
                assertThat(Half.fromFloat(value) & 0x7e00).isEqualTo(0x7e00);
                assertThat(Half.fromDouble(value) & 0x7e00).isEqualTo(0x7e00);
            }
        }
    }

    @Test
    void roundsToTheNearestPatternAndTiesToEvenSeed42() {
        Random random = new Random(42);
        for (int n = 0; n < 50_000; n++) {
            int exponent = 127 - 30 + random.nextInt(50); // 2^-30 to 2^19: below, within and beyond the range
            float value = Float.intBitsToFloat((random.nextInt() & 0x807fffff) | exponent << 23);
            assertThat(Half.fromFloat(value) & 0xffff)
                    .as("seed 42, value %s", value)
                    .isEqualTo(nearest(value));
        }
    }

    @Test
    void roundsDoublesOnceSeed43() {
        Random random = new Random(43);
        for (int n = 0; n < 10_000; n++) {
            int lower = random.nextInt(0x7bff);
            double tie = (Half.toFloat((short) lower) + (double) Half.toFloat((short) (lower + 1))) / 2;
            for (double value : new double[] {tie, Math.nextUp(tie), Math.nextDown(tie), -tie, -Math.nextUp(tie)}) {
                assertThat(Half.fromDouble(value) & 0xffff)
                        .as("seed 43, value %s", value)
                        .isEqualTo(nearest(value));
            }
        }
        for (double value : new double[] {
            Double.MAX_VALUE,
            -Double.MAX_VALUE,
            Double.MIN_VALUE,
            -Double.MIN_VALUE,
            0.0,
            -0.0,
            65519.99999999999,
            65520.0
        }) {
            assertThat(Half.fromDouble(value) & 0xffff).as("%s", value).isEqualTo(nearest(value));
        }
    }

    @Test
    void roundsKnownValues() {
        assertThat(Half.fromFloat(1f)).isEqualTo((short) 0x3c00);
        assertThat(Half.fromFloat(-2f)).isEqualTo((short) 0xc000);
        assertThat(Half.fromFloat(0.1f)).isEqualTo((short) 0x2e66);
        assertThat(Half.fromFloat(65504f)).isEqualTo((short) 0x7bff);
        assertThat(Half.fromFloat(65519.996f)).isEqualTo((short) 0x7bff);
        assertThat(Half.fromFloat(65520f)).isEqualTo((short) 0x7c00);
        assertThat(Half.fromFloat(0x1p-24f)).isEqualTo((short) 0x0001);
        assertThat(Half.fromFloat(0x1p-25f)).isEqualTo((short) 0x0000);
        assertThat(Half.fromFloat(Math.nextUp(0x1p-25f))).isEqualTo((short) 0x0001);
        assertThat(Half.fromFloat(-0f)).isEqualTo((short) 0x8000);
    }

    /** Binary search over the exact values; a tie goes to the even pattern, 65520 and more to infinity. */
    private static int nearest(double value) {
        int sign = Double.doubleToRawLongBits(value) < 0 ? 0x8000 : 0;
        BigDecimal magnitude = new BigDecimal(Math.abs(value));
        if (magnitude.compareTo(BigDecimal.valueOf(65520)) >= 0) {
            return sign | 0x7c00;
        }
        int low = 0;
        int high = 0x7bff;
        while (low < high) { // the largest pattern not above the magnitude
            int middle = (low + high + 1) / 2;
            if (exact(middle).compareTo(magnitude) <= 0) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        if (low == 0x7bff) {
            return sign | low;
        }
        int side = magnitude.subtract(exact(low)).compareTo(exact(low + 1).subtract(magnitude));
        return sign | (side < 0 || (side == 0 && low % 2 == 0) ? low : low + 1);
    }
}
