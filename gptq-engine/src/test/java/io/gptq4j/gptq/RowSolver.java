package io.gptq4j.gptq;

/**
 * The column loop of GPTQ for one row, in plain Java: an independent restatement of the paper's algorithm 1 with given
 * U, grids and order, against which the tensor kernel is checked. Rows do not depend on each other.
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
    static int[] solve(float[] w, float[][] u, int[] groups, float[] scale, float[] zero, int maxq, int blocksize) {
        int in = w.length;
        float[] rest = w.clone();
        float[] err = new float[in];
        int[] codes = new int[in];
        for (int i1 = 0; i1 < in; i1 += blocksize) {
            int i2 = Math.min(i1 + blocksize, in);
            for (int i = i1; i < i2; i++) {
                float s = scale[groups[i]];
                float z = zero[groups[i]];
                float code = (float) Math.rint(rest[i] / s) + z;
                code = Math.min(Math.max(code, 0), maxq);
                codes[i] = (int) code;
                err[i] = (rest[i] - s * (code - z)) / u[i][i];
                for (int j = i + 1; j < i2; j++) {
                    rest[j] -= u[i][j] * err[i];
                }
            }
            for (int j = i2; j < in; j++) {
                double sum = 0; // the kernel's matrix product has its own order of summation
                for (int i = i1; i < i2; i++) {
                    sum += (double) u[i][j] * err[i];
                }
                rest[j] -= (float) sum;
            }
        }
        return codes;
    }
}
