package io.gptq4j.rotation;

import java.util.Optional;

/**
 * Hadamard matrices that no doubling gives: entries +1 and -1, rows orthogonal. From quadratic residues modulo a prime q,
 * by R.E.A.C. Paley, On Orthogonal Matrices, J. Math. Phys. 12 (1933): order q + 1 where q is 3 modulo 4, and 2(q + 1)
 * where q is 1 modulo 4.
 */
final class Hadamard {
    private Hadamard() {}

    /** A matrix of this order, [order, order], if one of the two constructions gives it. */
    static Optional<double[][]> paley(int order) {
        if (order % 4 == 0 && isPrime(order - 1)) {
            return Optional.of(first(order - 1));
        }
        if (order % 4 == 0 && (order / 2 - 1) % 4 == 1 && isPrime(order / 2 - 1)) {
            return Optional.of(second(order / 2 - 1));
        }
        return Optional.empty();
    }

    /** I + C, where C is {@link #conference} and skew. */
    private static double[][] first(int q) {
        double[][] matrix = conference(q, -1);
        for (int i = 0; i <= q; i++) {
            matrix[i][i] = 1;
        }
        return matrix;
    }

    /** Each entry c of the symmetric {@link #conference} becomes c [[1, 1], [1, -1]], a zero [[1, -1], [-1, -1]]. */
    private static double[][] second(int q) {
        double[][] entries = conference(q, 1);
        double[][] matrix = new double[2 * q + 2][2 * q + 2];
        for (int i = 0; i <= q; i++) {
            for (int j = 0; j <= q; j++) {
                double c = entries[i][j];
                matrix[2 * i][2 * j] = c == 0 ? 1 : c;
                matrix[2 * i][2 * j + 1] = c == 0 ? -1 : c;
                matrix[2 * i + 1][2 * j] = c == 0 ? -1 : c;
                matrix[2 * i + 1][2 * j + 1] = c == 0 ? -1 : -c;
            }
        }
        return matrix;
    }

    /**
     * Order q + 1: zeros on the diagonal, ones in the first row, {@code below} in the first column, and elsewhere whether
     * i - j is a square modulo q.
     */
    private static double[][] conference(int q, int below) {
        double[] residue = new double[q];
        for (int i = 1; i < q; i++) {
            residue[i] = -1;
        }
        for (long i = 1; i < q; i++) {
            residue[(int) (i * i % q)] = 1;
        }
        double[][] matrix = new double[q + 1][q + 1];
        for (int i = 1; i <= q; i++) {
            matrix[0][i] = 1;
            matrix[i][0] = below;
            for (int j = 1; j <= q; j++) {
                matrix[i][j] = residue[Math.floorMod(i - j, q)];
            }
        }
        return matrix;
    }

    private static boolean isPrime(int number) {
        for (int divisor = 2; (long) divisor * divisor <= number; divisor++) {
            if (number % divisor == 0) {
                return false;
            }
        }
        return number > 1;
    }
}
