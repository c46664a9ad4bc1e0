package io.gptq4j.gptq;

import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Scope;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Experts that few tokens came to, and what they learn from others. */
final class StarvedExperts {
    private StarvedExperts() {}

    /**
     * Gives a prior to those among some groups that few tokens came to. They learn from all experts whose Hessians are in memory
     * with theirs. Inner channels of one expert have nothing to do with those of another, so before the last module they learn
     * from what their own channels make of tokens that went elsewhere.
     *
     * @param hessians what the groups have seen
     */
    static void fill(Lane lane, Scope work, Stage stage, List<ModuleGroup> groups, List<Hessian> hessians)
            throws IOException {
        List<ModuleGroup> experts = new ArrayList<>();
        List<Hessian> seen = new ArrayList<>();
        List<Integer> starved = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            if (groups.get(g).expert().isPresent()) {
                if (Siblings.isStarved(hessians.get(g))) {
                    starved.add(experts.size());
                }
                experts.add(groups.get(g));
                seen.add(hessians.get(g));
            }
        }
        if (starved.isEmpty()) {
            return;
        }
        int in = seen.get(0).size();
        if (stage == Stage.MLP_IN) {
            try (Siblings siblings = new Siblings(work, in)) {
                seen.forEach(siblings::add);
                starved.forEach(expert -> siblings.fill(seen.get(expert)));
            }
            return;
        }
        for (int expert : starved) { // one prior at a time is in memory
            try (Siblings others = new Siblings(work, in);
                    Hessian sample = new Hessian(work, in)) {
                lane.sample(List.of(experts.get(expert)), List.of(sample));
                others.add(sample);
                others.fill(seen.get(expert));
            }
        }
    }
}
