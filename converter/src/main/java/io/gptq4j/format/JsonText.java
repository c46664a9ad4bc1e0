package io.gptq4j.format;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Iterator;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON text as Python's {@code json.dumps(value, indent=2)} lays it out, so that a diff against a file of the ecosystem
 * shows only what changed: two spaces, one element per line, ASCII only, floats in their shortest form, and the
 * literals NaN and Infinity that Python reads and writes.
 */
final class JsonText {
    private final StringBuilder text = new StringBuilder();

    private JsonText() {}

    /**
     * The text of a value made of maps, lists, strings, numbers, booleans and nulls, with a line feed at its end.
     *
     * @throws IllegalArgumentException if there is anything else in it
     */
    static String of(@Nullable Object value) {
        JsonText json = new JsonText();
        json.value(value, "\n");
        return json.text.append('\n').toString();
    }

    private void value(@Nullable Object value, String indent) {
        if (value instanceof String string) {
            string(string);
        } else if (value instanceof Double || value instanceof Float) {
            text.append(number(((Number) value).doubleValue()));
        } else if (value == null || value instanceof Boolean || value instanceof Number) {
            text.append(value);
        } else if (value instanceof Map<?, ?> map) {
            object(map, indent);
        } else if (value instanceof Iterable<?> list) {
            array(list, indent);
        } else {
            throw new IllegalArgumentException(
                    "Not a JSON value: " + value.getClass().getName());
        }
    }

    private void object(Map<?, ?> map, String indent) {
        Iterator<? extends Map.Entry<?, ?>> entries = map.entrySet().iterator();
        text.append('{');
        while (entries.hasNext()) {
            Map.Entry<?, ?> entry = entries.next();
            text.append(indent).append("  ");
            string(String.valueOf(entry.getKey()));
            text.append(": ");
            value(entry.getValue(), indent + "  ");
            text.append(entries.hasNext() ? "," : indent);
        }
        text.append('}');
    }

    private void array(Iterable<?> list, String indent) {
        Iterator<?> elements = list.iterator();
        text.append('[');
        while (elements.hasNext()) {
            text.append(indent).append("  ");
            value(elements.next(), indent + "  ");
            text.append(elements.hasNext() ? "," : indent);
        }
        text.append(']');
    }

    private void string(String string) {
        text.append('"');
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            switch (c) {
                case '"' -> text.append("\\\"");
                case '\\' -> text.append("\\\\");
                case '\n' -> text.append("\\n");
                case '\r' -> text.append("\\r");
                case '\t' -> text.append("\\t");
                case '\b' -> text.append("\\b");
                case '\f' -> text.append("\\f");
                default -> {
                    if (c >= ' ' && c < 0x7f) {
                        text.append(c);
                    } else {
                        text.append("\\u").append(Character.forDigit(c >> 12, 16));
                        text.append(Character.forDigit(c >> 8 & 15, 16));
                        text.append(Character.forDigit(c >> 4 & 15, 16));
                        text.append(Character.forDigit(c & 15, 16));
                    }
                }
            }
        }
        text.append('"');
    }

    /** As Python's repr: the shortest digits that give this double back, an exponent from 1e16 and below 1e-4 on. */
    private static String number(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Double.toString(value);
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        // Double.toString is not the shortest before JDK 19, and the same input must give the same bytes everywhere.
        BigDecimal exact = new BigDecimal(value);
        BigDecimal shortest = exact;
        for (int digits = 1; digits <= 17; digits++) {
            shortest = exact.round(new MathContext(digits)).stripTrailingZeros();
            if (shortest.doubleValue() == value) {
                break;
            }
        }
        int exponent = shortest.precision() - shortest.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = shortest.toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        BigDecimal significand = shortest.movePointLeft(exponent).stripTrailingZeros();
        String sign = exponent < 0 ? "-" : "+";
        String digits = Integer.toString(Math.abs(exponent));
        return significand.toPlainString() + "e" + sign + (digits.length() < 2 ? "0" : "") + digits;
    }
}
