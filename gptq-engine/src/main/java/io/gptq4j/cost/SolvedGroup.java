package io.gptq4j.cost;

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
 * @param compared whether the float model is followed
 * @param writes whether they write to the residual stream
 */
record SolvedGroup(List<Linear> modules, double seen, boolean compared, boolean writes) {
    /** Those of a plan, with the number of blocks in which they are the same. */
    static Map<SolvedGroup, Integer> of(QuantizationPlan plan) {
        Architecture architecture = plan.architecture();
        Map<SolvedGroup, Integer> groups = new LinkedHashMap<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            Block block = architecture.block(layer);
            for (ModuleGroup group : plan.groups(layer)) {
                SolvedGroup solved = new SolvedGroup(
                        group.modules(),
                        seen(block, group),
                        block.readsState(group),
                        group.stage() == Stage.ATTENTION_OUT || group.stage() == Stage.MLP_OUT);
                groups.merge(solved, 1, Integer::sum);
            }
        }
        return groups;
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
