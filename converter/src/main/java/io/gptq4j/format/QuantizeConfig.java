package io.gptq4j.format;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How an artifact was quantized: quantize_config.json, which stands again in config.json as
 * {@code quantization_config}. What is written is the object that AutoGPTQ, GPTQModel, transformers, TGI and vLLM all
 * parse without complaint; read are the spellings of each of them.
 *
 * @param bits code width: 2, 3, 4 or 8
 * @param groupSize inputs per group, or -1 for one group over all inputs
 * @param dampPercent damping of the Hessian's diagonal, between 0 and 1; informational
 * @param descAct whether some g_idx is not input / groupSize; kernels ignore g_idx where this is false
 * @param staticGroups whether the groups' grids were fixed before the solve; informational
 * @param sym whether every zero point is 2^(bits - 1); some kernels ignore the zero points where this is true
 * @param trueSequential whether the modules of a block were quantized one after the other; informational
 * @param lmHead whether the output head is quantized, too
 * @param modelNameOrPath where the model came from, or null
 * @param checkpointFormat how zero points are stored
 * @param meta provenance, JSON values only, such as {@code quantizer: ["tool:version"]}; written in the map's order
 * @param modulesInBlockToQuantize names of the quantized linears within a block, grouped as they were solved; empty if
 *     all of them
 * @param dynamic settings of their own for some modules, in the order in which they count; empty if all are alike
 */
