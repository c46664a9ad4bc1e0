package io.gptq4j.card;

import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where the entries of a YAML mapping stand in its text.
 *
 * <p>Values are kept as the parser's events, in the words of the text. What {@code no}, {@code on} or {@code 012} mean
 * depends on the version of YAML and is of no interest here.
 *
 * @param text the YAML
 * @param entries the keys at the top in their order, each on a line of its own
 */
record YamlMapping(String text, List<Entry> entries) {
    private static final YAMLFactory YAML = YAMLFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    /** A name for a value, before it, and behind its tag if it has one. */
    private static final Pattern ANCHOR = Pattern.compile("(?:!\\S*\\s+)?&([^\\s,\\[\\]{}]+)");

    /**
     * A key and its value.
     *
     * @param events the value
     * @param start index of the key's first character
     */
    record Entry(String key, List<Event> events, int start) {
        /** Index behind the value. */
        int end() {
            return events.stream()
                    .filter(event -> !event.isNowhere())
                    .mapToInt(Event::end)
                    .max()
                    .orElse(start);
        }

        Event first() {
            return events.get(0);
        }

        Event last() {
            return events.get(events.size() - 1);
        }

        /** What says whether two values are the same. */
        List<String> words() {
            return events.stream()
                    .map(event -> event.token + (event.alias ? " *" : " ") + event.text)
                    .toList();
        }
    }

    /** A scalar, a key, or the start or end of a collection. */
    record Event(JsonToken token, String text, boolean alias, int start, int end) {
        /** Whether this is the end of a collection without brackets; the parser tells it where the next thing begins. */
        boolean isNowhere() {
            return token.isStructEnd() && start == end;
        }
    }

    /** The entry of a key. */
    Optional<Entry> entry(String key) {
        return entries.stream().filter(entry -> entry.key.equals(key)).findFirst();
    }

    /**
     * Reads a mapping.
     *
     * @return nothing if the text is not YAML, no mapping, a mapping in braces, or has a key twice: nothing that lines
     *     can be added to. A text without content is an empty mapping
     */
    static Optional<YamlMapping> parse(String text) {
        List<Entry> entries = new ArrayList<>();
        try (YAMLParser parser = YAML.createParser(text)) {
            Reading reading = new Reading(parser, text);
            JsonToken token = parser.nextToken();
            if (token == null) {
                return Optional.of(new YamlMapping(text, List.of()));
            }
            Event top = reading.event(token);
            if (token != JsonToken.START_OBJECT || top.end > top.start) {
                return Optional.empty();
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                Entry entry = reading.entry();
                if (entry == null) {
                    return Optional.empty();
                }
                entries.add(entry);
            }
            return parser.nextToken() == null ? Optional.of(new YamlMapping(text, entries)) : Optional.empty();
        } catch (IOException notYaml) {
            return Optional.empty();
        }
    }

    /** Index of the first character of the line that {@code index} is in. */
    static int lineStart(String text, int index) {
        int start = index;
        while (start > 0 && !isLineEnd(text.charAt(start - 1))) {
            start--;
        }
        return start;
    }

    /** Index behind the line that {@code index} is in, its line end included. */
    static int lineEnd(String text, int index) {
        int end = index;
        while (end < text.length() && !isLineEnd(text.charAt(end))) {
            end++;
        }
        return end + (text.startsWith("\r\n", end) ? 2 : end < text.length() ? 1 : 0);
    }

    private static boolean isLineEnd(char c) {
        return c == '\n' || c == '\r';
    }

    /** One pass over the parser's events. */
    private static final class Reading {
        private final YAMLParser parser;
        private final String text;
        private final Set<String> anchors = new HashSet<>();
        /** The parser counts characters, Java UTF-16 units; both grow from event to event. */
        private int characters;

        private int index;

        Reading(YAMLParser parser, String text) {
            this.parser = parser;
            this.text = text;
        }

        /** The entry whose key the parser stands on; null if something else shares the key's line. */
        @Nullable
        Entry entry() throws IOException {
            String key = parser.currentName();
            int start = index(parser.currentTokenLocation().getCharOffset());
            if (!text.substring(lineStart(text, start), start).isBlank()) {
                return null;
            }
            List<Event> events = new ArrayList<>();
            int depth = 0;
            do {
                JsonToken token = parser.nextToken();
                if (token == null) {
                    throw new IOException("The value of " + key + " does not end");
                }
                events.add(event(token));
                depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
            } while (depth > 0);
            return new Entry(key, events, start);
        }

        Event event(JsonToken token) throws IOException {
            int start = index(parser.currentTokenLocation().getCharOffset());
            int end = index(parser.currentLocation().getCharOffset());
            boolean alias = parser.isCurrentAlias();
            String words = String.valueOf(parser.getText());
            if (alias && !anchors.contains(words)) { // of which the parser itself takes no notice
                throw new IOException("No anchor " + words + " before its alias");
            }
            Matcher anchor = ANCHOR.matcher(text).region(start, end);
            if (!alias && anchor.lookingAt()) { // the parser knows those of collections only
                anchors.add(anchor.group(1));
            }
            return new Event(token, words, alias, start, end);
        }

        private int index(long characterOffset) {
            index = text.offsetByCodePoints(index, (int) characterOffset - characters);
            characters = (int) characterOffset;
            return index;
        }
    }
}
