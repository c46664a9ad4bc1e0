package io.gptq4j.model;

import java.util.List;

/**
 * Modules of a block that read the same input, so that one Hessian serves them all.
 *
 * @param stage where in the block their input is computed
 * @param modules in the order in which AutoGPTQ lists them; names within the block
 */
public record ModuleGroup(Stage stage, List<Architecture.Linear> modules) {
    /** Copies the list. */
    public ModuleGroup {
        modules = List.copyOf(modules);
    }
}
