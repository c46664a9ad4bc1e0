package io.gptq4j.hub.config;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The INI dialect of Python's ConfigParser without interpolation, which huggingface_hub reads and writes
 * {@code stored_tokens} with: section names as they stand, keys in lower case, {@code =} or {@code :}, whole-line comments
 * with {@code #} or {@code ;}, and indented lines that go on with the value before.
 */
final class IniFile {
    private IniFile() {}

    /**
     * Reads sections, each a map of keys to values, in the order of the file.
     *
     * @param text the content
     * @param source the file, for messages
     * @throws IOException if ConfigParser would not take it
     */
    static Map<String, Map<String, String>> parse(String text, String source) throws IOException {
        Map<String, Map<String, String>> sections = new LinkedHashMap<>();
        Map<String, String> section = null;
        String key = null;
        int indentOfKey = 0;
        int number = 0;
        for (String line : text.lines().toList()) {
            number++;
            String content = line.strip();
            int indent = line.length() - line.stripLeading().length();
            if (content.isEmpty() || content.startsWith("#") || content.startsWith(";")) {
                continue;
            }
            if (section != null && key != null && indent > indentOfKey) {
                section.merge(key, content, (before, more) -> before + "\n" + more);
                continue;
            }
            indentOfKey = indent;
            String name = header(content);
            if (name != null) {
                section = new LinkedHashMap<>();
                key = null;
                if (sections.putIfAbsent(name, section) != null) {
                    throw refused(source, number, "the section [" + name + "] stands there twice");
                }
                continue;
            }
            int delimiter = delimiter(content);
            if (section == null || delimiter <= 0) {
                // The line may hold a token, so it is not shown.
                throw refused(source, number, "expected [NAME] or KEY = VALUE");
            }
            key = content.substring(0, delimiter).strip().toLowerCase(Locale.ROOT);
            if (section.putIfAbsent(key, content.substring(delimiter + 1).strip()) != null) {
                throw refused(source, number, "the key " + key + " stands there twice");
            }
        }
        return sections;
    }

    /** Writes as ConfigParser does: an empty line after each section. */
    static String format(Map<String, Map<String, String>> sections) {
        StringBuilder text = new StringBuilder();
        sections.forEach((name, section) -> {
            text.append('[').append(name).append("]\n");
            section.forEach((key, value) -> text.append(key)
                    .append(" = ")
                    .append(value.replace("\n", "\n\t"))
                    .append('\n'));
            text.append('\n');
        });
        return text.toString();
    }

    private static @Nullable String header(String content) {
        int end = content.lastIndexOf(']');
        return content.startsWith("[") && end > 1 ? content.substring(1, end) : null;
    }

    private static int delimiter(String content) {
        int equals = content.indexOf('=');
        int colon = content.indexOf(':');
        return equals < 0 || (colon >= 0 && colon < equals) ? colon : equals;
    }

    private static IOException refused(String source, int line, String why) {
        return new IOException("The file " + source + " is broken at line " + line + ": " + why
                + "; mend it, or delete it and log in again");
    }
}
