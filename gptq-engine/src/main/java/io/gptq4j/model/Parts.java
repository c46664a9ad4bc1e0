package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.Optional;

/** The parts that blocks, embedding and head share. */
final class Parts {
    private Parts() {}

    /** Where a tensor of a part comes from. */
    interface TensorLookup<E extends Exception> {
        Tensor get(String name) throws E;
    }

    /** x W^T + b. */
    static <E extends Exception> Tensor linear(Scope scope, Tensor x, Linear module, TensorLookup<E> weights) throws E {
        Tensor weight = weights.get(module.name() + ".weight");
        return module.bias()
                ? scope.call("decoder", "linear_with_bias", x, weight, weights.get(module.name() + ".bias"))
                : scope.call("decoder", "linear", x, weight);
    }

    /** The norm of x, or x itself where there is none. */
    static <E extends Exception> Tensor norm(Scope scope, Tensor x, Optional<Norm> norm, TensorLookup<E> weights)
            throws E {
        return norm.isPresent() ? norm(scope, x, norm.get(), weights) : x;
    }

    /** The norm of x over its last dimension. */
    static <E extends Exception> Tensor norm(Scope scope, Tensor x, Norm norm, TensorLookup<E> weights) throws E {
        String weight = norm.name() + ".weight";
        double eps = norm.eps();
        return switch (norm.kind()) {
            case RMS -> scope.call("decoder", "rms_norm", x, weights.get(weight), eps);
            case RMS_PLUS_ONE -> scope.call("decoder", "rms_norm_plus_one", x, weights.get(weight), eps);
            case LAYER ->
                scope.call("decoder", "layer_norm", x, weights.get(weight), weights.get(norm.name() + ".bias"), eps);
            case LAYER_PLUS_ONE ->
                scope.call(
                        "decoder",
                        "layer_norm_plus_one",
                        x,
                        weights.get(weight),
                        weights.get(norm.name() + ".bias"),
                        eps);
            case LAYER_UNBIASED -> scope.call("decoder", "unbiased_layer_norm", x, weights.get(weight), eps);
            case LAYER_PLAIN -> scope.call("decoder", "plain_layer_norm", x, eps);
        };
    }

    /** What the output module of a feed-forward network reads: the activation, in the place of nothing. */
    static <E extends Exception> Tensor activation(Scope scope, Tensor x, Mlp.Dense mlp, TensorLookup<E> weights)
            throws E {
        String function = mlp.activation().script();
        try (Tensor first = linear(scope, x, mlp.inputs().get(0), weights)) {
            if (mlp instanceof Mlp.Gated gated) {
                try (Tensor up = linear(scope, x, gated.up(), weights)) {
                    return scope.call("decoder", "gated", first, up, function, scope.threads()); // [..., ffn]
                }
            }
            return scope.call(
                    "decoder",
                    mlp instanceof Mlp.FusedGated ? "gated_halves" : "activate",
                    first,
                    function,
                    scope.threads());
        }
    }
}
