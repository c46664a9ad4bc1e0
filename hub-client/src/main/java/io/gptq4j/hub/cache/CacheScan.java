package io.gptq4j.hub.cache;

import java.util.List;

/**
 * What a cache holds.
 *
 * @param repos the repositories by type and name
 * @param warnings a sentence for each folder that is not as it should be; unless the sentence says otherwise the folder is
 *     not among the repositories
 */
public record CacheScan(List<CachedRepo> repos, List<String> warnings) {
    /** Copies the lists. */
    public CacheScan {
        repos = List.copyOf(repos);
        warnings = List.copyOf(warnings);
    }

    /** Bytes of all repositories. */
    public long size() {
        return repos.stream().mapToLong(CachedRepo::size).sum();
    }
}
