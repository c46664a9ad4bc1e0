package io.gptq4j.hub.transfer;

import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Which files of a repository to bring to this disk, and where to.
 *
 * @param repo the repository
 * @param revision the revision
 * @param patterns which of its files
 * @param localDir a folder to put the files in plainly, or null for the shared cache
 * @param force whether to fetch what is there already
 * @param localOnly whether to look at this disk only
 * @param workers files that are transferred at the same time
 */
public record SnapshotRequest(
        Repo repo,
        Revision revision,
        Patterns patterns,
        @Nullable Path localDir,
        boolean force,
        boolean localOnly,
        int workers) {
    /** As huggingface_hub. */
    public static final int DEFAULT_WORKERS = 8;

    /** Checks the number of workers. */
    public SnapshotRequest {
        if (workers < 1) {
            throw new IllegalArgumentException("At least 1 worker is needed, not " + workers);
        }
    }

    /** All files of the main branch, into the cache. */
    public static SnapshotRequest of(Repo repo) {
        return new SnapshotRequest(repo, Revision.MAIN, Patterns.ALL, null, false, false, DEFAULT_WORKERS);
    }

    /** Of another revision. */
    public SnapshotRequest at(Revision revision) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }

    /** Only files that are chosen. */
    public SnapshotRequest only(Patterns patterns) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }

    /** Plainly into a folder, or with null into the cache. */
    public SnapshotRequest into(@Nullable Path localDir) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }

    /** Again, even what is there. */
    public SnapshotRequest force(boolean force) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }

    /** From this disk only. */
    public SnapshotRequest localOnly(boolean localOnly) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }

    /** With so many files at the same time. */
    public SnapshotRequest workers(int workers) {
        return new SnapshotRequest(repo, revision, patterns, localDir, force, localOnly, workers);
    }
}
