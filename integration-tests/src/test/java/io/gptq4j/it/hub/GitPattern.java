package io.gptq4j.it.hub;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** Lines of .gitattributes and .gitignore, as far as hubs meet them. */
final class GitPattern {
    private GitPattern() {}

    /** Whether a .gitattributes text gives the path to LFS; a later line wins over an earlier one. */
    static boolean isLfs(String attributes, String path) {
        boolean lfs = false;
        for (String line : lines(attributes)) {
            String[] words = line.strip().split("\\s+", -1);
            if (matches(words[0], path)) {
                for (String word : words) {
                    lfs = word.equals("filter=lfs") || (lfs && !word.equals("-filter") && !word.startsWith("filter="));
                }
            }
        }
        return lfs;
    }

    /** Whether a .gitignore text excludes the path or a folder above it; a later line wins over an earlier one. */
    static boolean isIgnored(String ignore, String path) {
        for (int slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
            if (ignores(ignore, path.substring(0, slash), true)) {
                return true;
            }
        }
        return ignores(ignore, path, false);
    }

    private static boolean ignores(String ignore, String path, boolean folder) {
        boolean ignored = false;
        for (String line : lines(ignore)) {
            String pattern = line.strip();
            boolean negated = pattern.startsWith("!");
            pattern = negated ? pattern.substring(1) : pattern;
            boolean foldersOnly = pattern.endsWith("/");
            pattern = foldersOnly ? pattern.substring(0, pattern.length() - 1) : pattern;
            if ((folder || !foldersOnly) && matches(pattern, path)) {
                ignored = !negated;
            }
        }
        return ignored;
    }

    private static List<String> lines(String text) {
        List<String> lines = new ArrayList<>();
        text.lines().filter(line -> !line.isBlank() && !line.startsWith("#")).forEach(lines::add);
        return lines;
    }

    /** A pattern without a slash is about the name, one with a slash about the path. */
    private static boolean matches(String pattern, String path) {
        boolean anchored = pattern.contains("/");
        String subject = anchored ? path : path.substring(path.lastIndexOf('/') + 1);
        return Pattern.matches(regex(pattern.startsWith("/") ? pattern.substring(1) : pattern), subject);
    }

    private static String regex(String pattern) {
        StringBuilder regex = new StringBuilder();
        int i = 0;
        while (i < pattern.length()) {
            if (pattern.startsWith("**/", i)) {
                regex.append("(?:.*/)?");
                i += 3;
            } else if (pattern.startsWith("**", i)) {
                regex.append(".*");
                i += 2;
            } else {
                char c = pattern.charAt(i++);
                regex.append(c == '*' ? "[^/]*" : c == '?' ? "[^/]" : Pattern.quote(String.valueOf(c)));
            }
        }
        return regex.toString();
    }
}
