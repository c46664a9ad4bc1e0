package io.gptq4j.cost;

import io.gptq4j.gptq.Drift;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.TargetWidths;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Block;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Modules that are solved together, as far as their cost depends on it.
 *
 * @param seen the share of all tokens that they see
 * @param driftFlops operations that comparing them with the float model takes for each token; 0 if they are not compared
 * @param driftAfter operations that it takes after all tokens
 */
record SolvedGroup(List<Linear> modules, double seen, double driftFlops, double driftAfter) {
    /** Those of a plan, with the number of blocks in which they are the same. */
    static Map<SolvedGroup, Integer> of(QuantizationPlan plan) {
        Architecture architecture = plan.architecture();
        Map<SolvedGroup, Integer> groups = new LinkedHashMap<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            Block block = architecture.block(layer);
            for (ModuleGroup group : plan.groups(layer)) {
                boolean crossed = block.hasFloatTarget(group) && Drift.isCrossed(group);
                SolvedGroup solved = new SolvedGroup(
                        group.modules(),
                        seen(block, group),
                        block.hasFloatTarget(group) ? driftFlops(block, group) : 0,
                        crossed ? 2.0 * group.in() * group.in() * group.rows() : 0);
                groups.merge(solved, 1, Integer::sum);
            }
        }
        return groups;
    }

    /** One product of the inputs; or one for the drift, and one for what the outputs lack, which is known of experts. */
    private static double driftFlops(Block block, ModuleGroup group) {
        boolean known = group.stage() == Stage.MLP_OUT && block.mlp() instanceof Mlp.Experts;
        return Drift.isCrossed(group) ? 2.0 * group.in() * group.in() : (known ? 2.0 : 4.0) * group.in() * group.rows();
    }

    /** How many parts of a plan get a width each, if widths are chosen. */
    static int units(QuantizationPlan plan) {
        int units = 0;
        for (int layer = 0; layer < plan.architecture().layers(); layer++) {
            for (Stage stage : plan.architecture().block(layer).stages()) {
                units += TargetWidths.together(plan.groups(layer, stage)).size();
            }
        }
        return units;
    }

    /** The share of all tokens that a group sees, if experts are chosen evenly. */
    static double seen(Block block, ModuleGroup group) {
        return group.expert().isPresent() && block.mlp() instanceof Mlp.Experts moe
                ? (double) moe.routing().chosen() / moe.experts().size()
                : 1;
    }

    int in() {
        return modules.get(0).in();
    }

    long rows() {
        return modules.stream().mapToLong(Linear::out).sum();
    }
}
