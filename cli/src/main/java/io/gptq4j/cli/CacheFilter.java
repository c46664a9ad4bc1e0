package io.gptq4j.cli;

import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The expressions of {@code cache ls --filter}, such as {@code size>1GB}, {@code accessed>7d} and {@code refs=main}. */
final class CacheFilter {
    private static final Pattern EXPRESSION = Pattern.compile(
            "\\s*(size|accessed|modified|type|refs)\\s*(>=|<=|!=|=|>|<)\\s*(\\S+)\\s*", Pattern.CASE_INSENSITIVE);

    private CacheFilter() {}

    /**
     * Reads an expression.
     *
     * @param now the moment ages are counted from
     * @throws IllegalArgumentException if it is none
     */
    static Predicate<CacheRow> parse(String text, Instant now) {
        Matcher expression = EXPRESSION.matcher(text);
        if (!expression.matches()) {
            throw refused(text);
        }
        String operator = expression.group(2);
        String value = expression.group(3);
        return switch (expression.group(1).toLowerCase(Locale.ROOT)) {
            case "size" -> {
                long bytes = Sizes.parse(value);
                yield row -> holds(operator, Long.compare(row.size(), bytes));
            }
            case "accessed" -> {
                Duration age = Ages.parse(value);
                yield row ->
                        holds(operator, Duration.between(row.accessed(), now).compareTo(age));
            }
            case "modified" -> {
                Duration age = Ages.parse(value);
                yield row ->
                        holds(operator, Duration.between(row.modified(), now).compareTo(age));
            }
            case "type" -> {
                String type = value.toLowerCase(Locale.ROOT);
                yield equal(
                        text,
                        operator,
                        row -> row.repo().repo().type().singular().equals(type));
            }
            default -> equal(text, operator, row -> row.refs().contains(value));
        };
    }

    private static Predicate<CacheRow> equal(String text, String operator, Predicate<CacheRow> predicate) {
        return switch (operator) {
            case "=" -> predicate;
            case "!=" -> predicate.negate();
            default -> throw refused(text);
        };
    }

    private static boolean holds(String operator, int comparison) {
        return switch (operator) {
            case ">" -> comparison > 0;
            case ">=" -> comparison >= 0;
            case "<" -> comparison < 0;
            case "<=" -> comparison <= 0;
            case "!=" -> comparison != 0;
            default -> comparison == 0;
        };
    }

    private static IllegalArgumentException refused(String text) {
        return new IllegalArgumentException("'" + text + "' is no filter; write size>1GB, accessed>7d, modified<2w,"
                + " type=model or refs=main, for example");
    }
}
