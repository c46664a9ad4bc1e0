package io.gptq4j.it.hub;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The three kinds of repositories and their places in URLs. */
enum RepoType {
    MODEL("model", ""),
    DATASET("dataset", "datasets/"),
    SPACE("space", "spaces/");

    private final String word;
    private final String webPrefix;

    RepoType(String word, String webPrefix) {
        this.word = word;
        this.webPrefix = webPrefix;
    }

    String word() {
        return word;
    }

    /** What stands before the id outside /api: nothing for models. */
    String webPrefix() {
        return webPrefix;
    }

    /** The segment behind /api. */
    String plural() {
        return word + "s";
    }

    static @Nullable RepoType ofPlural(String plural) {
        return Arrays.stream(values())
                .filter(type -> type.plural().equals(plural))
                .findFirst()
                .orElse(null);
    }

    /** Of a request's field; a missing one means a model, any other word is refused. */
    static RepoType ofWord(@Nullable String word) {
        if (word == null) {
            return MODEL;
        }
        return Arrays.stream(values())
                .filter(type -> type.word.equals(word))
                .findFirst()
                .orElseThrow(() -> HubError.badRequest("Invalid repository type: " + word));
    }
}
