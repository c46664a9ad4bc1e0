package io.gptq4j.checkpoint;

import io.gptq4j.internal.Messages;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A read-only view of config.json. Values keep their JSON types: an integer is never made of a string, a fraction or a
 * boolean, but a number with a fraction may be asked of an integer. A key that is null counts as missing. Every error
 * names the file and the key.
 *
 * <p>Immutable.
 */
public final class ModelConfig {
    private final Map<String, Object> values;
    private final String origin;
    /** Path of a nested object within the file, with a dot at its end; empty at the top. */
    private final String prefix;
    /** What to take for the model type; null for what the file says. */
    private final @Nullable String readAs;

    private ModelConfig(Map<String, Object> values, String origin, String prefix, @Nullable String readAs) {
        this.values = values;
        this.origin = origin;
        this.prefix = prefix;
        this.readAs = readAs;
    }

    /**
     * Reads a file that must hold exactly one JSON object in UTF-8, without duplicate keys. NaN and Infinity are accepted
     * as Python writes them.
     *
     * @throws CheckpointException if it does not
     * @throws IOException if the file cannot be read
     */
    public static ModelConfig read(Path configJson) throws IOException {
        return of(JsonFiles.readObject(configJson), configJson.toString());
    }

    /**
     * A view of values that are already there; they are copied.
     *
     * @param values maps, lists, strings, numbers, booleans and nulls, as JSON has them
     * @param origin what messages call it
     */
    public static ModelConfig of(Map<String, Object> values, String origin) {
        return new ModelConfig(copyOf(values), origin, "", null);
    }

    /** The file, as messages name it. */
    public String origin() {
        return origin;
    }

    /** All values in the file's order; a JSON null is a null value. Unmodifiable, also inside. */
    public Map<String, Object> values() {
        return values;
    }

    /** The value of {@code model_type}, such as {@code llama}. */
    public String modelType() throws CheckpointException {
        return stringValue("model_type");
    }

    /** The same file, of a model that is to be taken for one of another type, or family; {@link #values} stay as they are. */
    public ModelConfig readAs(String family) {
        return new ModelConfig(values, origin, prefix, family);
    }

    /** The family or type that the model is to be taken for, if that was said and is not its own. */
    public Optional<String> family() {
        return Optional.ofNullable(readAs);
    }

    /** The same file with other values. */
    public ModelConfig with(Map<String, Object> otherValues) {
        return new ModelConfig(copyOf(otherValues), origin, prefix, readAs);
    }

    /** Whether the key is present and not null. */
    public boolean has(String key) {
        return values.get(key) != null;
    }

    /** The integer under {@code key}. */
    public int intValue(String key) throws CheckpointException {
        return toInt(key, require(key, "an integer"));
    }

    /** The integer under {@code key}, or the default if it is missing. */
    public int intValue(String key, int defaultValue) throws CheckpointException {
        Object value = values.get(key);
        return value == null ? defaultValue : toInt(key, value);
    }

    /** The number under {@code key}. */
    public double doubleValue(String key) throws CheckpointException {
        return toDouble(key, require(key, "a number"));
    }

    /** The number under {@code key}, or the default if it is missing. */
    public double doubleValue(String key, double defaultValue) throws CheckpointException {
        Object value = values.get(key);
        return value == null ? defaultValue : toDouble(key, value);
    }

    /** The boolean under {@code key}. */
    public boolean booleanValue(String key) throws CheckpointException {
        return cast(Boolean.class, key, require(key, "true or false"), "true or false");
    }

    /** The boolean under {@code key}, or the default if it is missing. */
    public boolean booleanValue(String key, boolean defaultValue) throws CheckpointException {
        Object value = values.get(key);
        return value == null ? defaultValue : cast(Boolean.class, key, value, "true or false");
    }

    /** The string under {@code key}. */
    public String stringValue(String key) throws CheckpointException {
        return cast(String.class, key, require(key, "a string"), "a string");
    }

    /** The string under {@code key}, or the default if it is missing. */
    public String stringValue(String key, String defaultValue) throws CheckpointException {
        Object value = values.get(key);
        return value == null ? defaultValue : cast(String.class, key, value, "a string");
    }

    /** The nested object under {@code key}, such as {@code rope_scaling}; empty if it is missing. */
    public Optional<ModelConfig> object(String key) throws CheckpointException {
        Object value = values.get(key);
        if (value == null) {
            return Optional.empty();
        }
        @SuppressWarnings("unchecked") // keys of a JSON object are strings
        Map<String, Object> nested = cast(Map.class, key, value, "an object");
        return Optional.of(new ModelConfig(nested, origin, prefix + key + ".", null));
    }

    private Object require(String key, String expected) throws CheckpointException {
        Object value = values.get(key);
        if (value == null) {
            throw new CheckpointException(origin + ": key " + Messages.quote(prefix + key)
                    + (values.containsKey(key) ? " is null" : " is missing") + ", expected " + expected);
        }
        return value;
    }

    private int toInt(String key, Object value) throws CheckpointException {
        return cast(Integer.class, key, value, "an integer of at most 32 bits");
    }

    private double toDouble(String key, Object value) throws CheckpointException {
        return cast(Number.class, key, value, "a number").doubleValue();
    }

    private <T> T cast(Class<T> type, String key, Object value, String expected) throws CheckpointException {
        if (!type.isInstance(value)) {
            String found = value instanceof String ? "the string " : value instanceof Number ? "the number " : "";
            throw new CheckpointException(origin + ": key " + Messages.quote(prefix + key) + " is " + found
                    + Messages.quote(value.toString()) + ", expected " + expected);
        }
        return type.cast(value);
    }

    private static Map<String, Object> copyOf(Map<?, ?> values) {
        Map<String, Object> copy = new LinkedHashMap<>();
        values.forEach((key, value) -> putNullable(copy, String.valueOf(key), immutable(value)));
        return Collections.unmodifiableMap(copy);
    }

    @SuppressWarnings("NullAway") // the map's values are what JSON has, null included
    private static void putNullable(Map<String, Object> map, String key, @Nullable Object value) {
        map.put(key, value);
    }

    private static @Nullable Object immutable(@Nullable Object value) {
        if (value instanceof Map<?, ?> map) {
            return copyOf(map);
        }
        if (value instanceof List<?> list) {
            List<@Nullable Object> copy = new ArrayList<>();
            list.forEach(item -> copy.add(immutable(item)));
            return Collections.unmodifiableList(copy);
        }
        return value;
    }
}
