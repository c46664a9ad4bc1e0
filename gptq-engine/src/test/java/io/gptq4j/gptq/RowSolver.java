package io.gptq4j.gptq;

/**
 * The column loop of GPTQ for one row, in plain Java: an independent restatement of the paper's algorithm 1 with given
 * U, grids and order, against which the tensor kernel is checked. No blocks: each error goes to all columns after it at
 * once. What is left of a weight is kept in double precision, so that the order of the sums does not matter.
 */
final class RowSolver {
    private RowSolver() {}

    /**
     * Quantizes one row.
     *
     * @param w the weights in solve order; not changed
     * @param u upper factor of the inverse Hessian, [in][in], in solve order
     * @param groups the group of every column, in solve order
     * @param scale one per group
     * @param zero one per group
     * @return the codes in solve order
     */
    static int[] solve(float[] w, float[][] u, int[] groups, float[] scale, float[] zero, int maxq) {
        int in = w.length;
        double[] rest = new double[in];
        for (int i = 0; i < in; i++) {
            rest[i] = w[i];
        }
        int[] codes = new int[in];
        for (int i = 0; i < in; i++) {
            float s = scale[groups[i]];
            float z = zero[groups[i]];
            double code = Math.min(Math.max(Math.rint(rest[i] / s) + z, 0), maxq);
            codes[i] = (int) code;
            double err = (rest[i] - s * (code - z)) / u[i][i];
            for (int j = i + 1; j < in; j++) {
                rest[j] -= u[i][j] * err;
            }
        }
        return codes;
    }
}
