package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Mlp;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Mixtures of experts as most families name them: {@code gate}, and {@code experts.0.gate_proj} and so on. */
final class ExpertsLayout {
    private final LlamaLayout llama;
    private final Mlp.Routing routing;
    private final int count;

    /** Experts so many of which each token goes through. */
    ExpertsLayout(LlamaLayout llama, int count, Mlp.Routing routing) {
        this.llama = llama;
        this.count = count;
        this.routing = routing;
    }

    /** DeepSeek-V3's choice, whose sigmoids have a bias that does not count for the weights. */
    static Mlp.Routing biased(int chosen, boolean normalized, double factor, int groups, int chosenGroups) {
        return new Mlp.Routing(
                Mlp.Scoring.SIGMOID,
                chosen,
                normalized,
                factor,
                Optional.of("mlp.gate.e_score_correction_bias"),
                groups,
                chosenGroups,
                Mlp.GroupScore.TOP_2);
    }

    /** Under {@code mlp}, each with so many inner channels. */
    Mlp.Experts experts(int intermediate, Optional<Mlp.Dense> shared, Optional<Linear> sharedGate)
            throws CheckpointException {
        List<Mlp.Gated> experts = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            experts.add(llama.gated("mlp.experts." + e, intermediate, false));
        }
        return new Mlp.Experts(
                new Linear("mlp.gate", llama.hidden, count, false), routing, experts, shared, sharedGate);
    }

    /**
     * Under {@code block_sparse_moe}, with Mixtral's names: w1 is the gate, w3 up, w2 down.
     *
     * @param router what the router is called there
     */
    Mlp.Experts mixtral(String router) throws CheckpointException {
        Activation activation = llama.keys.activation("silu", "hidden_act");
        int intermediate = llama.keys.integer("intermediate_size");
        List<Mlp.Gated> experts = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            String path = "block_sparse_moe.experts." + e;
            experts.add(new Mlp.Gated(
                    activation,
                    new Linear(path + ".w1", llama.hidden, intermediate, false),
                    new Linear(path + ".w3", llama.hidden, intermediate, false),
                    new Linear(path + ".w2", intermediate, llama.hidden, false)));
        }
        Linear gate = new Linear("block_sparse_moe." + router, llama.hidden, count, false);
        return new Mlp.Experts(gate, routing, experts, Optional.empty(), Optional.empty());
    }
}
