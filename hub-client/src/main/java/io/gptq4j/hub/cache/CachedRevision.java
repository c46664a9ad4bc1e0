package io.gptq4j.hub.cache;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * A snapshot of a repository; perhaps only some of its files.
 *
 * @param commit the name of the snapshot's folder: the commit hash
 * @param snapshot the folder
 * @param size bytes of its files, each content counted once; other snapshots may share them
 * @param lastModified when its latest file was written
 * @param files its files by path
 * @param refs the branches, tags and other refs that lead here, sorted
 */
public record CachedRevision(
        String commit, Path snapshot, long size, Instant lastModified, List<CachedFile> files, List<String> refs) {
    /** Copies the lists. */
    public CachedRevision {
        files = List.copyOf(files);
        refs = List.copyOf(refs);
    }

    /** Whether no ref leads here any more. */
    public boolean isDetached() {
        return refs.isEmpty();
    }
}
