package io.gptq4j.gptq;

import io.gptq4j.format.ModuleRule;
import io.gptq4j.format.PackedLinear;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Widths for the modules of a plan, so that the artifact stays within a number of bits per weight. What is counted are the
 * four tensors of all quantized modules: codes, scales, zero points and group indices.
 *
 * <p>Modules that read the same input get the same width, since vLLM computes them as one. Modules whose rule sets their bits
 * keep them.
 */
public final class TargetWidths {
    /** The widths to choose from, ascending; damages are in this order. */
    public static final List<Integer> WIDTHS = List.of(2, 3, 4, 8);

    /** Steps into which the budget is divided at most; sizes are rounded up to them. */
    private static final int MOST_CELLS = 1 << 16;

    private final QuantizationPlan plan;
    private final List<Unit> units;
    private final long budget; // for the units, in bytes

    /** Modules of one block that get one width. */
    public record Unit(int layer, List<Linear> modules) {
        /** Copies the list. */
        public Unit {
            modules = List.copyOf(modules);
        }
    }

    /**
     * Finds what there is to choose.
     *
     * @param plan the groups, the rules, and all options but the bits
     * @param bitsPerWeight most of {@link QuantizationPlan.Size#bitsPerWeight}
     * @throws IllegalArgumentException if it is less than the smallest widths need, or nothing is left to choose
     */
    public TargetWidths(QuantizationPlan plan, double bitsPerWeight) {
        this.plan = plan;
        this.units = units(plan);
        if (units.isEmpty()) {
            throw new IllegalArgumentException(
                    "The rules set the bits of all modules, so that a target can choose none");
        }
        long smallest =
                units.stream().mapToLong(unit -> bytes(unit, WIDTHS.get(0))).sum();
        long current = 0;
        for (Unit unit : units) {
            for (Linear module : unit.modules) {
                current += bytes(plan.options(unit.layer, module), module);
            }
        }
        QuantizationPlan.Size size = plan.size();
        long fixed = size.bytes() - current;
        this.budget = (long) Math.floor(bitsPerWeight * size.weights() / 8) - fixed;
        if (!(budget >= smallest)) {
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "%s bits per weight are too few: with all widths at %d the modules take %.3f, scales, zero points and"
                            + " group indices included",
                    bitsPerWeight,
                    WIDTHS.get(0),
                    8.0 * (smallest + fixed) / size.weights()));
        }
    }

    private static List<Unit> units(QuantizationPlan plan) {
        List<Unit> units = new ArrayList<>();
        for (int layer = 0; layer < plan.architecture().layers(); layer++) {
            for (Stage stage : plan.architecture().block(layer).stages()) {
                for (List<ModuleGroup> groups : together(plan.groups(layer, stage))) {
                    List<Linear> free = new ArrayList<>();
                    for (ModuleGroup group : groups) {
                        for (Linear module : group.modules()) {
                            if (!settings(plan, layer, module).containsKey("bits")) {
                                free.add(module);
                            }
                        }
                    }
                    if (!free.isEmpty()) {
                        units.add(new Unit(layer, free));
                    }
                }
            }
        }
        return units;
    }

    /** The groups of a stage whose modules get one width: all experts, which servers compute as one, and others alone. */
    public static List<List<ModuleGroup>> together(List<ModuleGroup> groups) {
        List<List<ModuleGroup>> all = new ArrayList<>();
        List<ModuleGroup> experts = new ArrayList<>();
        for (ModuleGroup group : groups) {
            if (group.expert().isPresent()) {
                experts.add(group);
            } else {
                all.add(List.of(group));
            }
        }
        if (!experts.isEmpty()) {
            all.add(experts);
        }
        return all;
    }

    /** What a rule sets for a module. */
    private static Map<String, Object> settings(QuantizationPlan plan, int layer, Linear module) {
        return ModuleRule.first(plan.rules(), plan.architecture().inBlock(layer, module.name()))
                .map(ModuleRule::settings)
                .orElse(Map.of());
    }

    private static long bytes(GptqOptions options, Linear module) {
        return PackedLinear.bytes(options.bits(), options.groupSize(), module.in(), module.out());
    }

    private long bytes(Unit unit, int bits) {
        return unit.modules.stream()
                .mapToLong(module -> PackedLinear.bytes(
                        bits, plan.options(unit.layer, module).groupSize(), module.in(), module.out()))
                .sum();
    }

    /** The plan without the choice. */
    QuantizationPlan plan() {
        return plan;
    }

    /** What gets a width each, block by block. */
    public List<Unit> units() {
        return units;
    }

    /** The plan without knowledge of the model: a code's error falls to a quarter with each bit, wherever it is. */
    public QuantizationPlan assumed() {
        List<double[]> damages = new ArrayList<>();
        for (Unit unit : units) {
            double weights = unit.modules.stream()
                    .mapToDouble(module -> (double) module.in() * module.out())
                    .sum();
            damages.add(WIDTHS.stream()
                    .mapToDouble(bits -> weights * Math.pow(4, -bits))
                    .toArray());
        }
        return choose(damages);
    }

    /**
     * The plan with the smallest sum of damages within the budget.
     *
     * @param damages of each of the {@link #units}, by {@link #WIDTHS}; finite and not negative
     */
    public QuantizationPlan choose(List<double[]> damages) {
        long[][] bytes = units.stream()
                .map(unit ->
                        WIDTHS.stream().mapToLong(bits -> bytes(unit, bits)).toArray())
                .toArray(long[][]::new);
        int[] chosen = allocate(bytes, damages.toArray(double[][]::new), budget);
        return planned(Arrays.stream(chosen).map(WIDTHS::get).toArray());
    }

    /**
     * Which of its options each unit gets, so that the bytes stay within the budget and the sum of damages is the smallest:
     * the knapsack with one of several items of each kind, by dynamic programming.
     */
    static int[] allocate(long[][] bytes, double[][] damages, long budget) {
        long step = 0;
        long spare = budget;
        long most = 0;
        for (long[] sizes : bytes) {
            for (long size : sizes) {
                step = gcd(step, size - sizes[0]);
            }
            spare -= sizes[0];
            most += sizes[sizes.length - 1] - sizes[0];
        }
        step = Math.max(Math.max(1, step), Math.min(spare, most) / MOST_CELLS + 1);
        int cells = Math.toIntExact(Math.min(spare, most + bytes.length * step) / step); // each may be rounded up
        double[] best = new double[cells + 1]; // the smallest damage within so many steps
        byte[][] choices = new byte[bytes.length][cells + 1];
        for (int u = 0; u < bytes.length; u++) {
            double[] next = new double[cells + 1];
            Arrays.fill(next, Double.POSITIVE_INFINITY);
            for (int option = 0; option < bytes[u].length; option++) {
                long more = (bytes[u][option] - bytes[u][0] + step - 1) / step;
                for (int cell = Math.toIntExact(Math.min(more, cells + 1)); cell <= cells; cell++) {
                    double damage = best[cell - (int) more] + damages[u][option];
                    if (damage < next[cell]) {
                        next[cell] = damage;
                        choices[u][cell] = (byte) option;
                    }
                }
            }
            best = next;
        }
        int[] chosen = new int[bytes.length];
        int cell = cells;
        for (int u = bytes.length - 1; u >= 0; u--) {
            chosen[u] = choices[u][cell];
            cell -= Math.toIntExact((bytes[u][chosen[u]] - bytes[u][0] + step - 1) / step);
        }
        return chosen;
    }

    private static long gcd(long a, long b) {
        return b == 0 ? Math.abs(a) : gcd(b, a % b);
    }

    /** The plan with a width for each unit. */
    private QuantizationPlan planned(int[] widths) {
        int base = base(widths);
        GptqOptions options = plan.options().withBits(base, plan.options().groupSize());
        Architecture architecture = plan.architecture();
        record Same(List<String> modules, Map<String, Object> settings) {}
        Map<Same, List<Integer>> layers = new LinkedHashMap<>();
        for (int u = 0; u < widths.length; u++) {
            Unit unit = units.get(u);
            Map<Map<String, Object>, List<String>> bySettings = new LinkedHashMap<>();
            for (Linear module : unit.modules) {
                Map<String, Object> settings = new LinkedHashMap<>();
                settings.put("bits", widths[u]);
                settings.putAll(settings(plan, unit.layer, module));
                bySettings.computeIfAbsent(settings, s -> new ArrayList<>()).add(module.name());
            }
            if (widths[u] != base) {
                bySettings.forEach(
                        (settings, names) -> layers.computeIfAbsent(new Same(names, settings), s -> new ArrayList<>())
                                .add(unit.layer));
            }
        }
        List<ModuleRule> rules = new ArrayList<>();
        layers.forEach((same, which) -> rules.add(new ModuleRule(
                DynamicRules.blocks(architecture, which)
                        + same.modules.stream()
                                .map(name -> name.replace(".", "\\."))
                                .collect(Collectors.joining("|", "(?:", ")$")),
                true,
                same.settings)));
        List<ModuleRule> all = ModuleRule.ordered(
                Stream.concat(rules.stream(), plan.rules().stream()).toList());
        // A user's rule may have nothing left to decide.
        List<ModuleRule> deciding = all.stream()
                .filter(rule -> paths(architecture)
                        .anyMatch(path -> ModuleRule.first(all, path)
                                .filter(first -> first == rule)
                                .isPresent()))
                .toList();
        return QuantizationPlan.of(architecture, options, deciding);
    }

    private static Stream<String> paths(Architecture architecture) {
        return Stream.iterate(0, layer -> layer < architecture.layers(), layer -> layer + 1)
                .flatMap(layer -> architecture.block(layer).moduleGroups().stream()
                        .flatMap(group -> group.modules().stream())
                        .map(module -> architecture.inBlock(layer, module.name())));
    }

    /**
     * The most frequent width, for modules without a rule. vLLM chooses its kernels by it, and those for 4 bits and more do
     * not have the smaller ones, so it is one of the smaller ones if there are any.
     */
    private static int base(int[] widths) {
        Map<Integer, Integer> counts = new TreeMap<>();
        Arrays.stream(widths).forEach(bits -> counts.merge(bits, 1, Integer::sum));
        boolean small = counts.keySet().stream().anyMatch(bits -> bits < 4);
        return counts.entrySet().stream()
                .filter(count -> count.getKey() < 4 || !small)
                .max(Comparator.comparingInt(Map.Entry<Integer, Integer>::getValue))
                .orElseThrow()
                .getKey();
    }
}
