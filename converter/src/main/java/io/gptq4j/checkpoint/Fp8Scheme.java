package io.gptq4j.checkpoint;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a checkpoint in 8-bit floats says it is stored, in its {@code quantization_config}. What each tensor looks like is told
 * by its scales; only the size of blocks has to be said.
 *
 * @param blockRows outputs that share a scale where weights are scaled in blocks; 0 if they are not
 * @param blockColumns inputs that share a scale
 */
record Fp8Scheme(int blockRows, int blockColumns) {
    private static final String KEY = "quantization_config";

    /** Each scale is for a row or for the whole matrix. */
    private static final Fp8Scheme UNBLOCKED = new Fp8Scheme(0, 0);

    /**
     * The scheme of a checkpoint whose weights are 8-bit floats; empty if it is not quantized or quantized in another way.
     *
     * @throws CheckpointException if it has 8-bit floats that cannot be read
     */
    static Optional<Fp8Scheme> of(ModelConfig config) throws CheckpointException {
        ModelConfig holder = holder(config);
        Optional<ModelConfig> object = holder.object(KEY);
        if (object.isEmpty()) {
            return Optional.empty();
        }
        ModelConfig quantization = object.get();
        return switch (quantization.stringValue("quant_method", "")) {
            case "fp8" -> {
                String format = quantization.stringValue("fmt", "e4m3");
                if (!format.equals("e4m3") && !format.equals("float8_e4m3fn")) {
                    throw refused(quantization, "fmt = " + format + ", expected e4m3");
                }
                yield Optional.of(scheme(quantization, "weight_block_size"));
            }
            case "fbgemm_fp8" -> Optional.of(UNBLOCKED);
            case "compressed-tensors" -> compressed(quantization);
            default -> Optional.empty();
        };
    }

    /** The config without what says that weights are quantized, for they are not any more when they are read. */
    static ModelConfig without(ModelConfig config) throws CheckpointException {
        Map<String, Object> values = new LinkedHashMap<>(config.values());
        if (values.remove(KEY) == null) {
            Map<String, Object> nested = new LinkedHashMap<>(holder(config).values());
            nested.remove(KEY);
            values.put("text_config", nested);
        }
        return config.with(values);
    }

    /** Some multimodal checkpoints have it beside the text model's own keys. */
    private static ModelConfig holder(ModelConfig config) throws CheckpointException {
        boolean nested = !config.has(KEY) && config.values().get("text_config") instanceof Map<?, ?>;
        return nested ? config.object("text_config").orElse(config) : config;
    }

    /** What llm-compressor writes, of which only 8-bit floats are read here. */
    private static Optional<Fp8Scheme> compressed(ModelConfig quantization) throws CheckpointException {
        String format = quantization.stringValue("format", "");
        if (!format.equals("float-quantized") && !format.equals("naive-quantized")) {
            return Optional.empty();
        }
        if (quantization
                .object("transform_config")
                .filter(t -> !t.values().isEmpty())
                .isPresent()) {
            throw refused(quantization, "transform_config is not supported");
        }
        Fp8Scheme scheme = UNBLOCKED;
        ModelConfig groups = quantization.object("config_groups").orElse(ModelConfig.of(Map.of(), ""));
        for (String name : groups.values().keySet()) {
            Optional<ModelConfig> group = groups.object(name);
            Optional<ModelConfig> weights =
                    group.isEmpty() ? group : group.get().object("weights");
            if (weights.isPresent()) {
                int bits = weights.get().intValue("num_bits", 8);
                String type = weights.get().stringValue("type", "float");
                if (bits != 8 || !type.equals("float")) {
                    return Optional.empty();
                }
                Fp8Scheme other = scheme(weights.get(), "block_structure");
                scheme = other.blockRows > 0 ? other : scheme;
            }
        }
        return Optional.of(scheme);
    }

    private static Fp8Scheme scheme(ModelConfig config, String key) throws CheckpointException {
        Object size = config.values().get(key);
        if (size == null) {
            return UNBLOCKED;
        }
        if (size instanceof List<?> list
                && list.size() == 2
                && list.get(0) instanceof Integer rows
                && list.get(1) instanceof Integer columns
                && rows > 0
                && columns > 0) {
            return new Fp8Scheme(rows, columns);
        }
        throw refused(config, key + " = " + size + ", expected two positive integers");
    }

    private static CheckpointException refused(ModelConfig config, String what) {
        return new CheckpointException(config.origin() + ", " + KEY + ": " + what
                + "; quantize the 16-bit checkpoint that these weights were made of");
    }
}
