package io.gptq4j.hub.transfer;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Chooses paths by shell patterns, with the meaning that Python's {@code fnmatchcase} gives them and huggingface_hub builds
 * on: {@code *} and {@code ?} match slashes too, {@code [seq]} and {@code [!seq]} are sets, nothing escapes, case counts; a
 * pattern that ends in a slash means all that is below it.
 *
 * @param allow a path must match one of these; empty means that no restriction was made
 * @param ignore a path must match none of these
 */
public record Patterns(Optional<List<String>> allow, List<String> ignore) {
    /** All paths. */
    public static final Patterns ALL = new Patterns(Optional.empty(), List.of());

    /** Copies the lists. */
    public Patterns {
        allow = allow.map(List::copyOf);
        ignore = List.copyOf(ignore);
    }

    /** From command-line options, where no pattern at all means no restriction. */
    public static Patterns of(List<String> allow, List<String> ignore) {
        return new Patterns(allow.isEmpty() ? Optional.empty() : Optional.of(allow), ignore);
    }

    /** Whether a path is chosen. */
    public boolean test(String path) {
        return allow.map(patterns -> matchesAny(patterns, path)).orElse(true) && !matchesAny(ignore, path);
    }

    /** Whether a path matches one of the patterns. */
    public static boolean matchesAny(List<String> patterns, String path) {
        return patterns.stream()
                .anyMatch(pattern ->
                        compiled(pattern).matcher(path.replace('\\', '/')).matches());
    }

    private static Pattern compiled(String pattern) {
        String glob = pattern.replace('\\', '/');
        if (glob.endsWith("/")) {
            glob += "*";
        }
        StringBuilder regex = new StringBuilder();
        int i = 0;
        while (i < glob.length()) {
            int c = glob.codePointAt(i);
            i += Character.charCount(c);
            if (c == '*') {
                regex.append(".*");
            } else if (c == '?') {
                regex.append('.');
            } else if (c == '[') {
                int end = setEnd(glob, i);
                if (end < 0) {
                    regex.append("\\[");
                } else {
                    appendSet(regex, glob.substring(i, end));
                    i = end + 1;
                }
            } else {
                regex.append(Pattern.quote(Character.toString(c)));
            }
        }
        return Pattern.compile(regex.toString(), Pattern.DOTALL);
    }

    /** Where the set ends that begins before {@code from}; a bracket right at its beginning belongs to it. */
    private static int setEnd(String glob, int from) {
        int first = from;
        if (first < glob.length() && glob.charAt(first) == '!') {
            first++;
        }
        return glob.indexOf(']', Math.min(first + 1, glob.length()));
    }

    private static void appendSet(StringBuilder regex, String set) {
        boolean negated = set.startsWith("!");
        int[] members = set.codePoints().skip(negated ? 1 : 0).toArray();
        StringBuilder body = new StringBuilder();
        for (int i = 0; i < members.length; i++) {
            int low = members[i];
            boolean isRange = i + 2 < members.length && members[i + 1] == '-';
            if (!isRange) {
                body.append(escaped(low));
            } else {
                int high = members[i + 2];
                if (low <= high) { // a range the wrong way round is empty
                    body.append(escaped(low)).append('-').append(escaped(high));
                }
                i += 2;
            }
        }
        if (body.isEmpty()) {
            regex.append(negated ? "." : "(?!)");
        } else {
            regex.append(negated ? "[^" : "[").append(body).append(']');
        }
    }

    private static String escaped(int c) {
        return Character.isLetterOrDigit(c) ? Character.toString(c) : "\\" + Character.toString(c);
    }
}
