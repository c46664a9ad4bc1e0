package io.gptq4j.gptq;

import io.gptq4j.format.ModuleRule;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention;
import io.gptq4j.model.Block;
import io.gptq4j.model.Mlp;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The rules of a plan as servers need them. vLLM computes q, k and v, and gate and up, as one module each and, in most of its
 * versions, looks up this module's name and not theirs; so what holds for the parts is said of the whole, too. Its rules: {@code
 * get_dynamic_override} and {@code override_config} in vLLM's {@code gptq_utils.py}.
 */
final class DynamicRules {
    private DynamicRules() {}

    /** What a server must know to read a module. */
    private record Reading(int bits, int groupSize, boolean sym, boolean descAct) {
        static Reading of(GptqOptions options) {
            return new Reading(options.bits(), options.groupSize(), options.sym(), options.descAct());
        }

        boolean fitsMarlin() {
            return sym && (bits == 4 || bits == 8);
        }

        Map<String, Object> settings() {
            Map<String, Object> settings = new LinkedHashMap<>();
            settings.put("bits", bits);
            settings.put("group_size", groupSize);
            settings.put("sym", sym);
            settings.put("desc_act", descAct);
            return settings;
        }
    }

    /** How many names of modules a message holds. */
    private static final int MOST_NAMES = 4;

    /** Modules of a block that vLLM computes as one. */
    private record Fused(String name, List<Linear> parts) {}

    private static List<Fused> fused(Block block) {
        List<Fused> all = new ArrayList<>();
        if (block.attention() instanceof Attention.MultiHead attention
                && attention.inputs().size() > 1) {
            all.add(fused("qkv_proj", attention.inputs()));
        }
        if (block.mlp() instanceof Mlp.Gated gated) {
            all.add(fused("gate_up_proj", gated.inputs()));
        } else if (block.mlp() instanceof Mlp.Experts moe) {
            moe.shared()
                    .filter(Mlp.Gated.class::isInstance)
                    .ifPresent(shared -> all.add(fused("gate_up_proj", shared.inputs())));
            List<Linear> parts = new ArrayList<>();
            for (Mlp.Gated expert : moe.experts()) {
                parts.addAll(expert.inputs());
                parts.add(expert.output());
            }
            String first = parts.get(0).name(); // such as mlp.experts.0.gate_proj
            all.add(new Fused(first.replaceFirst("\\.\\d+\\..*", ""), parts));
        }
        return all;
    }

    private static Fused fused(String name, List<Linear> parts) {
        String first = parts.get(0).name();
        return new Fused(first.substring(0, first.lastIndexOf('.') + 1) + name, parts);
    }

    /** How a server must read a module; null if it stays in float. */
    private static @Nullable Reading reading(QuantizationPlan plan, int layer, Linear module) {
        return plan.isQuantized(layer, module) ? Reading.of(plan.options(layer, module)) : null;
    }

    /** What rules say of a name; null if it stays in float. */
    private static @Nullable Reading reading(List<ModuleRule> rules, Reading base, String path) {
        Optional<ModuleRule> first = ModuleRule.first(rules, path);
        if (first.isEmpty()) {
            return base;
        }
        ModuleRule rule = first.get();
        return rule.quantized()
                ? new Reading(
                        rule.setting("bits", Integer.class, base.bits),
                        rule.setting("group_size", Integer.class, base.groupSize),
                        rule.setting("sym", Boolean.class, base.sym),
                        rule.setting("desc_act", Boolean.class, base.descAct))
                : null;
    }

    /** See {@link QuantizationPlan#dynamic}. */
    static List<ModuleRule> of(QuantizationPlan plan) {
        Reading base = Reading.of(plan.options());
        List<ModuleRule> rules = new ArrayList<>();
        boolean differs = false;
        for (ModuleRule rule : plan.rules()) {
            if (rule.quantized()) {
                Reading own = Reading.of(plan.options().with(rule));
                Map<String, Object> settings = new LinkedHashMap<>(rule.settings());
                if (own.descAct != base.descAct) { // as a group size alone can bring about
                    settings.put("desc_act", own.descAct);
                }
                differs |= !own.equals(base);
                rules.add(new ModuleRule(rule.regex(), true, settings));
            } else {
                differs = true;
                rules.add(rule);
            }
        }
        if (!differs) {
            return List.of();
        }
        List<ModuleRule> all = wholes(plan, base, rules);
        all.addAll(rules);
        return ModuleRule.ordered(all);
    }

