package io.gptq4j.hub.cache;

import io.gptq4j.hub.repo.Repo;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * What the cache holds of a repository.
 *
 * @param repo the repository
 * @param folder its folder in the cache
 * @param size bytes of all snapshots, each content counted once
 * @param lastAccessed when a file of it was last read, as far as the file system keeps account
 * @param lastModified when its latest file was written
 * @param revisions its snapshots by commit hash
 */
public record CachedRepo(
        Repo repo, Path folder, long size, Instant lastAccessed, Instant lastModified, List<CachedRevision> revisions) {
    /** Copies the list. */
    public CachedRepo {
        revisions = List.copyOf(revisions);
    }

    /** Its name in listings and in {@code cache rm}, such as {@code model/ns/name}. */
    public String id() {
        return repo.type().singular() + "/" + repo.id();
    }
}
