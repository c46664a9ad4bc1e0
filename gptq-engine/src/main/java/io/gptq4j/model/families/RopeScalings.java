package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.RopeScaling;
import java.util.ArrayList;
import java.util.List;

/** Reads {@code rope_scaling}, or {@code rope_parameters}, in the spellings of transformers 4 and 5. */
final class RopeScalings {
    /** Keys that change the computation and that no scaling here reads. */
    private static final List<String> REFUSED =
            List.of("alpha", "mrope_section", "short_mscale", "long_mscale", "llama_4_scaling_beta");

    private RopeScalings() {}

    /** The name of the scaling. */
    static String type(ModelConfig rope) throws CheckpointException {
        String type = rope.stringValue("rope_type", rope.stringValue("type", "default"));
        // Phi-3's own code called LongRoPE first su, then yarn
        return type.equals("su") || (type.equals("yarn") && rope.has("short_factor")) ? "longrope" : type;
    }

    /**
     * The scaling.
     *
     * @param pairs how many frequencies there are
     */
    static RopeScaling read(ModelConfig rope, ModelConfig model, int pairs) throws CheckpointException {
        String type = type(rope);
        for (String key : REFUSED) {
            if (rope.has(key)) {
                throw error(
                        model,
                        key + " = " + rope.values().get(key) + " is not supported for rope type \"" + type
                                + "\" of model_type \"" + model.modelType() + "\"");
            }
        }
        return switch (type) {
            case "default" -> new RopeScaling.None();
            case "linear" -> new RopeScaling.LinearFactor(factor(rope, model));
            case "dynamic" ->
                new RopeScaling.Dynamic(factor(rope, model), model.intValue("max_position_embeddings", 2048));
            case "llama3" ->
                new RopeScaling.Llama3(
                        factor(rope, model),
                        rope.doubleValue("low_freq_factor"),
                        rope.doubleValue("high_freq_factor"),
                        originalPositions(rope, model));
            case "yarn" -> yarn(rope, model);
            case "longrope" -> longRope(rope, model, pairs);
            default ->
                throw error(
                        model,
                        "rope type \"" + type
                                + "\" is not supported; supported are default, linear, dynamic, llama3, yarn, longrope");
        };
    }

    /** The longest window that a model with this scaling can take; {@code max_position_embeddings} may or may not know of it. */
    static int positions(ModelConfig rope, ModelConfig model, int maxPositions) throws CheckpointException {
        double longest = switch (type(rope)) {
            case "linear", "dynamic" -> maxPositions * rope.doubleValue("factor", 1);
            case "yarn" -> originalPositions(rope, model) * factor(rope, model);
            default -> maxPositions;
        };
        return (int) Math.max(longest, maxPositions);
    }

    private static RopeScaling yarn(ModelConfig rope, ModelConfig model) throws CheckpointException {
        double factor = factor(rope, model);
        double scale = rope.doubleValue("mscale", 0);
        double scaleAll = rope.doubleValue("mscale_all_dim", 0);
        double attention =
                scale != 0 && scaleAll != 0 ? growth(factor, scale) / growth(factor, scaleAll) : growth(factor, 1);
        return new RopeScaling.Yarn(
                factor,
                originalPositions(rope, model),
                rope.doubleValue("beta_fast", 32),
                rope.doubleValue("beta_slow", 1),
                rope.booleanValue("truncate", true),
                rope.doubleValue("attention_factor", attention));
    }

    /** YaRN's factor on scores, its square root: how much they grow with the length of the context. */
    static double growth(double factor, double scale) {
        return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
    }

    private static RopeScaling longRope(ModelConfig rope, ModelConfig model, int pairs) throws CheckpointException {
        double original = originalPositions(rope, model);
        double factor = factor(rope, model);
        double attention = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
        return new RopeScaling.LongRope(
                factors(rope, model, "short_factor", pairs),
                factors(rope, model, "long_factor", pairs),
                original,
                rope.doubleValue("attention_factor", attention));
    }

    private static List<Double> factors(ModelConfig rope, ModelConfig model, String key, int pairs)
            throws CheckpointException {
        List<Double> factors = new ArrayList<>();
        if (rope.values().get(key) instanceof List<?> list) {
            for (Object value : list) {
                if (value instanceof Number number && number.doubleValue() > 0) {
                    factors.add(number.doubleValue());
                }
            }
        }
        if (factors.size() != pairs) {
            throw error(
                    model,
                    key + " = " + rope.values().get(key) + " must be a list of " + pairs
                            + " positive numbers, one for each two rotated channels of a head");
        }
        return factors;
    }

    private static double originalPositions(ModelConfig rope, ModelConfig model) throws CheckpointException {
        String key = "original_max_position_embeddings";
        double positions =
                rope.doubleValue(key, model.doubleValue(key, model.doubleValue("max_position_embeddings", 2048)));
        if (positions <= 1) {
            throw error(model, key + " = " + positions + " must be more than 1");
        }
        return positions;
    }

    private static double factor(ModelConfig rope, ModelConfig model) throws CheckpointException {
        double factor = rope.has("factor") || !type(rope).matches("yarn|longrope")
                ? rope.doubleValue("factor")
                : model.doubleValue("max_position_embeddings", 2048) / originalPositions(rope, model);
        if (!(factor > 0)) {
            throw error(model, "rope scaling factor " + factor + " must be positive");
        }
        return factor;
    }

    private static CheckpointException error(ModelConfig model, String message) {
        return new CheckpointException(model.origin() + ": " + message);
    }
}
