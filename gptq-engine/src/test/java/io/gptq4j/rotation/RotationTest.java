package io.gptq4j.rotation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RotationTest {
    /** Q, row by row: what the unit vectors become. */
    private static double[][] matrix(int size, long seed) {
        Rotation rotation = Rotation.of(size, seed);
        double[][] matrix = new double[size][size];
        for (int i = 0; i < size; i++) {
            matrix[i][i] = 1;
            rotation.apply(matrix[i], new double[size], 1);
        }
        return matrix;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    /** Powers of two; both of Paley's kinds; sizes for which there is no matrix or none is known here. */
    @ParameterizedTest(name = "of size {0}, seed 3")
    @ValueSource(ints = {1, 2, 64, 12, 20, 24, 28, 36, 40, 52, 60, 96, 104, 160, 232, 6, 27, 30, 92, 116})
    void isOrthogonal(int size) {
        double[][] matrix = matrix(size, 3);
        for (int i = 0; i < size; i++) {
            for (int j = 0; j < size; j++) {
                assertThat(dot(matrix[i], matrix[j]))
                        .as("rows %d and %d", i, j)
                        .isCloseTo(i == j ? 1 : 0, within(1e-12));
            }
        }
    }

    /** Sizes of the residual stream of published models. */
    @ParameterizedTest(name = "of size {0}, seed 4")
    @ValueSource(ints = {576, 768, 896, 1536, 1600, 2048, 2304, 2560, 3072, 3200, 3584, 3840, 4096, 5120, 6656, 7168})
    void spreadsEveryChannelEvenly(int size) {
        Rotation rotation = Rotation.of(size, 4);
        for (int channel : new int[] {0, 1, size / 3, size - 1}) {
            double[] vector = new double[size];
            vector[channel] = 1;
            rotation.apply(vector, new double[size], 1);
            for (int i = 0; i < size; i++) {
                assertThat(Math.abs(vector[i]))
                        .as("%d to %d", channel, i)
                        .isCloseTo(1 / Math.sqrt(size), within(1e-12));
            }
        }
    }

    @ParameterizedTest(name = "of size {0} and seed {1}, in strips of {2}")
    @CsvSource({"48, 1, 3", "64, 2, 5", "30, 3, 2"})
    void treatsVectorsSideBySideAsOneByOne(int size, long seed, int count) {
        Rotation rotation = Rotation.of(size, seed);
        Random random = new Random(seed);
        double[] strip = random.doubles((long) size * count).toArray();
        double[][] single = new double[count][size];
        for (int i = 0; i < size * count; i++) {
            single[i % count][i / count] = strip[i];
        }
        rotation.apply(strip, new double[strip.length], count);
        for (int c = 0; c < count; c++) {
            rotation.apply(single[c], new double[size], 1);
            for (int i = 0; i < size; i++) {
                assertThat(strip[i * count + c])
                        .as("vector %d, element %d", c, i)
                        .isEqualTo(single[c][i]);
            }
        }
    }

    @Test
    void isTheSameForOneSeedAndAnotherForTheNext() {
        assertThat(matrix(24, 7)).isDeepEqualTo(matrix(24, 7));
        assertThat(Arrays.deepEquals(matrix(24, 7), matrix(24, 8))).isFalse();
        assertThat(Arrays.deepEquals(matrix(30, 7), matrix(30, 8))).isFalse();
    }
}
