package io.gptq4j.model;

import java.util.List;
import java.util.OptionalInt;

/**
 * Modules of a block that read the same input, so that one Hessian serves them all.
 *
 * @param stage where in the block their input is computed
 * @param modules in the order in which AutoGPTQ lists them; names within the block
 * @param expert which expert they belong to, which sees only the tokens that are routed to it; empty if they see all tokens
 */
public record ModuleGroup(Stage stage, List<Architecture.Linear> modules, OptionalInt expert) {
    /** Copies the list. */
    public ModuleGroup {
        modules = List.copyOf(modules);
    }

    /** Modules that see all tokens. */
    public ModuleGroup(Stage stage, List<Architecture.Linear> modules) {
        this(stage, modules, OptionalInt.empty());
    }

    /** How many inputs each of them has. */
    public int in() {
        return modules.get(0).in();
    }

    /** How many outputs they have together. */
    public int rows() {
        return modules.stream().mapToInt(Architecture.Linear::out).sum();
    }

    /** The same for some of the modules. */
    public ModuleGroup with(List<Architecture.Linear> some) {
        return new ModuleGroup(stage, some, expert);
    }
}
