package io.gptq4j.gptq;

import io.gptq4j.format.ModuleRule;

/**
 * How to quantize, under AutoGPTQ's names. {@link #defaults()} is the safest artifact: 4 bits, symmetric, groups of
 * 128 with static grids solved in act-order, so that {@code g_idx} stays trivial and every server's fast kernel fits.
 *
 * @param bits code width: 2, 3, 4 or 8
 * @param groupSize inputs that share a scale: 32, 64, 128 or another multiple of 8; -1 for one per output
 * @param sym whether the grid is symmetric, all zero points 2^(bits-1)
 * @param actOrder whether columns are solved by falling diagonal of the Hessian
 * @param staticGroups whether all grids are made before the solve, from the original weights and column order; with
 *     {@code actOrder} but without this, {@code g_idx} is scattered and the artifact says {@code desc_act: true}
 * @param dampPercent damping, as a fraction of the Hessian's mean diagonal; between 0 and 1
 * @param mse exponent of the search for a tighter grid (2.4 is customary); 0 takes the full range
 * @param blocksize columns between two updates of the rest of the matrix; 128 in the paper
 * @param reference whether to follow AutoGPTQ's operations one by one: scales in float32 during the solve, dead columns
 *     set to zero, one-sided symmetric groups left unmirrored, and the factor by its three operations
 * @param refinement what goes beyond the paper's algorithm
 */
public record GptqOptions(
        int bits,
        int groupSize,
        boolean sym,
        boolean actOrder,
        boolean staticGroups,
        double dampPercent,
        double mse,
        int blocksize,
        boolean reference,
        Refinement refinement) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException naming the option, its value and what is allowed
     */
    public GptqOptions {
        if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
            throw new IllegalArgumentException("bits must be 2, 3, 4 or 8, not " + bits);
        }
        if (groupSize != -1 && (groupSize < 8 || groupSize % 8 != 0)) {
            throw new IllegalArgumentException(
                    "group_size must be -1 (one group) or a positive multiple of 8 such as 32, 64 or 128, not "
                            + groupSize);
        }
        if (!(dampPercent > 0 && dampPercent < 1)) {
            throw new IllegalArgumentException("damp_percent must lie between 0 and 1, not " + dampPercent);
        }
        if (!(mse >= 0 && mse <= 16)) {
            throw new IllegalArgumentException("mse must be 0 (off) or an exponent up to 16 such as 2.4, not " + mse);
        }
        if (blocksize < 1) {
            throw new IllegalArgumentException("blocksize must be positive, not " + blocksize);
        }
        if (reference && !refinement.equals(Refinement.NONE)) {
            throw new IllegalArgumentException(
                    "AutoGPTQ knows of no refinement; following it exactly leaves no room for one");
        }
    }

    /** The algorithm of the paper, unrefined. */
    public GptqOptions(
            int bits,
            int groupSize,
            boolean sym,
            boolean actOrder,
            boolean staticGroups,
            double dampPercent,
            double mse,
            int blocksize,
            boolean reference) {
        this(bits, groupSize, sym, actOrder, staticGroups, dampPercent, mse, blocksize, reference, Refinement.NONE);
    }

    /** 4 bits, symmetric, groups of 128, static groups in act-order, damping 0.01, all refinements. */
    public static GptqOptions defaults() {
        return new GptqOptions(4, 128, true, true, true, 0.01, 0, 128, false, Refinement.DEFAULT);
    }

    /** The same without what goes beyond the paper. */
    public static GptqOptions plain() {
        return new GptqOptions(4, 128, true, true, true, 0.01, 0, 128, false);
    }

    /** The same with another width and group size. */
    public GptqOptions withBits(int bits, int groupSize) {
        return new GptqOptions(
                bits, groupSize, sym, actOrder, staticGroups, dampPercent, mse, blocksize, reference, refinement);
    }

    /**
     * The same with the settings of a rule for some modules. Its {@code desc_act} is what the artifact says: true scatters
     * {@code g_idx}, false keeps it trivial, with static groups, and leaves the order of columns as it is.
     */
    public GptqOptions with(ModuleRule rule) {
        boolean scattered = rule.setting("desc_act", Boolean.class, descAct());
        boolean turned = rule.settings().containsKey("desc_act") && scattered != descAct();
        return new GptqOptions(
                rule.setting("bits", Integer.class, bits),
                rule.setting("group_size", Integer.class, groupSize),
                rule.setting("sym", Boolean.class, sym),
                actOrder || (turned && scattered),
                turned ? !scattered : staticGroups,
                rule.setting("damp_percent", Double.class, dampPercent),
                rule.setting("mse", Double.class, mse),
                blocksize,
                reference,
                refinement);
    }

    /** Whether the artifact's {@code g_idx} is scattered, which servers call {@code desc_act}. */
    public boolean descAct() {
        return actOrder && !staticGroups && groupSize != -1;
    }

    /** Whether columns are solved in another order than the one in which groups lie one after the other. */
    boolean solvesAcrossGroups() {
        return actOrder && !descAct();
    }

    /** The largest code, 2^bits - 1. */
    int maxq() {
        return (1 << bits) - 1;
    }

    /** The group size for a module with {@code in} inputs, -1 resolved. */
    int groupSizeFor(int in) {
        return groupSize == -1 ? in : groupSize;
    }
}
