package io.gptq4j.gptq;

/**
 * How the solve of one module went; the modules of a group that have the same options share the figures.
 *
 * @param block the block's number, from 0
 * @param module the module's path
 * @param loss sum of squared errors weighted by the Hessian, per token and output, over all of these
 * @param dampPercent the damping used; more than asked for where the Hessian was not positive definite, and 1 where the
 *     weights had to be rounded to nearest
 * @param deadColumns inputs that were zero in every calibration token
 * @param tokens calibration tokens seen
 * @param seconds time of their solve, and of the group's forward and Hessian before the first of them
 */
public record ModuleReport(
        int block, String module, double loss, double dampPercent, int deadColumns, long tokens, double seconds) {}
