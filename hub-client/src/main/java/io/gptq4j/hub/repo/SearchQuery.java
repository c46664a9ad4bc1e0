package io.gptq4j.hub.repo;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What repositories to look for.
 *
 * @param type their type
 * @param search a part of the id, or null
 * @param author the namespace, or null
 * @param filters tags that all must be there, such as {@code license:apache-2.0} or {@code base_model:quantized:ns/name}
 * @param sort {@code downloads}, {@code likes}, {@code lastModified}, {@code createdAt} or {@code trendingScore}; or null
 * @param limit most results, 1 or more
 */
public record SearchQuery(
        RepoType type,
        @Nullable String search,
        @Nullable String author,
        List<String> filters,
        @Nullable String sort,
        int limit) {
    /** Checks the limit. */
    public SearchQuery {
        if (limit < 1) {
            throw new IllegalArgumentException("The limit must be at least 1, not " + limit);
        }
        filters = List.copyOf(filters);
    }

    /** Models whose id contains a text. */
    public static SearchQuery models(String search, int limit) {
        return new SearchQuery(RepoType.MODEL, search, null, List.of(), null, limit);
    }
}
