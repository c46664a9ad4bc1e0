package io.gptq4j.cli;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Times as people speak of them: {@code 7d} in a filter, {@code 3 weeks ago} in a table. */
final class Ages {
    private static final Pattern AGE = Pattern.compile("(\\d{1,6})\\s*(s|m|h|d|w|mo|y)");

    /** Seconds of the units, the largest first. */
    private static final Map<String, Long> UNITS = new LinkedHashMap<>();

    static {
        UNITS.put("year", 365L * 86_400);
        UNITS.put("month", 30L * 86_400);
        UNITS.put("week", 7L * 86_400);
        UNITS.put("day", 86_400L);
        UNITS.put("hour", 3600L);
        UNITS.put("minute", 60L);
        UNITS.put("second", 1L);
    }

    private Ages() {}

    /** Reads a number and one of s, m, h, d, w, mo and y. */
    static Duration parse(String text) {
        Matcher age = AGE.matcher(text.strip().toLowerCase(Locale.ROOT));
        if (!age.matches()) {
            throw new IllegalArgumentException("'" + text + "' is no age; write 12h, 7d, 2w, 3mo or 1y, for example");
        }
        String unit = age.group(2);
        long seconds = UNITS.entrySet().stream()
                .filter(entry -> unit.equals("m")
                        ? entry.getKey().equals("minute")
                        : entry.getKey().startsWith(unit))
                .mapToLong(Map.Entry::getValue)
                .findFirst()
                .orElseThrow();
        return Duration.ofSeconds(Math.multiplyExact(Long.parseLong(age.group(1)), seconds));
    }

    /** How long ago something was, in the largest unit that fits. */
    static String ago(Instant then, Instant now) {
        long seconds = Math.max(0, Duration.between(then, now).toSeconds());
        for (Map.Entry<String, Long> unit : UNITS.entrySet()) {
            long count = seconds / unit.getValue();
            if (count > 0) {
                return count + " " + unit.getKey() + (count == 1 ? "" : "s") + " ago";
            }
        }
        return "now";
    }
}
