package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture.Activation;
import io.gptq4j.model.Architecture.Rotary;
import io.gptq4j.model.RopeScaling;
import java.util.Optional;

/** What several families read from config.json in the same way. */
final class Configs {
    private Configs() {}

    /** The first of several spellings of a required number. */
    static int either(ModelConfig config, String key, String otherKey) throws CheckpointException {
        return config.has(key) || !config.has(otherKey) ? config.intValue(key) : config.intValue(otherKey);
    }

    static Activation activation(ModelConfig config, String key, String defaultName) throws CheckpointException {
        String name = config.stringValue(key, defaultName);
        return Activation.of(name)
                .orElseThrow(() -> new CheckpointException(
                        config.origin() + ": " + key + " \"" + name + "\" is not a supported activation"));
    }

    /** A key that may only have the value under which the family's plain computation is right. */
    static void requireDefault(ModelConfig config, String key, Object plain) throws CheckpointException {
        Object value = config.values().get(key);
        boolean same = (value instanceof Number number && plain instanceof Number other)
                ? number.doubleValue() == other.doubleValue()
                : plain.equals(value);
        if (value != null && !same) {
            throw new CheckpointException(
                    config.origin() + ": " + key + " = " + value + " is not supported; only " + plain + " is");
        }
    }

    /** Heads must divide the size they share. */
    static int divided(ModelConfig config, String what, int size, int parts) throws CheckpointException {
        if (parts <= 0 || size % parts != 0) {
            throw new CheckpointException(
                    config.origin() + ": " + what + ": " + size + " is not divisible by " + parts);
        }
        return size / parts;
    }

    /** Rotary positions: {@code rope_theta} and {@code rope_scaling}, or transformers 5's {@code rope_parameters}. */
    static Rotary rotary(ModelConfig config) throws CheckpointException {
        requireDefault(config, "partial_rotary_factor", 1.0);
        Optional<ModelConfig> parameters = config.object("rope_parameters");
        if (parameters.isPresent()) {
            ModelConfig rope = parameters.get();
            requireDefault(rope, "partial_rotary_factor", 1.0);
            return new Rotary(rope.doubleValue("rope_theta", config.doubleValue("rope_theta", 10000)), scaling(rope));
        }
        Optional<ModelConfig> scaling = config.object("rope_scaling");
        return new Rotary(
                config.doubleValue("rope_theta", 10000),
                scaling.isPresent() ? scaling(scaling.get()) : new RopeScaling.None());
    }

    private static RopeScaling scaling(ModelConfig rope) throws CheckpointException {
        String type = rope.stringValue("rope_type", rope.stringValue("type", "default"));
        return switch (type) {
            case "default", "dynamic" -> new RopeScaling.None(); // dynamic acts only beyond max_position_embeddings
            case "linear" -> new RopeScaling.LinearFactor(rope.doubleValue("factor"));
            case "llama3" ->
                new RopeScaling.Llama3(
                        rope.doubleValue("factor"),
                        rope.doubleValue("low_freq_factor"),
                        rope.doubleValue("high_freq_factor"),
                        rope.doubleValue("original_max_position_embeddings"));
            default ->
                throw new CheckpointException(rope.origin() + ": rope type \"" + type
                        + "\" is not supported; supported are default, linear, dynamic, llama3");
        };
    }
}
