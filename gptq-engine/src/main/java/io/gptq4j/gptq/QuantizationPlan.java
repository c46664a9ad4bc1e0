package io.gptq4j.gptq;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.ModuleGroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which modules of each block are quantized and which stay in float, decided before anything is loaded. All blocks are
 * alike.
 *
 * @param architecture the model
 * @param options how to quantize
 * @param groups the modules to quantize, by shared input, in solve order; a group may be empty
 * @param skipped modules whose shape cannot be packed
 */
public record QuantizationPlan(
        Architecture architecture, GptqOptions options, List<ModuleGroup> groups, List<Linear> skipped) {
    /** Packed words hold 32 codes' worth of bits along both axes; no reader pads. */
    private static final int PACKING = 32;

    /** Copies the lists. */
    public QuantizationPlan {
        groups = List.copyOf(groups);
        skipped = List.copyOf(skipped);
    }

    /**
     * Plans a run.
     *
     * @throws IllegalArgumentException if the group size does not divide the inputs of a module, naming those that do,
     *     or if no module can be quantized at all
     */
    public static QuantizationPlan of(Architecture architecture, GptqOptions options) {
        if (options.reference() && !options.sym()) {
            throw new IllegalArgumentException(
                    "AutoGPTQ's asymmetric grids can have a zero point of 0, which its format"
                            + " cannot hold; follow AutoGPTQ exactly with a symmetric grid, or use our asymmetric one");
        }
        List<ModuleGroup> groups = new ArrayList<>();
        List<Linear> skipped = new ArrayList<>();
        for (ModuleGroup group : architecture.moduleGroups()) {
            List<Linear> packable = new ArrayList<>();
            for (Linear module : group.modules()) {
                (module.in() % PACKING == 0 && module.out() % PACKING == 0 ? packable : skipped).add(module);
            }
            groups.add(new ModuleGroup(group.stage(), packable));
        }
        List<Linear> chosen =
                groups.stream().flatMap(group -> group.modules().stream()).toList();
        if (chosen.isEmpty()) {
            throw new IllegalArgumentException("No module of this model can be packed: inputs and outputs must be"
                    + " multiples of 32, and these are not: " + describe(skipped));
        }
        requireGroupSize(options.groupSize(), chosen);
        return new QuantizationPlan(architecture, options, groups, skipped);
    }

    private static void requireGroupSize(int groupSize, List<Linear> modules) {
        if (groupSize == -1) {
            return;
        }
        List<Linear> misfits =
                modules.stream().filter(module -> module.in() % groupSize != 0).toList();
        if (misfits.isEmpty()) {
            return;
        }
        String fitting = Stream.of(128, 64, 32)
                .filter(size -> modules.stream().allMatch(module -> module.in() % size == 0))
                .map(String::valueOf)
                .collect(Collectors.joining(", "));
        throw new IllegalArgumentException("group_size " + groupSize + " does not divide the inputs of "
                + describe(misfits) + "; group sizes that fit every module of this model: " + fitting
                + " (or -1, one group per output)");
    }

    private static String describe(List<Linear> modules) {
        return modules.stream()
                .map(module -> module.name() + " (" + module.in() + " inputs, " + module.out() + " outputs)")
                .collect(Collectors.joining(", "));
    }

    /** A sentence that names the modules left in float, or nothing. */
    public Optional<String> warning() {
        return skipped.isEmpty()
                ? Optional.empty()
                : Optional.of("Left in float16, since inputs and outputs must be multiples of 32: " + describe(skipped)
                        + "; text-generation-inference cannot load such a model");
    }
}
