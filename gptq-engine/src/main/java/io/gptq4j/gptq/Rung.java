package io.gptq4j.gptq;

import io.gptq4j.gptq.Fallback.Remedy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A rung of the ladder: another diagonal for a Hessian that has no Cholesky factor with its own. Off the diagonal a Hessian
 * is what was measured; a factor fails because rounding made eigenvalues negative that are small, and that is mended
 * gently first.
 *
 * @param remedy which kind of rung
 * @param damp is added to all entries, as a share of their mean
 * @param floor the least entry before damping, as a share of the mean
 * @param prior times the entry itself is added to each
 */
record Rung(Remedy remedy, double damp, double floor, double prior) {
    private static final double DAMP_FACTOR = 4;

    /**
     * Where damping ends: it is relative to the mean, which few outlying channels dominate, so that a third of it drowns what
     * is known of all the others. Measured at 3 and 4 bits, 0.3 costs two to four times the error of 0.01.
     */
    private static final double DAMP_LIMIT = 0.25;

    /** The small entries alone: the columns that matter most keep their H. */
    private static final double[] FLOORS = {0.0625, 0.25, 1};

    /**
     * With D the diagonal and C = D^-1/2 H D^-1/2, H + t D has a factor where C + t I has, whatever the channels' sizes: the
     * shrinkage of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004. It ends
     * where columns hardly know of each other, which is next to rounding.
     */
    private static final double[] PRIORS = {0.25, 1, 4, 16};

    /** What is tried, in this order; the first is what was asked for. After the last there is only rounding to nearest. */
    static List<Rung> ladder(double dampPercent) {
        List<Rung> rungs = new ArrayList<>();
        rungs.add(new Rung(Remedy.DAMPING, dampPercent, 0, 0));
        for (double damp = DAMP_FACTOR * dampPercent; damp <= DAMP_LIMIT; damp *= DAMP_FACTOR) {
            rungs.add(new Rung(Remedy.DAMPING, damp, 0, 0));
        }
        for (double floor : FLOORS) {
            rungs.add(new Rung(Remedy.DIAGONAL_FLOOR, dampPercent, floor, 0));
        }
        for (double prior : PRIORS) {
            rungs.add(new Rung(Remedy.DIAGONAL_PRIOR, dampPercent, 0, prior));
        }
        return rungs;
    }

    /** This rung's diagonal, in the given order. */
    float[] diagonal(double[] diagonal, int[] order) {
        double mean = Arrays.stream(diagonal).average().orElseThrow();
        float added = (float) (damp * mean);
        float[] entries = new float[order.length];
        for (int k = 0; k < order.length; k++) {
            double entry = Math.max(diagonal[order[k]], floor * mean) * (1 + prior);
            entries[k] = (float) entry + added;
        }
        return entries;
    }

    /** As a row of the report. */
    Fallback fallback() {
        double amount = switch (remedy) {
            case DIAGONAL_FLOOR -> floor;
            case DIAGONAL_PRIOR -> prior;
            default -> damp;
        };
        return new Fallback(Fallback.Cause.NOT_POSITIVE_DEFINITE, remedy, amount);
    }
}
