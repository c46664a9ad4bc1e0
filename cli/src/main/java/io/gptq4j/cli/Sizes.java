package io.gptq4j.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes in bytes as people write them; K, M, G and T are powers of 1000, Ki, Mi, Gi and Ti of 1024. */
final class Sizes {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,9})\\s*(?:([kmgt])(i?))?b?", Pattern.CASE_INSENSITIVE);

    private Sizes() {}

    static long parse(String text) {
        Matcher size = SIZE.matcher(text.strip());
        if (!size.matches() || Long.parseLong(size.group(1)) == 0) {
            throw new IllegalArgumentException("'" + text + "' is not a size; write 5GB, 500MB or 2GiB, for example");
        }
        long number = Long.parseLong(size.group(1));
        if (size.group(2) == null) {
            return number;
        }
        int power = "kmgt".indexOf(size.group(2).toLowerCase(Locale.ROOT)) + 1;
        long unit = size.group(3).isEmpty() ? 1000 : 1024;
        for (int i = 0; i < power; i++) {
            number = Math.multiplyExact(number, unit);
        }
        return number;
    }

    /** As {@code hf} prints them: {@code 4.0M}, {@code 2.0}. */
    static String compact(long bytes) {
        double value = bytes;
        for (String unit : new String[] {"", "K", "M", "G"}) {
            if (value < 1000) {
                return String.format(Locale.ROOT, "%.1f%s", value, unit);
            }
            value /= 1000;
        }
        return String.format(Locale.ROOT, "%.1fT", value);
    }

    /** A number of things: {@code 1 window}, {@code 2 windows}. */
    static String count(long number, String thing) {
        return number + " " + thing + (number == 1 ? "" : "s");
    }

    static String format(long bytes) {
        double value = bytes;
        for (String unit : new String[] {"B", "kB", "MB", "GB"}) {
            if (value < 1000) {
                return String.format(Locale.ROOT, unit.equals("B") ? "%.0f %s" : "%.1f %s", value, unit);
            }
            value /= 1000;
        }
        return String.format(Locale.ROOT, "%.1f TB", value);
    }
}
