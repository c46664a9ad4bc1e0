package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The feed-forward part of a block. */
public sealed interface Mlp permits Mlp.Dense, Mlp.Experts {
    /** The feed-forward networks that it consists of: itself, or all experts, then the shared one. */
    List<Dense> networks();

    /** One feed-forward network for all tokens. */
    sealed interface Dense extends Mlp permits Plain, Gated, FusedGated {
        /** The function between the modules. */
        Activation activation();

        @Override
        default List<Dense> networks() {
            return List.of(this);
        }

        /** The modules that read its input, gate first. */
        List<Linear> inputs();

        /** The module that reads what the function has given. */
        Linear output();
    }

    /** output(act(up(x))). */
    record Plain(Activation activation, Linear up, Linear output) implements Dense {
        @Override
        public List<Linear> inputs() {
            return List.of(up);
        }
    }

    /** output(act(gate(x)) * up(x)). */
    record Gated(Activation activation, Linear gate, Linear up, Linear output) implements Dense {
        @Override
        public List<Linear> inputs() {
            return List.of(gate, up);
        }
    }

    /** As {@link Gated}, with one module whose outputs are those of gate, then those of up. */
    record FusedGated(Activation activation, Linear gateUp, Linear output) implements Dense {
        @Override
        public List<Linear> inputs() {
            return List.of(gateUp);
        }
    }

    /**
     * A mixture of experts: of {@code experts} each token goes through those that a router chooses, and its outputs are summed by
     * the router's weights; all tokens go through {@code shared}, if there is one.
     *
     * @param router the module whose outputs are the experts' scores; stays in float
     * @param routing how scores become weights
     * @param experts all alike
     * @param shared for all tokens
     * @param sharedGate a module with one output, whose sigmoid multiplies what {@code shared} gives; stays in float
     */
    record Experts(
            Linear router, Routing routing, List<Gated> experts, Optional<Dense> shared, Optional<Linear> sharedGate)
            implements Mlp {
        /** Copies the list. */
        public Experts {
            experts = List.copyOf(experts);
        }

        /** The same with a network for all tokens. */
        public Experts withShared(Dense other) {
            return new Experts(router, routing, experts, Optional.of(other), sharedGate);
        }

        @Override
        public List<Dense> networks() {
            return Stream.concat(experts.stream(), shared.stream())
                    .map(Dense.class::cast)
                    .toList();
        }
    }

    /**
     * How a router's scores become the weights of some experts.
     *
     * @param scoring what is made of the scores
     * @param chosen experts per token
     * @param normalized whether the weights of the chosen are divided by their sum
     * @param factor what the weights are multiplied by
     * @param bias a tensor [experts] that is added to the scores for the choice only; empty if there is none
     * @param groups how many groups the experts are in; 1 if they are in none
     * @param chosenGroups from how many groups experts are chosen: those with the highest {@code groupScore}
     * @param groupScore what decides between groups
     */
    record Routing(
            Scoring scoring,
            int chosen,
            boolean normalized,
            double factor,
            Optional<String> bias,
            int groups,
            int chosenGroups,
            GroupScore groupScore) {
        /** The best of all experts by their softmax. */
        public static Routing softmax(int chosen, boolean normalized) {
            return new Routing(Scoring.SOFTMAX, chosen, normalized, 1, Optional.empty(), 1, 1, GroupScore.MAX);
        }
    }

    /** What is made of a router's scores. */
    enum Scoring {
        SOFTMAX,
        SIGMOID
    }

    /** The score of a group of experts. */
    enum GroupScore {
        /** That of its best expert. */
        MAX,
        /** The sum of those of its two best. */
        TOP_2
    }
}
