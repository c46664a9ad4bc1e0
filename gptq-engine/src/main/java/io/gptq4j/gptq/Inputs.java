package io.gptq4j.gptq;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What a module group has seen of its inputs.
 *
 * @param hessian the inputs' own
 * @param drift how outputs fall short of the float model's; null if the float model is not followed
 */
record Inputs(Hessian hessian, @Nullable Drift drift) implements AutoCloseable {
    /**
     * Nothing yet.
     *
     * @param scope owns it
     * @param compared whether the float model's inputs are there to be compared
     */
    static Inputs of(Scope scope, ModuleGroup group, boolean compared) {
        return new Inputs(new Hessian(scope, group.in()), compared ? new Drift(scope, group) : null);
    }

    /** Only inputs. */
    static Inputs of(Hessian hessian) {
        return new Inputs(hessian, null);
    }

    boolean compares() {
        return drift != null;
    }

    /** Adds what another one has seen, which may be on another device. */
    void add(Inputs other) {
        hessian.add(other.hessian);
        if (drift != null && other.drift != null) {
            drift.add(other.drift);
        }
    }

    /** The drift of one module of the group, on the device of its float weight. */
    GptqSolver.@Nullable Target drift(ModuleGroup group, Linear module, Tensor weight) {
        if (drift == null) {
            return null;
        }
        long start = group.modules().stream()
                .takeWhile(other -> !other.equals(module))
                .mapToLong(Linear::out)
                .sum();
        return (scope, from, to) -> drift.of(scope, weight, from, to, start);
    }

    @Override
    public void close() {
        hessian.close();
        if (drift != null) {
            drift.close();
        }
    }
}