public record QuantizeConfig(
        int bits,
        int groupSize,
        double dampPercent,
        boolean descAct,
        boolean staticGroups,
        boolean sym,
        boolean trueSequential,
        boolean lmHead,
        @Nullable String modelNameOrPath,
        CheckpointFormat checkpointFormat,
        Map<String, Object> meta,
        List<List<String>> modulesInBlockToQuantize,
        List<ModuleRule> dynamic) {
    /** The file every artifact has. */
    public static final String FILE_NAME = "quantize_config.json";

    /** The same object's key in config.json. */
    public static final String CONFIG_KEY = "quantization_config";

    private static final double DEFAULT_DAMP_PERCENT = 0.01;
    private static final List<String> FILE_NAMES = List.of(FILE_NAME, "quant_config.json");
    /** Keys on which readers must agree, or two of them decode different weights from one artifact. */
    private static final List<String> DECODING_KEYS =
            List.of("bits", "group_size", "sym", "checkpoint_format", "dynamic");
    /** What a rule for some modules could change beside {@link ModuleRule}'s settings, and nobody but GPTQModel reads. */
    private static final List<String> UNREADABLE_SETTINGS =
            List.of("adapter", "pack_dtype", "method", "quant_method", "format", "checkpoint_format");

    private static final Map<String, String> SYNONYMS = Map.of("method", "quant_method", "format", "checkpoint_format");

    /**
     * Checks the values and copies the collections.
     *
     * @throws IllegalArgumentException naming the key and what it must be
     */
    public QuantizeConfig {
        if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
            throw new IllegalArgumentException("bits must be 2, 3, 4 or 8, not " + bits);
        }
        if (groupSize != -1 && groupSize <= 0) {
            throw new IllegalArgumentException("group_size must be -1 or positive, not " + groupSize);
        }
        if (!(dampPercent > 0 && dampPercent < 1)) {
            throw new IllegalArgumentException("damp_percent must lie between 0 and 1, not be " + dampPercent);
        }
        JsonText.of(meta);
        meta = Collections.unmodifiableMap(new LinkedHashMap<>(meta));
        modulesInBlockToQuantize =
                modulesInBlockToQuantize.stream().map(List::copyOf).toList();
        dynamic = ModuleRule.ordered(dynamic);
    }

    /** A configuration with the defaults of this project: true-sequential, v1, nothing informational. */
    public static QuantizeConfig of(int bits, int groupSize, boolean descAct, boolean sym) {
        return new QuantizeConfig(
                bits,
                groupSize,
                DEFAULT_DAMP_PERCENT,
                descAct,
                false,
                sym,
                true,
                false,
                null,
                CheckpointFormat.GPTQ,
                Map.of(),
                List.of(),
                List.of());
    }

    /** What is true of one module: this, with the settings of the first rule that matches its path, if there is one. */
    public QuantizeConfig forModule(String path) {
        return ModuleRule.first(dynamic, path)
                .filter(ModuleRule::quantized)
                .map(rule -> new QuantizeConfig(
                        rule.setting("bits", Integer.class, bits),
                        rule.setting("group_size", Integer.class, groupSize),
                        rule.setting("damp_percent", Double.class, dampPercent),
                        rule.setting("desc_act", Boolean.class, descAct),
                        staticGroups,
                        rule.setting("sym", Boolean.class, sym),
                        trueSequential,
                        lmHead,
                        modelNameOrPath,
                        checkpointFormat,
                        meta,
                        modulesInBlockToQuantize,
                        List.of()))
                .orElse(this);
    }

    /** The object as it is written, keys in writing order. Unmodifiable. */
    public Map<String, @Nullable Object> toMap() {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        map.put("bits", bits);
        map.put("group_size", groupSize);
        map.put("damp_percent", dampPercent);
        map.put("desc_act", descAct);
        map.put("static_groups", staticGroups);
        map.put("sym", sym);
        map.put("true_sequential", trueSequential);
        map.put("lm_head", lmHead);
        map.put("model_name_or_path", modelNameOrPath);
        map.put("model_file_base_name", "model"); // model.safetensors is the only name that every consumer reads
        map.put("quant_method", "gptq");
        map.put("checkpoint_format", checkpointFormat.jsonName());
        map.put("pack_dtype", "int32");
        if (!dynamic.isEmpty()) { // its presence alone is unusual
            Map<String, Object> rules = new LinkedHashMap<>();
            dynamic.forEach(rule -> rules.putIfAbsent(rule.key(), rule.settings()));
            map.put("dynamic", rules);
        }
        map.put("meta", meta);
        if (!modulesInBlockToQuantize.isEmpty()) { // an empty list would tell optimum that nothing is quantized
            map.put("modules_in_block_to_quantize", modulesInBlockToQuantize);
        }
        return Collections.unmodifiableMap(map);
    }

    /** The text of quantize_config.json. */
    public String toJson() {
        return JsonText.of(toMap());
    }

    /**
     * Reads the configuration of an artifact: {@code quantization_config} of config.json, completed by
     * quantize_config.json or else quant_config.json.
     *
     * @param directory the artifact
     * @param config its config.json
     * @throws CheckpointException if there is none, if the two contradict each other, or as {@link #fromMap}
     * @throws IOException if a file cannot be read
     */
    public static QuantizeConfig read(Path directory, ModelConfig config) throws IOException {
        Map<String, Object> values = new LinkedHashMap<>();
        String origin = "";
        Optional<ModelConfig> block = config.object(CONFIG_KEY);
        if (block.isPresent()) {
            origin = config.origin() + ", " + CONFIG_KEY;
            values.putAll(canonical(block.get().values(), origin));
        }
        for (String name : FILE_NAMES) {
            Path file = directory.resolve(name);
            if (!Files.isRegularFile(file)) {
                continue;
            }
            Map<String, Object> others = canonical(ModelConfig.read(file).values(), file.toString());
            for (String key : DECODING_KEYS) {
                Object value = values.get(key);
                Object other = others.get(key);
                if (value != null && other != null && !value.equals(other)) {
                    throw new CheckpointException(origin + " says " + key + " is " + value + ", but " + file + " says "
                            + other + ": correct the wrong one");
                }
            }
            others.forEach(values::putIfAbsent);
            origin = origin.isEmpty() ? file.toString() : origin;
            break;
        }
        if (origin.isEmpty()) {
            throw new CheckpointException(directory + " is not a GPTQ artifact: config.json has no " + CONFIG_KEY
                    + " and there is no " + FILE_NAME);
        }
        return fromMap(values, origin);
    }

    /**
     * Reads a configuration in any of the ecosystem's spellings. Missing keys have AutoGPTQ's and transformers' meaning:
     * {@code sym} true, {@code desc_act} false, {@code checkpoint_format} "gptq". Unknown keys are ignored.
     *
     * @param values the JSON object
     * @param origin the file, for messages
     * @throws CheckpointException naming the key, if something is malformed or says that the weights are not in one of
     *     the two {@link CheckpointFormat formats} or not all of one kind
     */
    public static QuantizeConfig fromMap(Map<String, Object> values, String origin) throws CheckpointException {
        ModelConfig json = ModelConfig.of(canonical(values, origin), origin);
        refuseOtherMethods(json);
        String format = json.stringValue("checkpoint_format", CheckpointFormat.GPTQ.jsonName());
        CheckpointFormat checkpointFormat = CheckpointFormat.of(format)
                .orElseThrow(() -> new CheckpointException(
                        origin + ": checkpoint_format " + format + " cannot be read, only gptq and gptq_v2"));
        ModelConfig meta = json.object("meta").orElseGet(() -> ModelConfig.of(Map.of(), origin));
        double damp = json.doubleValue("damp_percent", meta.doubleValue("damp_percent", DEFAULT_DAMP_PERCENT));
        try {
            return new QuantizeConfig(
                    json.intValue("bits"),
                    json.intValue("group_size"),
                    damp,
                    json.booleanValue("desc_act", false),
                    json.booleanValue("static_groups", meta.booleanValue("static_groups", false)),
                    json.booleanValue("sym", true),
                    json.booleanValue("true_sequential", meta.booleanValue("true_sequential", true)),
                    json.booleanValue("lm_head", false),
                    json.has("model_name_or_path") ? json.stringValue("model_name_or_path") : null,
                    checkpointFormat,
                    meta.values(),
                    modulesInBlock(json),
                    dynamic(json));
        } catch (IllegalArgumentException e) {
            throw new CheckpointException(origin + ": " + e.getMessage(), e);
        }
    }

    private static void refuseOtherMethods(ModelConfig json) throws CheckpointException {
        String method = json.stringValue("quant_method", json.has("zero_point") || json.has("w_bit") ? "awq" : "gptq");
        refuse(json, !method.equals("gptq"), "quant_method is " + method + ", but only gptq can be read");
        refuse(json, json.booleanValue("is_marlin_format", false), "is_marlin_format: repacked weights cannot be read");
        String word = json.stringValue("pack_dtype", "int32");
        refuse(json, !word.equals("int32"), "pack_dtype is " + word + ", but only int32 can be read");
        refuse(json, json.has("rotation"), "rotation: rotated weights cannot be read");
        refuse(json, json.has("adapter"), "adapter: weights that need an adapter cannot be read");
    }

    private static List<ModuleRule> dynamic(ModelConfig json) throws CheckpointException {
        List<ModuleRule> rules = new ArrayList<>();
        for (Map.Entry<String, Object> rule :
                json.object("dynamic").map(ModelConfig::values).orElse(Map.of()).entrySet()) {
            Map<?, ?> settings = rule.getValue() instanceof Map<?, ?> map ? map : Map.of();
            refuse(
                    json,
                    rule.getValue() != null && !(rule.getValue() instanceof Map<?, ?>),
                    "dynamic: the settings for modules " + rule.getKey() + " are no object");
            for (String setting : UNREADABLE_SETTINGS) {
                refuse(
                        json,
                        settings.get(setting) != null,
                        "dynamic: modules " + rule.getKey() + " have their own " + setting + ", which cannot be read");
            }
            rules.add(ModuleRule.of(rule.getKey(), settings));
        }
        return rules;
    }

    private static void refuse(ModelConfig json, boolean condition, String message) throws CheckpointException {
        if (condition) {
            throw new CheckpointException(json.origin() + ": " + message);
        }
    }

    /** The values that are not null, under the keys that are written here. */
    private static Map<String, Object> canonical(Map<String, Object> values, String origin) throws CheckpointException {
        Map<String, Object> canonical = new LinkedHashMap<>();
        for (Map.Entry<String, Object> entry : values.entrySet()) {
            Object value = entry.getValue();
            if (value == null) {
                continue;
            }
            String key = SYNONYMS.getOrDefault(entry.getKey(), entry.getKey());
            Object other = canonical.putIfAbsent(key, value);
            if (other != null && !other.equals(value)) {
                throw new CheckpointException(
                        origin + ": " + key + " is both " + other + " and " + value + ": correct the wrong one");
            }
        }
        return canonical;
    }

    /** A list of lists, or one flat list, as optimum also writes it. */
    private static List<List<String>> modulesInBlock(ModelConfig json) throws CheckpointException {
        Object value = json.values().get("modules_in_block_to_quantize");
        if (value == null) {
            return List.of();
        }
        List<List<String>> groups = new ArrayList<>();
        boolean wellFormed = value instanceof List<?>;
        for (Object element : value instanceof List<?> list ? list : List.of()) {
            List<String> group = new ArrayList<>();
            for (Object name : element instanceof List<?> list ? list : List.of(element)) {
                wellFormed &= name instanceof String;
                group.add(String.valueOf(name));
            }
            groups.add(group);
        }
        refuse(json, !wellFormed, "modules_in_block_to_quantize must be a list of lists of names, not " + value);
        return groups;
    }
}
