package io.gptq4j.format;

import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;

/**
 * One entry of {@code dynamic} in quantize_config.json: settings of their own for the modules whose path a regular expression
 * matches at its start, as Python's {@code re.match} does. GPTQModel and vLLM obey the first rule that matches a module, and
 * GPTQModel looks at those that leave modules in float before all others; so does {@link #ordered}.
 *
 * @param regex what a module's path begins with, such as {@code .*\.down_proj}
 * @param quantized whether the modules are quantized at all; the key of a rule that leaves them in float begins with -:
 * @param settings what is different for them, under GPTQModel's names: bits and group_size (integers), desc_act and sym
 *     (booleans), mse and damp_percent (doubles); the last two say how codes were found, not how they are read
 */
public record ModuleRule(String regex, boolean quantized, Map<String, Object> settings) {
    private static final String SKIP = "-:";
    private static final String OVERRIDE = "+:";

    private static final Map<String, Class<?>> TYPES = new TreeMap<>(Map.of(
            "bits", Integer.class,
            "group_size", Integer.class,
            "desc_act", Boolean.class,
            "sym", Boolean.class,
            "mse", Double.class,
            "damp_percent", Double.class));

    /** The short forms of a rule on a command line. */
    private static final Map<String, String> SHORT = Map.of("group", "group_size", "damp", "damp_percent");

    /** What Java understands and Python does not, or otherwise; servers would match other modules than we do. */
    private static final Pattern JAVA_ONLY =
            Pattern.compile("\\\\[QEpPhHRXGkzZ]|&&|\\(\\?<[^=!]|[*+?}]\\+|\\[[^]\\\\]*\\[");

    /**
     * Checks the expression and the values.
     *
     * @throws IllegalArgumentException naming what is wrong, and what is allowed
     */
    public ModuleRule {
        try {
            Pattern.compile(regex);
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException(
                    "'" + regex + "' is no regular expression: " + e.getDescription() + " near position "
                            + Math.max(0, e.getIndex()),
                    e);
        }
        if (regex.isEmpty() || regex.startsWith(SKIP) || regex.startsWith(OVERRIDE)) {
            throw new IllegalArgumentException("'" + regex + "' is no regular expression for the names of modules");
        }
        if (JAVA_ONLY.matcher(regex).find()) {
            throw new IllegalArgumentException("'" + regex
                    + "' uses a construct that Java and Python, in which servers are written, read differently: use"
                    + " plain characters, ., *, +, ?, {}, [], () and |");
        }
        if (!quantized && !settings.isEmpty()) {
            throw new IllegalArgumentException("a rule that leaves '" + regex + "' in float has no settings");
        }
        settings.forEach(ModuleRule::check);
        settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
    }

    private static void check(String key, Object value) {
        Class<?> type = TYPES.get(key);
        if (type == null) {
            throw new IllegalArgumentException(
                    "'" + key + "' is no setting of a module, only " + String.join(", ", TYPES.keySet()) + " are");
        }
        boolean right = type.isInstance(value)
                && switch (key) {
                    case "bits" -> Set.<Object>of(2, 3, 4, 8).contains(value);
                    case "group_size" -> (Integer) value == -1 || (Integer) value > 0;
                    case "damp_percent" -> (Double) value > 0 && (Double) value < 1;
                    case "mse" -> (Double) value >= 0;
                    default -> true;
                };
        if (!right) {
            throw new IllegalArgumentException(key + " must be "
                    + switch (key) {
                        case "bits" -> "2, 3, 4 or 8";
                        case "group_size" -> "-1 or positive";
                        case "damp_percent" -> "between 0 and 1";
                        case "mse" -> "0 or an exponent such as 2.4";
                        default -> "true or false";
                    }
                    + ", not " + value);
        }
    }

    /** A rule as a person writes it: {@code REGEX=bits:8,group:32}, or {@code -:REGEX} to leave modules in float. */
    public static ModuleRule parse(String text) {
        if (text.startsWith(SKIP)) {
            return new ModuleRule(text.substring(SKIP.length()), false, Map.of());
        }
        int equals = text.lastIndexOf('='); // values hold none, but an expression may
        if (equals < 0) {
            throw new IllegalArgumentException(
                    "'" + text + "' is no rule: write REGEX=bits:8,group:32, or -:REGEX to leave modules in float");
        }
        String regex = text.substring(text.startsWith(OVERRIDE) ? OVERRIDE.length() : 0, equals);
        Map<String, Object> settings = new LinkedHashMap<>();
        for (String setting : text.substring(equals + 1).split(",", -1)) {
            String[] pair = setting.split(":", -1);
            String key = SHORT.getOrDefault(pair[0].trim(), pair[0].trim());
            if (pair.length != 2 || settings.put(key, value(key, pair[1].trim())) != null) {
                throw new IllegalArgumentException("'" + setting + "' in the rule '" + text
                        + "' is no setting, or is there twice: write name:value, separated by commas");
            }
        }
        return new ModuleRule(regex, true, settings);
    }

    private static Object value(String key, String text) {
        Class<?> type = TYPES.get(key);
        try {
            if (type == Integer.class) {
                return Integer.valueOf(text);
            } else if (type == Double.class) {
                return Double.valueOf(text);
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(key + " must be a number, not '" + text + "'", e);
        }
        return text.equals("true") || text.equals("false") ? (Object) Boolean.valueOf(text) : text;
    }

    /** The rule as {@link #parse} reads it. */
    public String text() {
        return quantized
                ? regex
                        + settings.entrySet().stream()
                                .map(setting -> setting.getKey() + ":" + setting.getValue())
                                .collect(Collectors.joining(",", "=", ""))
                : key();
    }

    /** The key of the entry. */
    public String key() {
        return quantized ? regex : SKIP + regex;
    }

    /** Whether it is about a module. */
    public boolean matches(String path) {
        return Pattern.compile(regex).matcher(path).lookingAt();
    }

    /** A setting, or what the modules have without the rule. */
    public <T> T setting(String key, Class<T> type, T otherwise) {
        Object value = settings.get(key);
        return value == null ? otherwise : type.cast(value);
    }

    /** The rules in the order in which they count. */
    public static List<ModuleRule> ordered(List<ModuleRule> rules) {
        return rules.stream()
                .sorted(Comparator.comparing(ModuleRule::quantized)) // stable
                .toList();
    }

    /** The rule that decides about a module. */
    public static Optional<ModuleRule> first(List<ModuleRule> ordered, String path) {
        return ordered.stream().filter(rule -> rule.matches(path)).findFirst();
    }

    /** An entry of a configuration; settings that do not matter here are left out. */
    static ModuleRule of(String key, Map<?, ?> values) {
        if (key.startsWith(SKIP)) {
            return new ModuleRule(key.substring(SKIP.length()), false, Map.of());
        }
        Map<String, Object> settings = new LinkedHashMap<>();
        values.forEach((name, value) -> {
            String setting = String.valueOf(name);
            if (value != null && TYPES.containsKey(setting)) {
                boolean whole = TYPES.get(setting) == Double.class && value instanceof Integer;
                settings.put(setting, whole ? (Object) ((Integer) value).doubleValue() : value);
            }
        });
        String regex = key.startsWith(OVERRIDE) ? key.substring(OVERRIDE.length()) : key;
        return new ModuleRule(regex, true, settings);
    }
}
