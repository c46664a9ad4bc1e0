package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.RopeScaling;

/** Reads {@code rope_scaling}, or {@code rope_parameters}. */
final class RopeScalings {
    private RopeScalings() {}

    static RopeScaling read(ModelConfig rope, ModelConfig model) throws CheckpointException {
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
                throw new CheckpointException(model.origin() + ": rope type \"" + type
                        + "\" is not supported; supported are default, linear, dynamic, llama3");
        };
    }
}
