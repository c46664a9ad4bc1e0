package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Computes the mixture of experts of one block. N tokens, k experts for each. */
final class ExpertsPart {
    private final Mlp.Experts moe;
    private final Parts.TensorLookup<RuntimeException> weights;

    ExpertsPart(Mlp.Experts moe, Parts.TensorLookup<RuntimeException> weights) {
        this.moe = moe;
        this.weights = weights;
    }

    /**
     * The tokens of some windows on their way through the experts.
     *
     * @param tokens [N, C]
     * @param weights of the chosen experts, [N, k]
     * @param chosen the experts, [N, k]
     */
    record Routed(Tensor tokens, Tensor weights, Tensor chosen) {}

    /** Chooses the experts of all tokens of x [B, T, C]. */
    Routed route(Scope scope, Tensor x) {
        Mlp.Routing routing = moe.routing();
        Tensor tokens = scope.call("experts", "tokens", x);
        List<Tensor> router = new ArrayList<>(List.of(tensor(moe.router().name() + ".weight")));
        if (moe.router().bias()) {
            router.add(tensor(moe.router().name() + ".bias"));
        }
        Tensor correction = routing.bias().isPresent() ? tensor(routing.bias().get()) : scope.zeros(0);
        List<Tensor> chosen = scope.callAll(
                "experts",
                "route",
                tokens,
                router,
                routing.scoring() == Mlp.Scoring.SIGMOID,
                routing.chosen(),
                routing.normalized(),
                routing.factor(),
                correction,
                routing.groups(),
                routing.chosenGroups(),
                routing.groupScore() == Mlp.GroupScore.TOP_2);
        return new Routed(tokens, chosen.get(0), chosen.get(1));
    }

    /** The tokens that are routed to an expert. */
    DecoderBlock.Share share(Scope scope, Routed routed, int expert) {
        List<Tensor> hits = scope.callAll("experts", "routed_to", routed.weights, routed.chosen, expert);
        return new DecoderBlock.Share(hits.get(0), hits.get(1));
    }

    /** The share of the shared experts: all tokens. */
    DecoderBlock.Share sharedShare(Scope scope, Routed routed) {
        List<Tensor> gate = sharedGate(scope, routed).map(List::of).orElse(List.of());
        List<Tensor> all = scope.callAll("refine", "shared_share", routed.tokens, gate);
        return new DecoderBlock.Share(all.get(0), all.get(1));
    }

    /** What the shared experts' outputs are multiplied by, [N, 1] float32, if they have a gate. */
    private Optional<Tensor> sharedGate(Scope scope, Routed routed) {
        return moe.sharedGate().map(module -> scope.call("experts", "logistic", linear(scope, routed.tokens, module)));
    }

    /** The sum of the weights of all experts' outputs, and of the shared ones', [N]. */
    Tensor weights(Scope scope, Routed routed) {
        Tensor sum = scope.call("refine", "row_sums", routed.weights);
        if (moe.shared().isPresent()) {
            scope.call("decoder", "add_to", sum, sharedShare(scope, routed).weights(), 1.0);
        }
        return sum;
    }

    /** The tokens of a share, [n, C]; all of them if it is null. */
    Tensor seen(Scope scope, Routed routed, DecoderBlock.@Nullable Share share) {
        return share == null ? routed.tokens : scope.call("experts", "lines", routed.tokens, share.tokens());
    }

    /** What the expert's output module reads of these tokens, [n, ffn]. */
    Tensor activation(Scope scope, Tensor seen, int expert) {
        return Parts.activation(scope, seen, moe.experts().get(expert), weights);
    }

    /** What the output module of the shared experts reads, [N, ffn]. */
    Tensor sharedActivation(Scope scope, Routed routed) {
        return Parts.activation(scope, routed.tokens, moe.shared().orElseThrow(), weights);
    }

    /** The output for x [B, T, C], in the same shape. */
    Tensor output(Scope scope, Tensor x) {
        try (Scope step = scope.child()) {
            Routed routed = route(step, x);
            Tensor y = step.call("experts", "zeros_like", routed.tokens);
            for (int e = 0; e < moe.experts().size(); e++) {
                try (Scope own = step.child()) {
                    DecoderBlock.Share share = share(own, routed, e);
                    if (share.tokens().size(0) > 0) {
                        Tensor act = activation(own, seen(own, routed, share), e);
                        Tensor out = linear(own, act, moe.experts().get(e).output());
                        own.call("experts", "add_lines", y, share.tokens(), out, share.weights());
                    }
                }
            }
            if (moe.shared().isPresent()) {
                Tensor out = linear(
                        step, sharedActivation(step, routed), moe.shared().get().output());
                Optional<Tensor> gate = sharedGate(step, routed);
                if (gate.isPresent()) {
                    step.call("experts", "add_gated", y, out, gate.get());
                } else {
                    step.call("decoder", "add_to", y, out, 1.0);
                }
            }
            return scope.call("tensors", "reshaped", y, x.shape());
        }
    }

    private Tensor linear(Scope scope, Tensor x, Linear module) {
        return Parts.linear(scope, x, module, weights);
    }

    private Tensor tensor(String name) {
        return weights.get(name);
    }
}
