package io.gptq4j.hub.repo;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** The three kinds of repositories on the Hub. */
public enum RepoType {
    MODEL,
    DATASET,
    SPACE;

    /** Reads {@code model}, {@code dataset} or {@code space}, as the Hub's JSON and {@code hf --type} spell them. */
    public static RepoType parse(String name) {
        for (RepoType type : values()) {
            if (type.singular().equals(name)) {
                return type;
            }
        }
        throw new IllegalArgumentException("'" + name + "' is not a type of repository: expected one of "
                + Arrays.stream(values()).map(RepoType::singular).collect(Collectors.joining(", ")));
    }

    /** {@code model}, {@code dataset} or {@code space}. */
    public String singular() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** {@code models}, {@code datasets} or {@code spaces}: the segment after {@code /api/}. */
    public String plural() {
        return singular() + "s";
    }

    /** What stands before a repository id in a web address: nothing for models, else the plural and a slash. */
    public String webPrefix() {
        return this == MODEL ? "" : plural() + "/";
    }
}
