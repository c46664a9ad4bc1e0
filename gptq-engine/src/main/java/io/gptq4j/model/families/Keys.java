package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * config.json as a family reads it. Remembers which keys were asked for, so that those that would change the computation but
 * were not can be refused. A number or text may have several spellings; the first that is present counts.
 */
final class Keys {
    /** No model has more blocks, or experts in one of them; more would fill the memory with their descriptions. */
    private static final int MOST = 16_384;

    private final ModelConfig config;
    private final Set<String> asked = new HashSet<>();
    private final List<String> warnings = new ArrayList<>();

    private Keys(ModelConfig config) {
        this.config = config;
    }

    /** Reads a family's keys. */
    interface FamilyReader {
        Architecture read(Keys keys) throws CheckpointException;
    }

    /** A reader that refuses what the family did not ask for although it changes the computation. */
    static ModelFamily.Reader reader(FamilyReader family) {
        return config -> {
            Keys keys = new Keys(config);
            Architecture architecture = family.read(keys);
            ComputationKeys.requireObeyed(keys);
            List<String> unknown = ComputationKeys.unknown(keys);
            if (!unknown.isEmpty()) {
                keys.warn(config.origin() + " has keys that " + architecture.family() + " is not known to read: "
                        + String.join(", ", unknown)
                        + "; if one of them changes what the model computes, results are wrong");
            }
            return new ModelFamily.Reading(architecture, keys.warnings);
        };
    }

    /** The whole file, for keys that nothing else here reads. */
    ModelConfig config() {
        return config;
    }

    /** Tells the user a sentence. */
    void warn(String sentence) {
        warnings.add(sentence);
    }

    /** The keys that were asked for. */
    Set<String> asked() {
        return asked;
    }

    /** Whether a key is present and not null. */
    boolean has(String key) {
        asked.add(key);
        return config.has(key);
    }

    /** A required integer. */
    int integer(String... spellings) throws CheckpointException {
        return config.intValue(present(spellings));
    }

    /** A required number of blocks, or of experts. */
    int count(String... spellings) throws CheckpointException {
        return requireCount(integer(spellings), spellings);
    }

    /** The same with a default. */
    int countOr(int defaultValue, String... spellings) throws CheckpointException {
        return requireCount(integerOr(defaultValue, spellings), spellings);
    }

    private int requireCount(int count, String... spellings) throws CheckpointException {
        if (count < 1 || count > MOST) {
            throw error(present(spellings) + " is " + count + ", expected at least 1 and at most " + MOST);
        }
        return count;
    }

    int integerOr(int defaultValue, String... spellings) throws CheckpointException {
        return config.intValue(present(spellings), defaultValue);
    }

    /** An integer whose absence means the default, but null that there is none. */
    OptionalInt integerUnlessNull(int defaultValue, String key) throws CheckpointException {
        asked.add(key);
        return config.values().containsKey(key) && !config.has(key)
                ? OptionalInt.empty()
                : OptionalInt.of(config.intValue(key, defaultValue));
    }

    /** A required number. */
    double number(String... spellings) throws CheckpointException {
        return config.doubleValue(present(spellings));
    }

    double numberOr(double defaultValue, String... spellings) throws CheckpointException {
        return config.doubleValue(present(spellings), defaultValue);
    }

    /** A number that may be null for 0: {@code defaultValue} only where the key is missing. */
    double numberOrNone(double defaultValue, String key) throws CheckpointException {
        asked.add(key);
        return config.doubleValue(key, config.values().containsKey(key) ? 0 : defaultValue);
    }

    /** An integer that may be null for 0: {@code defaultValue} only where the key is missing. */
    int integerOrNone(int defaultValue, String key) throws CheckpointException {
        asked.add(key);
        return config.intValue(key, config.values().containsKey(key) ? 0 : defaultValue);
    }

    /** Marks keys that do not change what the family computes, whatever they say. */
    void ignore(String... keys) {
        asked.addAll(List.of(keys));
    }

    boolean flag(boolean defaultValue, String... spellings) throws CheckpointException {
        return config.booleanValue(present(spellings), defaultValue);
    }

    String textOr(String defaultValue, String... spellings) throws CheckpointException {
        return config.stringValue(present(spellings), defaultValue);
    }

    /** A nested object, whose keys count as asked for. */
    Optional<ModelConfig> object(String key) throws CheckpointException {
        asked.add(key);
        return config.object(key);
    }

    /** A list with one entry per block, or empty if it is missing. */
    Optional<List<?>> perBlock(String key, int blocks) throws CheckpointException {
        asked.add(key);
        Object value = config.values().get(key);
        if (value == null) {
            return Optional.empty();
        }
        if (!(value instanceof List<?> list) || list.size() != blocks) {
            throw error(key + " = " + value + " must be a list with one entry for each of " + blocks + " blocks");
        }
        return Optional.of(list);
    }

    /** A list of integers; none if it is missing. */
    List<Integer> integers(String key) throws CheckpointException {
        asked.add(key);
        Object value = config.values().get(key);
        if (value == null) {
            return List.of();
        }
        if (!(value instanceof List<?> list) || !list.stream().allMatch(Integer.class::isInstance)) {
            throw error(key + " = " + value + " must be a list of integers");
        }
        return list.stream().map(Integer.class::cast).toList();
    }

