package io.gptq4j.it.hub;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Header fields in the order they were sent; names are compared without case. Not thread-safe while it is built. */
public final class Headers {
    private final List<Map.Entry<String, String>> entries = new ArrayList<>();

    Headers() {}

    Headers(Headers other) {
        entries.addAll(other.entries);
    }

    Headers add(String name, String value) {
        entries.add(Map.entry(name, value));
        return this;
    }

    Headers set(String name, String value) {
        remove(name);
        return add(name, value);
    }

    void remove(String name) {
        entries.removeIf(entry -> entry.getKey().equalsIgnoreCase(name));
    }

    /** The first value of this name, or null. */
    public @Nullable String get(String name) {
        return entries.stream()
                .filter(entry -> entry.getKey().equalsIgnoreCase(name))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(null);
    }

    public boolean has(String name) {
        return get(name) != null;
    }

    /** All values of this name, in order. */
    public List<String> all(String name) {
        return entries.stream()
                .filter(entry -> entry.getKey().equalsIgnoreCase(name))
                .map(Map.Entry::getValue)
                .toList();
    }

    /** All fields as they were sent. */
    public List<Map.Entry<String, String>> entries() {
        return List.copyOf(entries);
    }

    @Override
    public String toString() {
        return entries.toString();
    }
}
