package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.format.QuantizeConfig;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What {@code inspect} finds.
 *
 * @param directory where
 * @param modelType {@code model_type} of config.json
 * @param supported whether {@code quantize} and {@code eval} know the family
 * @param parameters weights, a packed one counted as one
 * @param tensors number of tensors
 * @param files number of weight files
 * @param bytes size of all tensors
 * @param bytesByDtype the same by dtype
 * @param quantization how it is quantized, or null for a float checkpoint
 * @param problems what would keep a server from loading it, or make it compute something else; one sentence each
 */
record Inspection(
        String directory,
        String modelType,
        boolean supported,
        long parameters,
        int tensors,
        int files,
        long bytes,
        Map<String, Long> bytesByDtype,
        @Nullable Quantization quantization,
        List<String> problems) {

    /**
     * The quantization of an artifact.
     *
     * @param kinds how many modules have which bits and group_size, the most frequent first
     * @param gIdx trivial, scattered or missing
     * @param dynamic rules for some modules
     */
    record Quantization(
            int bits,
            int groupSize,
            boolean sym,
            boolean descAct,
            String checkpointFormat,
            int modules,
            List<Kind> kinds,
            String gIdx,
            List<String> dynamic,
            List<String> quantizer) {}

    /** Modules that are alike. */
    record Kind(int bits, int groupSize, boolean sym, int modules) {}

    static Inspection of(Path directory) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            TensorSource source = checkpoint.tensors();
            Map<String, Long> byDtype = new TreeMap<>();
            Set<String> files = new HashSet<>();
            long parameters = 0;
            for (TensorInfo info : source.tensors().values()) {
                DType stored = source.storedType(info.name());
                byDtype.merge(stored.name(), info.elements() * stored.bits() / Byte.SIZE, Long::sum);
                files.add(source.location(info.name()));
                if (info.dtype().isFloatingPoint() && !info.name().endsWith(".scales")) {
                    parameters += info.elements();
                }
            }
            List<String> problems = new ArrayList<>();
            Quantization quantization = null;
            if (ArtifactReader.isArtifact(checkpoint)) {
                ArtifactReader reader = ArtifactReader.of(checkpoint);
                for (String module : reader.modules()) {
                    parameters += source.tensor(module + ".qweight").elements()
                            * 32
                            / reader.config().forModule(module).bits();
                }
                quantization = quantization(directory, checkpoint, reader, problems);
            }
            return new Inspection(
                    directory.toString(),
                    checkpoint.config().modelType(),
                    isSupported(checkpoint, problems),
                    parameters,
                    source.tensors().size(),
                    files.size(),
                    byDtype.values().stream().mapToLong(Long::longValue).sum(),
                    byDtype,
                    quantization,
                    problems);
        }
    }

    private static boolean isSupported(Checkpoint checkpoint, List<String> problems) {
        try {
            problems.addAll(ModelFamilies.reading(checkpoint).warnings());
            return true;
        } catch (CheckpointException e) {
            problems.add(String.valueOf(e.getMessage()));
            return false;
        }
    }

    private static Quantization quantization(
            Path directory, Checkpoint checkpoint, ArtifactReader reader, List<String> problems) throws IOException {
        QuantizeConfig config = reader.config();
        TensorSource source = checkpoint.tensors();
        boolean missing = false;
        boolean scattered = false;
        boolean unexpected = false;
        Map<List<Object>, Integer> counts = new LinkedHashMap<>();
        for (String module : reader.modules()) {
            QuantizeConfig own = config.forModule(module);
            counts.merge(List.of(own.bits(), own.groupSize(), own.sym()), 1, Integer::sum);
            missing |= !source.tensors().containsKey(module + ".g_idx");
            boolean isScattered = isScattered(reader.read(module));
            scattered |= isScattered;
            unexpected |= isScattered && !own.descAct();
        }
        List<Kind> kinds = counts.entrySet().stream()
                .map(kind -> new Kind(
                        (Integer) kind.getKey().get(0),
                        (Integer) kind.getKey().get(1),
                        (Boolean) kind.getKey().get(2),
                        kind.getValue()))
                .sorted(Comparator.comparingInt(Kind::modules).reversed())
                .toList();
        if (missing) {
            problems.add("g_idx is missing from some modules; text-generation-inference refuses such a model");
        }
        if (unexpected) {
            problems.add("g_idx is scattered although desc_act is false; fast kernels ignore it and compute nonsense");
        }
        if (kinds.size() > 1) {
            problems.add("modules have settings of their own (dynamic): only vLLM and GPTQModel read that;"
                    + " text-generation-inference, AutoGPTQ and transformers cannot load such a model");
        }
        if (kinds.stream().anyMatch(kind -> kind.bits() == 3)) {
            problems.add("3 bits: text-generation-inference has no kernel for it");
        }
        if (kinds.stream().anyMatch(kind -> !kind.sym())) {
            problems.add("asymmetric: Marlin kernels need sym, and GPTQModel refuses it from other tools");
        }
        if (!checkpoint.config().has(QuantizeConfig.CONFIG_KEY)) {
            problems.add(
                    "config.json has no quantization_config; transformers and vLLM take the model for a float one");
        }
        if (!Files.exists(directory.resolve(QuantizeConfig.FILE_NAME))) {
            problems.add(QuantizeConfig.FILE_NAME + " is missing; AutoGPTQ refuses a local model without it");
        }
        Object quantizer = config.meta().get("quantizer");
        return new Quantization(
                config.bits(),
                config.groupSize(),
                config.sym(),
                config.descAct(),
                config.checkpointFormat().jsonName(),
                reader.modules().size(),
                kinds,
                missing ? "missing" : scattered ? "scattered" : "trivial",
                config.dynamic().stream().map(ModuleRule::text).toList(),
                quantizer instanceof List<?> list
                        ? list.stream().map(String::valueOf).toList()
                        : List.of());
    }

    private static boolean isScattered(QuantizedLinear linear) {
        int group = linear.groupSize() == -1 ? linear.inFeatures() : linear.groupSize();
        for (int i = 0; i < linear.inFeatures(); i++) {
            if (linear.gIdx()[i] != i / group) {
                return true;
            }
        }
        return false;
    }
}
