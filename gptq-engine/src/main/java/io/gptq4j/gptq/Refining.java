package io.gptq4j.gptq;

import io.gptq4j.gptq.GptqSolver.Factored;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What {@link Refinement} adds to the solve of a portion of rows; the arithmetic is {@code refine.py}. The symbols are those of {@link
 * GptqSolver}.
 */
final class Refining {
    /**
     * How much of a drift is believed: n / (n + 4 in) after n tokens. It is a regression on as many variables as there are
     * inputs, and with few tokens for each of them it fits what is particular to the calibration text.
     */
    private static final double DRIFT_SHRINKAGE = 4;

    private final GptqOptions options;

    Refining(GptqOptions options) {
        this.options = options;
    }

    /** Moves the weights W^T to where the modules' outputs are nearest to the float model's. */
    void aim(Scope work, Factored factored, Portion portion, Tensor w) {
        boolean none = portion.parts().stream().allMatch(part -> part.module().drift() == null);
        if (none || factored.isUnconnected() || factored.scale() != 1) { // drifts are not scaled
            return;
        }
        try (Scope step = work.child()) {
            List<Tensor> drifts = new ArrayList<>();
            for (Portion.Part part : portion.parts()) {
                GptqSolver.Target drift = part.module().drift();
                drifts.add(
                        drift == null
                                ? step.zeros(factored.order().length, part.rows())
                                : drift.rows(step, part.start(), part.end()));
            }
            Tensor drift = step.call("refine", "gathered", drifts, GptqSolver.longs(step, factored.order()));
            double share = 1 / (1 + DRIFT_SHRINKAGE / 2 * factored.factor() * factored.order().length);
            step.call("refine", "aimed", w, factored.u(), drift, factored.factor() * share);
        }
    }

    /**
     * Scales and zero points of all groups of W^T, found by search, both [groups, rows].
     *
     * @param place where in the solve each column has its turn
     */
    List<Tensor> grids(Scope work, Factored factored, Tensor w, int[] place) {
        int group = options.groupSizeFor(place.length);
        return work.callAll(
                "refine",
                "searched",
                w,
                factored.u(),
                members(work, place, group),
                group,
                options.maxq(),
                Refinement.GRID_BETA,
                work.hasThreads());
    }

    /** The columns of the first group, of the second and so on, each group's ascending, by their places in solve order. */
    private static Tensor members(Scope scope, int[] place, int group) {
        int[] members = place.clone();
        for (int start = 0; start < members.length; start += group) {
            Arrays.sort(members, start, Math.min(start + group, members.length));
        }
        return GptqSolver.longs(scope, members);
    }

    /** The slope of the loss at the end of a solve, [in, rows], in the order of the groups; {@code err}, what the solve left, is closed. */
    Tensor slopes(Scope work, Factored factored, Tensor err, int[] place) {
        work.call("refine", "slopes", factored.u(), err).close(); // in place of err
        return options.solvesAcrossGroups() ? GptqSolver.reordered(work, err, place) : err;
    }

    /**
     * Improves codes and scales in place, by coordinate descent.
     *
     * @param slopes {@link #slopes}, which are consumed
     * @param codes [in, rows], in the order of the groups
     * @param grids scales and zero points
     * @param loss what it was
     * @return what it is
     */
    Tensor swept(Scope work, Factored factored, Tensor slopes, Tensor codes, List<Tensor> grids, Tensor loss) {
        return work.call(
                "refine",
                "swept",
                slopes,
                codes,
                factored.u(),
                factored.diagonal(),
                grids.get(0),
                grids.get(1),
                options.groupSizeFor(factored.order().length),
                options.maxq(),
                options.refinement().sweeps(),
                loss,
                work.hasThreads());
    }
}
