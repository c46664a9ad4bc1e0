package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a decoder block consists of. Names are those within the block.
 *
 * @param attention its attention
 * @param mlp its feed-forward part
 * @param norms its norms
 * @param residual how the parts are wired
 * @param multiplier what both parts' outputs are multiplied by before they join the residual stream
 */
public record Block(Attention attention, Mlp mlp, Norms norms, Residual residual, double multiplier) {
    /** Checks the combination. */
    public Block {
        if (residual == Residual.PARALLEL && mlp instanceof Mlp.Experts) {
            throw new IllegalArgumentException("Experts beside an attention, not after it, are not supported");
        }
    }

    /** Plain wiring with a factor of 1. */
    public Block(Attention attention, Mlp mlp, Norms norms, Residual residual) {
        this(attention, mlp, norms, residual, 1);
    }

    /**
     * Norms before and after the two parts.
     *
     * @param attentionIn on what the attention reads
     * @param attentionOut on what it gives, or, with {@link Residual#POST_NORM}, on the sum
     * @param mlpIn on what the feed-forward part reads
     * @param mlpOut on what it gives, or on the sum
     */
    public record Norms(
            Optional<Norm> attentionIn, Optional<Norm> attentionOut, Optional<Norm> mlpIn, Optional<Norm> mlpOut) {
        /** Norms on what the two parts read. */
        public static Norms before(Norm attention, Norm mlp) {
            return new Norms(Optional.of(attention), Optional.empty(), Optional.of(mlp), Optional.empty());
        }

        /** Norms on what the two parts give. */
        public static Norms after(Norm attention, Norm mlp) {
            return new Norms(Optional.empty(), Optional.of(attention), Optional.empty(), Optional.of(mlp));
        }

        /** Norms on what both parts read and give, in the order of the computation. */
        public static Norms around(Norm attentionIn, Norm attentionOut, Norm mlpIn, Norm mlpOut) {
            return new Norms(
                    Optional.of(attentionIn), Optional.of(attentionOut), Optional.of(mlpIn), Optional.of(mlpOut));
        }

        /** Those there are, in the order of the computation; one that serves both parts once. */
        public List<Norm> all() {
            List<Norm> all = new ArrayList<>();
            for (Optional<Norm> norm : List.of(attentionIn, attentionOut, mlpIn, mlpOut)) {
                norm.filter(n -> !all.contains(n)).ifPresent(all::add);
            }
            return all;
        }
    }

    /** How the parts and the residual stream are wired; h is the block's input, a and m its two parts with their norms. */
    public enum Residual {
        /** h = h + a(h); h = h + m(h). */
        SEQUENTIAL,
        /** h = h + a(h) + m(h). */
        PARALLEL,
        /** n = norm(h); h = n + a(n); n = norm(h); h = n + m(n). */
        FROM_NORM,
        /** h = norm(h + a(h)); h = norm(h + m(h)). */
        POST_NORM
    }

    /** The stages that such a block has. */
    public List<Stage> stages() {
        return Arrays.stream(Stage.values())
                .filter(stage -> stage != Stage.ATTENTION_MID || attention instanceof Attention.Latent)
                .toList();
    }

    /** The modules that can be quantized, by shared input, in solve order. */
    public List<ModuleGroup> moduleGroups() {
        List<ModuleGroup> groups = new ArrayList<>();
        groups.add(new ModuleGroup(Stage.ATTENTION_IN, attention.inputs()));
        if (attention instanceof Attention.Latent latent) {
            if (latent.queryLatent().isPresent()) {
                groups.add(new ModuleGroup(Stage.ATTENTION_MID, List.of(latent.query())));
            }
            groups.add(new ModuleGroup(Stage.ATTENTION_MID, List.of(latent.keyValue())));
        }
        groups.add(new ModuleGroup(Stage.ATTENTION_OUT, List.of(attention.output())));
        if (mlp instanceof Mlp.Dense dense) {
            groups.add(new ModuleGroup(Stage.MLP_IN, dense.inputs()));
            groups.add(new ModuleGroup(Stage.MLP_OUT, List.of(dense.output())));
        } else if (mlp instanceof Mlp.Experts moe) {
            moe.shared().ifPresent(shared -> groups.add(new ModuleGroup(Stage.MLP_IN, shared.inputs())));
            for (int e = 0; e < moe.experts().size(); e++) {
                groups.add(new ModuleGroup(Stage.MLP_IN, moe.experts().get(e).inputs(), OptionalInt.of(e)));
            }
            moe.shared().ifPresent(shared -> groups.add(new ModuleGroup(Stage.MLP_OUT, List.of(shared.output()))));
            for (int e = 0; e < moe.experts().size(); e++) {
                groups.add(new ModuleGroup(
                        Stage.MLP_OUT, List.of(moe.experts().get(e).output()), OptionalInt.of(e)));
            }
        }
        return groups;
    }

    /**
     * Whether it can be said what a group's outputs ought to be in the float model. For latent vectors, and for the first
     * modules of experts, it is not: what becomes of their outputs depends on modules and on a router in between.
     */
    public boolean hasFloatTarget(ModuleGroup group) {
        return switch (group.stage()) {
            case ATTENTION_IN, ATTENTION_OUT -> true;
            case ATTENTION_MID -> false;
            case MLP_IN -> group.expert().isEmpty();
            case MLP_OUT -> !(mlp instanceof Mlp.Experts) || addsToResidual(group);
        };
    }

    /**
     * Whether what a group's modules give, times {@link #multiplier}, is added to the residual stream as it is: no norm stands
     * between.
     */
    public boolean addsToResidual(ModuleGroup group) {
        boolean apart = residual != Residual.POST_NORM;
        return switch (group.stage()) {
            case ATTENTION_IN, ATTENTION_MID, MLP_IN -> false;
            case ATTENTION_OUT -> norms.attentionOut().isEmpty() || !apart;
            case MLP_OUT -> norms.mlpOut().isEmpty() || !apart;
        };
    }

    /** The modules that stay in float: routers and gates of shared experts. */
    public List<Linear> floatModules() {
        List<Linear> modules = new ArrayList<>();
        if (mlp instanceof Mlp.Experts moe) {
            modules.add(moe.router());
            moe.sharedGate().ifPresent(modules::add);
        }
        return modules;
    }
}