    /** Rules for the modules that vLLM makes of several, where those for their parts do not say the same of them. */
    private static List<ModuleRule> wholes(QuantizationPlan plan, Reading base, List<ModuleRule> rules) {
        Architecture architecture = plan.architecture();
        List<ModuleRule> all = new ArrayList<>();
        Map<String, Map<Optional<Reading>, List<Integer>>> layers = new LinkedHashMap<>(); // by name
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (Fused whole : fused(architecture.block(layer))) {
                Reading wanted = reading(plan, layer, whole.parts.get(0));
                Reading said = reading(rules, base, architecture.inBlock(layer, whole.name));
                if (differing(plan, layer, whole).isEmpty() && !Objects.equals(wanted, said)) {
                    layers.computeIfAbsent(whole.name, name -> new LinkedHashMap<>())
                            .computeIfAbsent(Optional.ofNullable(wanted), w -> new ArrayList<>())
                            .add(layer);
                }
            }
        }
        layers.forEach((name, readings) -> readings.forEach((wanted, which) -> all.add(new ModuleRule(
                blocks(architecture, which) + name.replace(".", "\\.") + "$",
                wanted.isPresent(),
                wanted.map(Reading::settings).orElse(Map.of())))));
        return all;
    }

    /** An expression for what the names of modules in some blocks begin with. */
    static String blocks(Architecture architecture, List<Integer> layers) {
        String numbers = layers.size() == architecture.layers()
                ? "\\d+"
                : layers.stream()
                        .map(layer -> String.valueOf(architecture.numbers().get(layer)))
                        .collect(Collectors.joining("|", "(?:", ")"));
        return (architecture.path() + ".").replace(".", "\\.") + numbers + "\\.";
    }

    /** The modules that vLLM computes as one in a block, if they differ in what it needs to know. */
    private static List<Linear> differing(QuantizationPlan plan, int layer, Fused whole) {
        Set<Optional<Reading>> readings = new HashSet<>();
        whole.parts.forEach(part -> readings.add(Optional.ofNullable(reading(plan, layer, part))));
        return readings.size() > 1 ? whole.parts : List.of();
    }

    /** What keeps vLLM from loading an artifact with these rules as it is, in sentences. */
    static List<String> vllmProblems(QuantizationPlan plan) {
        Architecture architecture = plan.architecture();
        List<String> sentences = new ArrayList<>();
        Set<String> told = new HashSet<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (Fused whole : fused(architecture.block(layer))) {
                if (!told.contains(whole.name) && !differing(plan, layer, whole).isEmpty()) {
                    told.add(whole.name);
                    sentences.add(differ(architecture, layer, whole));
                }
            }
        }
        Reading base = Reading.of(plan.options());
        boolean others = IntStream.range(0, architecture.layers())
                .anyMatch(layer -> plan.groups(layer).stream()
                        .flatMap(group -> group.modules().stream())
                        .anyMatch(module ->
                                !Reading.of(plan.options(layer, module)).fitsMarlin()));
        if (base.fitsMarlin() && others) {
            sentences.add(
                    "vLLM chooses its kernels by the bits and sym of modules without a rule, and Marlin computes 4 and"
                            + " 8 bits with sym only: serve this model with --quantization gptq, or take a --bits below 4 and"
                            + " give the wider modules rules");
        }
        return sentences;
    }

    private static String differ(Architecture architecture, int layer, Fused whole) {
        String names = whole.parts.stream()
                .map(part -> architecture.inBlock(layer, part.name()))
                .limit(MOST_NAMES)
                .collect(Collectors.joining(", "));
        return names + (whole.parts.size() > MOST_NAMES ? " and so on" : "")
                + " differ in bits, group_size, sym or desc_act, or whether they are quantized; vLLM computes"
                + " them as one module and refuses that, so give them one rule unless the model is for GPTQModel alone";
    }

    /** What a user should know of servers, if modules differ. */
    static List<String> warnings(QuantizationPlan plan) {
        if (of(plan).isEmpty()) {
            return List.of();
        }
        List<String> sentences = new ArrayList<>();
        sentences.add(
                "Modules have settings of their own, which quantize_config.json tells under `dynamic`: only vLLM and"
                        + " GPTQModel read that; text-generation-inference, AutoGPTQ and transformers cannot load such a model");
        sentences.addAll(vllmProblems(plan));
        return sentences;
    }
}
