package io.gptq4j.gptq;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.CheckpointFormat;
import io.gptq4j.format.QuantizeConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.ModelWeights;
import io.gptq4j.model.ModuleGroup;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the artifact of a run will contain, known before the run. */
public final class ArtifactPlans {
    /** Constants that old checkpoints store and every implementation computes for itself: frequencies, and causal masks. */
    private static final List<String> RECOMPUTED =
            List.of(".rotary_emb.inv_freq", ".masked_bias", ".attn.bias", ".attention.bias", ".attn.causal_mask");

    private ArtifactPlans() {}

    /**
     * The quantized modules, and every other tensor of the checkpoint under its canonical name. Tensors the model does
     * not read are carried along as they are, but a head that config.json ties to the embedding is left out.
     *
     * @param checkpoint the float checkpoint
     * @param quantizer tool and version for the artifact's provenance, as {@code tool:version}
     * @param shardSize the largest size of one file, in bytes
     */
    public static ArtifactWriter.Plan of(
            Checkpoint checkpoint, ModelWeights weights, QuantizationPlan plan, String quantizer, long shardSize) {
        Architecture architecture = plan.architecture();
        List<ArtifactWriter.ModuleShape> modules = new ArrayList<>();
        Set<String> quantized = new HashSet<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (ModuleGroup group : plan.groups(layer)) {
                for (Linear linear : group.modules()) {
                    String path = architecture.inBlock(layer, linear.name());
                    modules.add(new ArtifactWriter.ModuleShape(path, linear.in(), linear.out()));
                    quantized.add(path + ".weight");
                }
            }
        }
        Map<String, String> canonicalNames = new HashMap<>();
        weights.storedNames().forEach((canonical, stored) -> canonicalNames.put(stored, canonical));
        Map<String, String> carried = new LinkedHashMap<>();
        Set<String> untouched = new HashSet<>();
        for (String stored : weights.source().tensors().keySet()) {
            String name = canonicalNames.getOrDefault(stored, stored);
            boolean tiedHead = architecture.head().tied()
                    && name.equals(architecture.head().name() + ".weight");
            boolean recomputed = !canonicalNames.containsKey(stored)
                    && stored.contains(architecture
                                    .path()
                                    .substring(architecture.basePrefix().length()) + ".")
                    && RECOMPUTED.stream().anyMatch(name::endsWith);
            if (!quantized.contains(name) && !tiedHead && !recomputed) {
                carried.put(name, stored);
                if (!weights.storedNames().containsKey(name)) {
                    untouched.add(name);
                }
            }
        }
        return new ArtifactWriter.Plan(
                checkpoint.with(checkpoint.config(), weights.source()),
                config(plan, quantizer, untouched),
                modules,
                carried,
                shardSize,
                architecture.head().tied(),
                Map.of(),
                untouched);
    }

    private static QuantizeConfig config(QuantizationPlan plan, String quantizer, Set<String> untouched) {
        GptqOptions options = plan.options();
        Map<String, Object> meta = new LinkedHashMap<>();
        meta.put("quantizer", List.of(quantizer));
        meta.put("damp_percent", options.dampPercent());
        meta.put("static_groups", options.staticGroups());
        meta.put("true_sequential", true);
        meta.put("mse", options.mse());
        return new QuantizeConfig(
                options.bits(),
                options.groupSize(),
                options.dampPercent(),
                options.descAct(),
                options.staticGroups(),
                options.sym(),
                true,
                false,
                null,
                CheckpointFormat.GPTQ,
                meta,
                namesApart(quantizedNames(plan), untouched),
                plan.dynamic());
    }

    /** Names within a block of the modules that are quantized in any of them, those that are solved together side by side. */
    private static List<List<String>> quantizedNames(QuantizationPlan plan) {
        Set<List<String>> groups = new LinkedHashSet<>();
        for (int layer = 0; layer < plan.architecture().layers(); layer++) {
            for (ModuleGroup group : plan.groups(layer)) {
                groups.add(group.modules().stream().map(Linear::name).toList());
            }
        }
        return List.copyOf(groups);
    }

    /**
     * The same names, or none where parts of the model that are not quantized have modules of these names, too: vLLM takes
     * every module for quantized whose path has one of them, but without any it looks which have quantized tensors.
     */
    private static List<List<String>> namesApart(List<List<String>> names, Set<String> untouched) {
        boolean shared = names.stream()
                .flatMap(List::stream)
                .anyMatch(module -> untouched.stream().anyMatch(tensor -> tensor.endsWith("." + module + ".weight")));
        return shared ? List.of() : names;
    }
}
