package io.gptq4j.cli;

import io.gptq4j.hub.cache.CachedFile;
import io.gptq4j.hub.cache.CachedRepo;
import io.gptq4j.hub.cache.CachedRevision;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A line of {@code cache ls}.
 *
 * @param repo a repository in the cache
 * @param revision one of its revisions, or null if the line is about the whole
 */
record CacheRow(CachedRepo repo, @Nullable CachedRevision revision) {
    /** What {@code cache rm} takes. */
    String target() {
        return revision == null ? repo.id() : revision.commit();
    }

    long size() {
        return revision == null ? repo.size() : revision.size();
    }

    Instant accessed() {
        return revision == null
                ? repo.lastAccessed()
                : revision.files().stream()
                        .map(CachedFile::lastAccessed)
                        .max(Comparator.naturalOrder())
                        .orElse(repo.lastAccessed());
    }

    Instant modified() {
        return revision == null ? repo.lastModified() : revision.lastModified();
    }

    List<String> refs() {
        return revision != null
                ? revision.refs()
                : repo.revisions().stream()
                        .flatMap(each -> each.refs().stream())
                        .sorted()
                        .toList();
    }
}
