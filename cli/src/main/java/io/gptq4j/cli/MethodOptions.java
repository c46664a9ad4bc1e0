package io.gptq4j.cli;

import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.Refinement;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How to quantize. */
final class MethodOptions {
    @Option(
            names = "--bits",
            paramLabel = "N",
            defaultValue = "4",
            description = "2, 3, 4 or 8 (default: ${DEFAULT-VALUE}).")
    private int bits;

    @Option(
            names = "--group-size",
            paramLabel = "N",
            defaultValue = "128",
            description = "Inputs that share a scale: 32, 64, 128, or -1 for all (default: ${DEFAULT-VALUE}).")
    private int groupSize;

    @Option(
            names = "--desc-act",
            negatable = true,
            description = "Solve columns by falling importance, as AutoGPTQ means it: --desc-act alone scatters g_idx,"
                    + " --no-desc-act keeps the order of columns. The default takes that order too, but with static"
                    + " groups, which keeps g_idx trivial.")
    private @Nullable Boolean descAct;

    @Option(
            names = "--static-groups",
            negatable = true,
            description = "Fix all scales before the solve (default, unless --desc-act or --no-desc-act is given).")
    private @Nullable Boolean staticGroups;

    @Option(
            names = "--sym",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description =
                    "Symmetric grid (default); --no-sym fits lopsided weights better, but several servers are slow"
                            + " with it or refuse it.")
    private boolean sym;

    @Option(
            names = "--damp-percent",
            paramLabel = "X",
            defaultValue = "0.01",
            description = "Damping, as a fraction of the Hessian's mean diagonal (default: ${DEFAULT-VALUE}).")
    private double dampPercent;

    @Option(
            names = "--mse",
            arity = "0..1",
            paramLabel = "EXP",
            defaultValue = "0",
            fallbackValue = "2.4",
            description = "Search a tighter grid by the error to this power; without a number 2.4 (default: off).")
    private double mse;

    @Option(
            names = "--blocksize",
            paramLabel = "N",
            defaultValue = "128",
            description = "Columns between two updates of the rest (default: ${DEFAULT-VALUE}).")
    private int blocksize;

    @Option(
            names = "--float-target",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description =
                    "Let each module aim at what the float model computes, errors before it included (default); costs a"
                            + " second pass of the calibration text.")
    private boolean floatTarget;

    @Option(
            names = "--grid-search",
            negatable = true,
            fallbackValue = "true",
            description = "Search each symmetric static grid for the scale with the least error (default with"
                    + " --float-target); not with --mse.")
    private @Nullable Boolean gridSearch;

    @Option(
            names = "--sweeps",
            paramLabel = "N",
            description = "Rounds in which codes and scales are improved after the solve (default: 3, or 0 with"
                    + " --no-float-target, where they do not pay).")
    private @Nullable Integer sweeps;

    @Option(
            names = "--autogptq-exact",
            description = "Follow AutoGPTQ's arithmetic step by step, its weaknesses included; for comparisons.")
    private boolean reference;

    /**
     * The same for the engine.
     *
     * @throws IllegalArgumentException if a value is out of its range
     */
    GptqOptions gptq() {
        boolean actOrder = descAct == null || descAct;
        boolean fixedGroups = staticGroups == null ? descAct == null : staticGroups;
        return new GptqOptions(
                bits, groupSize, sym, actOrder, fixedGroups, dampPercent, mse, blocksize, reference, refinement());
    }

    private Refinement refinement() {
        return reference
                ? Refinement.NONE
                : new Refinement(
                        floatTarget,
                        gridSearch == null ? floatTarget : gridSearch,
                        sweeps != null ? sweeps : floatTarget ? Refinement.DEFAULT.sweeps() : 0);
    }
}
