package io.gptq4j.it.hub;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The YAML at the head of a model card: texts and lists of texts at the top level, which is what the hub looks at. */
final class CardYaml {
    /** Not YAML. */
    static final class Broken extends Exception {
        private static final long serialVersionUID = 1;

        private final int line;

        Broken(int line) {
            super("YAML metadata error in repo card");
            this.line = line;
        }

        /** The line in the card, from 1. */
        int line() {
            return line;
        }
    }

    private CardYaml() {}

    /** Values are strings or lists of strings; an empty map for a card without front matter. */
    static Map<String, Object> parse(String card) throws Broken {
        List<String> lines = card.lines().toList();
        Map<String, Object> data = new LinkedHashMap<>();
        if (lines.isEmpty() || !lines.get(0).strip().equals("---")) {
            return data;
        }
        String key = null;
        for (int i = 1; i < lines.size(); i++) {
            String line = lines.get(i);
            if (line.stripTrailing().equals("---")) {
                return data;
            }
            if (!line.isBlank() && !line.strip().startsWith("#")) {
                key = line(data, key, line, i + 1);
            }
        }
        throw new Broken(lines.size());
    }

    /** Takes one line; returns the key that later lines belong to. */
    private static @Nullable String line(Map<String, Object> data, @Nullable String key, String line, int number)
            throws Broken {
        String text = line.strip();
        if (line.startsWith("\t") || !balanced(text)) {
            throw new Broken(number);
        }
        boolean item = text.equals("-") || text.startsWith("- ");
        if (item && key != null) {
            if (data.get(key) instanceof List<?> list) {
                List<Object> longer = new ArrayList<>(list);
                longer.add(scalar(text.substring(1).strip()));
                data.put(key, longer);
            } else if ("".equals(data.get(key))) {
                data.put(key, List.of(scalar(text.substring(1).strip())));
            }
            return key;
        }
        if (line.startsWith(" ")) {
            if (key == null) {
                throw new Broken(number);
            }
            return key;
        }
        int colon = text.indexOf(':');
        if (colon <= 0 || (colon + 1 < text.length() && text.charAt(colon + 1) != ' ')) {
            throw new Broken(number);
        }
        String name = scalar(text.substring(0, colon));
        String value = text.substring(colon + 1).strip();
        data.put(name, value.startsWith("[") ? flow(value) : scalar(value));
        return name;
    }

    private static List<String> flow(String value) {
        List<String> items = new ArrayList<>();
        for (String item : value.substring(1, value.length() - 1).split(",", -1)) {
            if (!item.isBlank()) {
                items.add(scalar(item.strip()));
            }
        }
        return items;
    }

    private static String scalar(String text) {
        boolean quoted = text.length() >= 2
                && (text.charAt(0) == '"' || text.charAt(0) == '\'')
                && text.charAt(text.length() - 1) == text.charAt(0);
        return quoted ? text.substring(1, text.length() - 1) : text;
    }

    private static boolean balanced(String text) {
        int depth = 0;
        char quote = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean opens = i == 0 || " [{,".indexOf(text.charAt(i - 1)) >= 0;
            if (quote != 0) {
                quote = c == quote ? 0 : quote;
            } else if ((c == '"' || c == '\'') && opens) {
                quote = c;
            } else if (c == '[' || c == '{') {
                depth++;
            } else if (c == ']' || c == '}') {
                depth--;
            }
        }
        return depth == 0 && quote == 0;
    }
}
