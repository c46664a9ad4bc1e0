package io.gptq4j.card;

import com.fasterxml.jackson.core.JsonToken;
import io.gptq4j.card.YamlMapping.Entry;
import io.gptq4j.card.YamlMapping.Event;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Changes single entries of a YAML mapping and leaves every other byte alone. What was changed is parsed again: either
 * every entry is exactly what it should be, or there is no result.
 */
final class YamlEditor {
    private final YamlMapping mapping;
    private final String lineEnd;
    private final String indent;
    private final List<Edit> edits = new ArrayList<>();
    /** Lines for the end. */
    private final StringBuilder added = new StringBuilder();
    /** The words of every entry that the result must have. */
    private final Map<String, List<String>> expected = new HashMap<>();

    private boolean failed;

    private record Edit(int from, int to, String replacement) {}

    YamlEditor(YamlMapping mapping, String lineEnd) {
        this.mapping = mapping;
        this.lineEnd = lineEnd;
        mapping.entries().forEach(entry -> expected.put(entry.key(), entry.words()));
        indent = mapping.entries().isEmpty()
                ? ""
                : lineUpTo(mapping.entries().get(0).start());
    }

    /** Gives a key a value in YAML's spelling; the whole old entry goes. */
    void set(String key, String value) {
        replace(key, indent + key + ": " + value + lineEnd);
    }

    /** Gives a key a value unless it has one. */
    void setIfAbsent(String key, String value) {
        if (mapping.entry(key).isEmpty()) {
            set(key, value);
        }
    }

    /** Takes an entry out. */
    void remove(String key) {
        if (mapping.entry(key).isPresent()) {
            replace(key, "");
        }
    }

    /** Adds those of {@code values} that are not in a list yet, in the style the list is written in. */
    void addToList(String key, List<String> values) {
        Optional<Entry> list = mapping.entry(key).filter(entry -> !isEmpty(entry.first()));
        if (list.isEmpty()) {
            replace(key, list(key, values.stream()));
            return;
        }
        Entry entry = list.get();
        List<Event> items = items(entry);
        List<String> missing = values.stream()
                .filter(value -> items.stream().noneMatch(item -> value.equalsIgnoreCase(item.text())))
                .toList();
        if (entry.first().alias()) { // the list stands elsewhere, and serves others, too
            failed = true;
        } else if (!missing.isEmpty()) {
            add(entry, items, missing);
        }
    }

    private void add(Entry entry, List<Event> items, List<String> missing) {
        if (entry.first().token() != JsonToken.START_ARRAY) { // one text where a list should be
            String text = mapping.text()
                    .substring(entry.first().start(), entry.first().end());
            replace(entry.key(), list(entry.key(), Stream.concat(Stream.of(text), missing.stream())));
            return;
        }
        if (!entry.last().isNowhere()) {
            Event before = entry.events().get(entry.events().size() - 2);
            insert(before.end(), (before == entry.first() ? "" : ", ") + String.join(", ", missing));
        } else if (!items.isEmpty()) {
            String bullet = lineUpTo(items.get(0).start());
            insert(
                    lineBehind(entry),
                    missing.stream().map(value -> bullet + value + lineEnd).collect(Collectors.joining()));
        }
        List<String> words = new ArrayList<>(entry.words());
        words.addAll(
                words.size() - 1,
                missing.stream()
                        .map(value -> JsonToken.VALUE_STRING + " " + value)
                        .toList());
        expected.put(entry.key(), words);
    }

    /** The changed text; nothing if the changes did not come out as they were meant. */
    Optional<String> result() {
        // From the end, so that the places before stay true; what is put in before a line, after that line is replaced.
        edits.sort(
                Comparator.comparingInt(Edit::from).thenComparingInt(Edit::to).reversed());
        StringBuilder changed = new StringBuilder(mapping.text());
        for (Edit edit : edits) {
            changed.replace(edit.from, edit.to, edit.replacement);
        }
        changed.append(added);
        return YamlMapping.parse(changed.toString())
                .filter(result -> !failed && words(result).equals(expected))
                .map(YamlMapping::text);
    }

    private static Map<String, List<String>> words(YamlMapping mapping) {
        return mapping.entries().stream().collect(Collectors.toMap(Entry::key, Entry::words));
    }

    private static boolean isEmpty(Event first) {
        return first.token() == JsonToken.START_OBJECT
                || first.token() == JsonToken.VALUE_NULL
                || first.text().isEmpty();
    }

    /** The scalars that stand directly in the list, or the one that stands for it. */
    private static List<Event> items(Entry entry) {
        List<Event> items = new ArrayList<>();
        int depth = entry.first().token() == JsonToken.START_ARRAY ? 0 : 1;
        for (Event event : entry.events()) {
            depth += event.token().isStructStart() ? 1 : event.token().isStructEnd() ? -1 : 0;
            if (depth == 1 && event.token().isScalarValue()) {
                items.add(event);
            }
        }
        return items;
    }

    private String list(String key, Stream<String> values) {
        return indent + key + ":" + lineEnd
                + values.map(value -> indent + "- " + value + lineEnd).collect(Collectors.joining());
    }

    /** Puts lines in the place of an entry, or at the end. In their place they must mean what they mean alone. */
    private void replace(String key, String lines) {
        Optional<Entry> old = mapping.entry(key);
        if (old.isPresent()) {
            int from = YamlMapping.lineStart(mapping.text(), old.get().start());
            edits.add(new Edit(from, lineBehind(old.get()), lines));
        } else {
            added.append(lines);
        }
        expected.remove(key);
        Optional<YamlMapping> alone = YamlMapping.parse(lines);
        alone.ifPresent(mapping -> expected.putAll(words(mapping)));
        failed |= alone.isEmpty();
    }

    private void insert(int at, String text) {
        edits.add(new Edit(at, at, text));
    }

    /** Index of the first line behind an entry; the text of a block scalar ends there by itself. */
    private int lineBehind(Entry entry) {
        int end = entry.end();
        return YamlMapping.lineStart(mapping.text(), end) == end ? end : YamlMapping.lineEnd(mapping.text(), end);
    }

    private String lineUpTo(int index) {
        return mapping.text().substring(YamlMapping.lineStart(mapping.text(), index), index);
    }
}
