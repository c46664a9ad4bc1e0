package io.gptq4j.gptq;

import java.util.List;

/**
 * How the solve of one module went; the modules of a group that have the same options share the figures.
 *
 * @param block the block's number, from 0
 * @param module the module's path
 * @param loss sum of squared errors weighted by the Hessian, per token and output, over all of these
 * @param dampPercent the damping used; more than asked for where the Hessian was not positive definite
 * @param deadColumns inputs that were zero in every calibration token
 * @param tokens calibration tokens seen
 * @param fallbacks what was done instead of what was asked for; empty where all went as it should
 * @param seconds time of their solve, and of the group's forward and Hessian before the first of them
 */
public record ModuleReport(
        int block,
        String module,
        double loss,
        double dampPercent,
        int deadColumns,
        long tokens,
        List<Fallback> fallbacks,
        double seconds) {
    /** Copies the list. */
    public ModuleReport {
        fallbacks = List.copyOf(fallbacks);
    }
}
