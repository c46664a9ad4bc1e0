package io.gptq4j.hub.cache;

import java.nio.file.Path;
import java.util.List;

/**
 * What a deletion takes away.
 *
 * @param repos the repositories that go as a whole
 * @param revisions the snapshots that go, of repositories of which others remain
 * @param partialFiles files of downloads that were not finished and are not under way
 * @param targets files and folders to delete, in this order; a link is deleted, not what it leads to
 * @param bytes what this frees
 */
public record DeletionPlan(
        List<CachedRepo> repos,
        List<CachedRevision> revisions,
        List<Path> partialFiles,
        List<Path> targets,
        long bytes) {
    /** Copies the lists. */
    public DeletionPlan {
        repos = List.copyOf(repos);
        revisions = List.copyOf(revisions);
        partialFiles = List.copyOf(partialFiles);
        targets = List.copyOf(targets);
    }

    /** Whether there is nothing to delete. */
    public boolean isEmpty() {
        return targets.isEmpty() && partialFiles.isEmpty();
    }

    /** How many snapshots go, those of whole repositories included. */
    public int revisionCount() {
        return revisions.size()
                + repos.stream().mapToInt(repo -> repo.revisions().size()).sum();
    }
}