    Activation activation(String defaultName, String... spellings) throws CheckpointException {
        String key = present(spellings);
        String name = config.stringValue(key, defaultName);
        return Activation.of(name).orElseThrow(() -> error(key + " \"" + name + "\" is not a supported activation"));
    }

    /** A key that may only have the value under which the family's computation is right. */
    void only(Object plain, String key) throws CheckpointException {
        asked.add(key);
        Object value = config.values().get(key);
        if (value != null && !ComputationKeys.same(value, plain)) {
            throw error(key + " = " + value + " is not supported; only " + plain + " is");
        }
    }

    /** Heads must divide the size they share. */
    int divided(String what, int size, int parts) throws CheckpointException {
        if (parts <= 0 || size % parts != 0) {
            throw error(what + ": " + size + " is not divisible by " + parts);
        }
        return size / parts;
    }

    /** An error about this file. */
    CheckpointException error(String message) {
        return new CheckpointException(config.origin() + ": " + message);
    }

    /** Rotary positions over the whole head; {@link #partialRotary} for families that can rotate less. */
    Position.Rotary rotary(int headDim, boolean interleaved) throws CheckpointException {
        Position.Rotary rotary = partialRotary(headDim, 1, interleaved);
        if (rotary.channels() != headDim) {
            throw error("partial_rotary_factor is not supported for model_type \"" + config.modelType()
                    + "\", which rotates whole heads");
        }
        return rotary;
    }

    /**
     * Rotary positions: {@code rope_theta}, {@code rope_scaling} and {@code partial_rotary_factor}, or transformers 5's {@code
     * rope_parameters}.
     *
     * @param defaultShare which share of a head is rotated unless the config says so
     */
    Position.Rotary partialRotary(int headDim, double defaultShare, boolean interleaved) throws CheckpointException {
        return rotary(rope(), headDim, defaultShare, 10000, interleaved);
    }

    /** The same with a default of {@code rope_theta}. */
    Position.Rotary rotary(
            Optional<ModelConfig> rope, int headDim, double defaultShare, double defaultTheta, boolean interleaved)
            throws CheckpointException {
        double share = numberOr(defaultShare, "partial_rotary_factor", "rotary_pct", "rope_pct");
        double theta = numberOr(defaultTheta, "rope_theta", "rotary_emb_base");
        if (rope.isPresent()) {
            share = rope.get().doubleValue("partial_rotary_factor", share);
            theta = rope.get().doubleValue("rope_theta", theta);
        }
        int channels = (int) (headDim * share);
        if (channels < 2 || channels % 2 != 0 || channels > headDim) {
            throw error("partial_rotary_factor " + share + " makes " + channels + " rotated channels of " + headDim
                    + "; expected an even number of at most that many");
        }
        RopeScaling scaling =
                rope.isPresent() ? RopeScalings.read(rope.get(), config, channels / 2) : new RopeScaling.None();
        return new Position.Rotary(channels, theta, interleaved, scaling);
    }

    /** {@code rope_scaling} or {@code rope_parameters}, for families all of whose layers have the same. */
    Optional<ModelConfig> rope() throws CheckpointException {
        Optional<ModelConfig> parameters =
                object("rope_parameters").filter(object -> !object.values().isEmpty());
        Optional<ModelConfig> rope = object("rope_scaling")
                .filter(object -> !object.values().isEmpty())
                .or(() -> parameters);
        if (rope.filter(Keys::layered).isPresent()) {
            throw error("rope_parameters = " + rope.get().values()
                    + " differ by layer type, which is not supported for model_type \"" + config.modelType() + "\"");
        }
        return rope;
    }

    /** The part of {@code rope_parameters} for one layer type, where they differ by it. */
    Optional<ModelConfig> rope(String layerType) throws CheckpointException {
        Optional<ModelConfig> parameters = object("rope_parameters");
        if (parameters.isEmpty()) {
            return parameters;
        }
        if (layered(parameters.get())) {
            return parameters.get().object(layerType);
        }
        if (layerType.equals("full_attention") || !parameters.get().has("rope_theta")) {
            return parameters;
        }
        Map<String, Object> plain = Map.of("rope_theta", parameters.get().doubleValue("rope_theta"));
        return Optional.of(ModelConfig.of(plain, config.origin())); // scaling is for layers that see all
    }

    /** {@code max_position_embeddings}, or more where a rotary scaling reaches beyond. */
    int maxPositions(int defaultValue) throws CheckpointException {
        int positions = integerOr(defaultValue, "max_position_embeddings");
        Optional<ModelConfig> rope =
                object("rope_parameters").filter(Keys::layered).isPresent() ? rope("full_attention") : rope();
        return rope.isPresent() ? RopeScalings.positions(rope.get(), config, positions) : positions;
    }

    /** Whether it has an object for each layer type. */
    private static boolean layered(ModelConfig rope) {
        return rope.values().values().stream().anyMatch(Map.class::isInstance);
    }

    private String present(String... spellings) {
        List<String> keys = new ArrayList<>(List.of(spellings));
        asked.addAll(keys);
        return keys.stream().filter(config::has).findFirst().orElse(spellings[0]);
    }
}
