package io.gptq4j.rotation;

import java.util.Arrays;
import java.util.Optional;
import java.util.Random;

/**
 * An orthogonal matrix Q of any size n, applied without being formed: Q = D (A x S). D holds random signs, S is a Sylvester
 * Hadamard matrix, as large a power of two as n allows, and A takes care of the rest of n:
 *
 * <ul>
 *   <li>If n is a power of two, there is none.
 *   <li>Else a Hadamard matrix by {@linkplain Hadamard Paley}, of the smallest order that leaves a power of two. Then every
 *       entry of Q is +-1/sqrt(n), which spreads an outlier as evenly as can be. That covers nearly all hidden sizes in use:
 *       2560 = 20 x 128, 3072 = 12 x 256, 3584 = 28 x 128, 5120 = 20 x 256, 6656 = 104 x 64.
 *   <li>Else a random orthogonal matrix of the odd part's order. Q still mixes all channels, which blocks along the diagonal
 *       would not, and costs n times the odd part per row, not n^2 as one random matrix would; only its entries are not
 *       all of one size.
 * </ul>
 *
 * <p>The same size and seed give the same Q everywhere. Immutable; safe for concurrent use.
 */
final class Rotation {
    private final int size;
    /** D, with the factor that makes Q orthogonal. */
    private final double[] signs;
    /** A; of order 1 if there is none. */
    private final double[][] dense;

    private Rotation(int size, double[] signs, double[][] dense) {
        this.size = size;
        this.signs = signs;
        this.dense = dense;
    }

    /** The matrix of this size and seed. */
    static Rotation of(int size, long seed) {
        Random random = new Random(seed);
        double[] signs = new double[size];
        for (int i = 0; i < size; i++) {
            signs[i] = random.nextBoolean() ? 1 : -1;
        }
        int powerOfTwo = Integer.lowestOneBit(size);
        int odd = size / powerOfTwo;
        double[][] dense = {{1}};
        double scale = size;
        if (odd > 1) {
            Optional<double[][]> hadamard = Optional.empty();
            for (int factor = 4; factor <= powerOfTwo && hadamard.isEmpty(); factor *= 2) {
                hadamard = Hadamard.paley(odd * factor);
            }
            dense = hadamard.orElseGet(() -> orthogonal(odd, random));
            scale = hadamard.isPresent() ? size : powerOfTwo;
        }
        for (int i = 0; i < size; i++) {
            signs[i] /= Math.sqrt(scale);
        }
        return new Rotation(size, signs, dense);
    }

    /** n. */
    int size() {
        return size;
    }

    /**
     * Replaces each of some vectors v by v Q, which is Q^T v for a column. Vectors stand side by side, element i of vector c
     * at {@code i * count + c}, so that one is a row of a matrix on its side, or several columns are a strip of one.
     *
     * @param vectors of n * {@code count} elements, or more
     * @param scratch as long; overwritten
     */
    void apply(double[] vectors, double[] scratch, int count) {
        for (int i = 0; i < size; i++) {
            for (int c = i * count; c < (i + 1) * count; c++) {
                vectors[c] *= signs[i];
            }
        }
        int order = dense.length;
        int run = size / order * count; // elements that one row of A multiplies alike
        for (int part = 0; part < order; part++) {
            sylvester(vectors, part * run, run, count);
        }
        if (order == 1) {
            return;
        }
        System.arraycopy(vectors, 0, scratch, 0, size * count);
        Arrays.fill(vectors, 0, size * count, 0);
        for (int from = 0; from < order; from++) {
            for (int to = 0; to < order; to++) {
                add(vectors, to * run, dense[from][to], scratch, from * run, run);
            }
        }
    }

    /** Fast Walsh-Hadamard transform over a run of vectors' elements. */
    private static void sylvester(double[] values, int start, int length, int count) {
        for (int half = count; half < length; half *= 2) {
            for (int first = start; first < start + length; first += 2 * half) {
                for (int i = first; i < first + half; i++) {
                    double a = values[i];
                    double b = values[i + half];
                    values[i] = a + b;
                    values[i + half] = a - b;
                }
            }
        }
    }

    private static void add(double[] target, int to, double factor, double[] source, int from, int length) {
        for (int i = 0; i < length; i++) {
            target[to + i] += factor * source[from + i];
        }
    }

    /** Gaussian rows made orthonormal, each one twice, since once loses digits. */
    private static double[][] orthogonal(int order, Random random) {
        double[][] rows = new double[order][order];
        for (int r = 0; r < order; r++) {
            for (int i = 0; i < order; i++) {
                rows[r][i] = random.nextGaussian();
            }
            for (int pass = 0; pass < 2; pass++) {
                for (int before = 0; before < r; before++) {
                    add(rows[r], 0, -dot(rows[r], rows[before]), rows[before], 0, order);
                }
            }
            double norm = Math.sqrt(dot(rows[r], rows[r]));
            for (int i = 0; i < order; i++) {
                rows[r][i] /= norm;
            }
        }
        return rows;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
