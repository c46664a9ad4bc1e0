package io.gptq4j.gptq;

/**
 * What makes a better result than the paper's algorithm, in the same format; {@code docs/quality.md} has what each is worth.
 *
 * @param floatTarget whether modules aim at what the float model computes, rather than at what their own weights would make
 *     of the quantized model's input; see {@link Drift}. Takes a second, float stream of the calibration windows
 * @param gridSearch whether symmetric static grids are searched for, with a weight for what each column's error will cost,
 *     and may point either way: a scale may be negative
 * @param sweeps rounds of coordinate descent over codes and scales after the solve
 */
public record Refinement(boolean floatTarget, boolean gridSearch, int sweeps) {
    /** The paper's algorithm and no more. */
    public static final Refinement NONE = new Refinement(false, false, 0);

    /** What is worth its time in all cases that were measured. */
    public static final Refinement DEFAULT = new Refinement(true, true, 3);

    /** The exponent of the grid search's weights; see {@code searched} in {@code refine.py}. */
    static final double GRID_BETA = 0.25;

    /**
     * Checks the number.
     *
     * @throws IllegalArgumentException if it is negative or beyond any use
     */
    public Refinement {
        if (sweeps < 0 || sweeps > 100) {
            throw new IllegalArgumentException("sweeps must lie between 0 (off) and 100, not " + sweeps);
        }
    }

    /**
     * Matrices [in, rows] in float32 that a solve has in memory together: weights and codes; the weights and two of drifts, one
     * of them ordered; or slopes, codes as integers and as they are computed with.
     */
    public int matrices() {
        return floatTarget || sweeps > 0 ? 3 : 2;
    }
}
