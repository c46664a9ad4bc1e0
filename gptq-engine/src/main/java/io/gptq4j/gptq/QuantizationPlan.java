package io.gptq4j.gptq;

import io.gptq4j.format.ModuleRule;
import io.gptq4j.format.PackedLinear;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Block;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which modules of each block are quantized, and how, decided before anything is loaded.
 *
 * @param architecture the model
 * @param options how to quantize a module that no rule matches
 * @param rules settings of their own for some modules, or that these stay in float; in the order in which they count
 * @param skipped modules whose shape cannot be packed
 */
public record QuantizationPlan(
        Architecture architecture, GptqOptions options, List<ModuleRule> rules, List<Linear> skipped) {
    /** Packed words hold 32 codes' worth of bits along both axes; no reader pads. */
    private static final int PACKING = 32;

    /** Copies the lists. */
    public QuantizationPlan {
        rules = ModuleRule.ordered(rules);
        skipped = List.copyOf(skipped);
    }

    /** Plans a run in which all modules are treated alike; throws as {@link #of(Architecture, GptqOptions, List)}. */
    public static QuantizationPlan of(Architecture architecture, GptqOptions options) {
        return of(architecture, options, List.of());
    }

    /**
     * Plans a run.
     *
     * @throws IllegalArgumentException if a group size does not divide the inputs of a module, naming those that do; if no
     *     module can be quantized at all; or if a rule decides about no module
     */
    public static QuantizationPlan of(Architecture architecture, GptqOptions options, List<ModuleRule> rules) {
        Set<Linear> skipped = new LinkedHashSet<>();
        boolean any = false;
        for (Block block : architecture.kinds().keySet()) {
            for (ModuleGroup group : block.moduleGroups()) {
                for (Linear module : group.modules()) {
                    if (module.in() % PACKING == 0 && module.out() % PACKING == 0) {
                        any = true;
                    } else {
                        skipped.add(module);
                    }
                }
            }
        }
        if (!any) {
            throw new IllegalArgumentException("No module of this model can be packed: inputs and outputs must be"
                    + " multiples of 32, and these are not: " + describe(skipped));
        }
        QuantizationPlan plan = new QuantizationPlan(architecture, options, rules, List.copyOf(skipped));
        plan.check();
        return plan;
    }

    private void check() {
        rules.forEach(this::requireEffect);
        Map<GptqOptions, Set<Linear>> modules = new LinkedHashMap<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (ModuleGroup group : groups(layer)) {
                for (Linear module : group.modules()) {
                    modules.computeIfAbsent(options(layer, module), own -> new LinkedHashSet<>())
                            .add(module);
                }
            }
        }
        if (modules.isEmpty()) {
            throw new IllegalArgumentException("The rules leave every module in float; nothing would be quantized");
        }
        modules.forEach((own, members) -> {
            if (own.reference() && !own.sym()) {
                throw new IllegalArgumentException(
                        "AutoGPTQ's asymmetric grids can have a zero point of 0, which its format"
                                + " cannot hold; follow AutoGPTQ exactly with a symmetric grid, or use our asymmetric one");
            }
            requireGroupSize(own.groupSize(), members);
        });
    }

    /** A rule without effect is a mistake in its expression, or in the order of rules. */
    private void requireEffect(ModuleRule rule) {
        boolean matches = false;
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (ModuleGroup group : architecture.block(layer).moduleGroups()) {
                for (Linear module : group.modules()) {
                    String path = architecture.inBlock(layer, module.name());
                    matches |= rule.matches(path);
                    if (ModuleRule.first(rules, path)
                            .filter(first -> first == rule)
                            .isPresent()) {
                        return;
                    }
                }
            }
        }
        if (matches) {
            throw new IllegalArgumentException("The rule '" + rule.text()
                    + "' decides about no module, since rules before it match all that it matches: put it first");
        }
        throw new IllegalArgumentException("The rule '" + rule.text()
                + "' matches no module; it must match from the start of the name, and the names are "
                + architecture.block(0).moduleGroups().stream()
                        .flatMap(group -> group.modules().stream())
                        .map(module -> architecture.inBlock(0, module.name()))
                        .collect(Collectors.joining(", "))
                + " and so on to block " + (architecture.layers() - 1));
    }

    private static void requireGroupSize(int groupSize, Set<Linear> modules) {
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

    private static String describe(Collection<Linear> modules) {
        return modules.stream()
                .map(module -> module.name() + " (" + module.in() + " inputs, " + module.out() + " outputs)")
                .collect(Collectors.joining(", "));
    }

    /** The modules to quantize in block {@code layer}, by shared input, in solve order; no group is empty. */
    public List<ModuleGroup> groups(int layer) {
        List<ModuleGroup> groups = new ArrayList<>();
        for (ModuleGroup group : architecture.block(layer).moduleGroups()) {
            List<Linear> modules = group.modules().stream()
                    .filter(module -> isQuantized(layer, module))
                    .toList();
            if (!modules.isEmpty()) {
                groups.add(group.with(modules));
            }
        }
        return groups;
    }

    /** Those of one stage. */
    public List<ModuleGroup> groups(int layer, Stage stage) {
        return groups(layer).stream().filter(group -> group.stage() == stage).toList();
    }

    /**
     * What is quantized, in all blocks together.
     *
     * @param modules how many modules
     * @param weights their weights, biases not counted
     * @param bytes of their four tensors in the artifact: codes, scales, zero points and group indices
     */
    public record Size(int modules, long weights, long bytes) {
        /** All of these bytes, in bits, for each weight. */
        public double bitsPerWeight() {
            return 8.0 * bytes / weights;
        }
    }

    /** What is quantized, in all blocks together. */
    public Size size() {
        int count = 0;
        long weights = 0;
        long bytes = 0;
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (ModuleGroup group : groups(layer)) {
                for (Linear module : group.modules()) {
                    GptqOptions own = options(layer, module);
                    count++;
                    weights += (long) module.in() * module.out();
                    bytes += PackedLinear.bytes(own.bits(), own.groupSize(), module.in(), module.out());
                }
            }
        }
        return new Size(count, weights, bytes);
    }

    /** How many modules get which width, ascending. */
    public SortedMap<Integer, Integer> widths() {
        SortedMap<Integer, Integer> counts = new TreeMap<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (ModuleGroup group : groups(layer)) {
                for (Linear module : group.modules()) {
                    counts.merge(options(layer, module).bits(), 1, Integer::sum);
                }
            }
        }
        return counts;
    }

    /** How to quantize a module of block {@code layer}. */
    public GptqOptions options(int layer, Linear module) {
        return options(architecture.inBlock(layer, module.name()));
    }

    /** These modules of a block by the options that hold for them, both in the order given. */
    Map<GptqOptions, List<Linear>> byOptions(int layer, List<Linear> modules) {
        Map<GptqOptions, List<Linear>> together = new LinkedHashMap<>();
        for (Linear module : modules) {
            together.computeIfAbsent(options(layer, module), options -> new ArrayList<>())
                    .add(module);
        }
        return together;
    }

    /** How to quantize the module with this path. */
    public GptqOptions options(String path) {
        return ModuleRule.first(rules, path)
                .filter(ModuleRule::quantized)
                .map(options::with)
                .orElse(options);
    }

    /** Whether a module of block {@code layer} is quantized. */
    boolean isQuantized(int layer, Linear module) {
        return !skipped.contains(module)
                && ModuleRule.first(rules, architecture.inBlock(layer, module.name()))
                        .map(ModuleRule::quantized)
                        .orElse(true);
    }

    /** The rules for the artifact: those that make it differ from one in which all modules are alike. */
    public List<ModuleRule> dynamic() {
        return DynamicRules.of(this);
    }

    /** Whether vLLM loads the artifact as it is. */
    public boolean servedByVllm() {
        return DynamicRules.vllmProblems(this).isEmpty();
    }

    /** What a user should know of servers before the run, in sentences. */
    public List<String> warnings() {
        List<String> sentences = new ArrayList<>();
        if (!skipped.isEmpty()) {
            sentences.add("Left in float16, since inputs and outputs must be multiples of 32: " + describe(skipped)
                    + "; text-generation-inference cannot load such a model");
        }
        sentences.addAll(DynamicRules.warnings(this));
        return sentences;
    }
}
