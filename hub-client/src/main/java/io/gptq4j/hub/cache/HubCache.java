package io.gptq4j.hub.cache;

import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * A cache folder in huggingface_hub's layout. Keeps nothing in memory and is safe for concurrent use; other programs may
 * change the cache at any time, so a scan is a picture of a moment.
 */
public final class HubCache {
    private static final Pattern COMMIT_HASH = Pattern.compile("[0-9a-f]{40}");

    private final Path folder;

    /** The cache in this folder, which need not exist. */
    public HubCache(Path folder) {
        this.folder = folder.toAbsolutePath();
    }

    /** The cache that the settings name. */
    public static HubCache of(HubConfig config) {
        return new HubCache(config.cache());
    }

    /** The folder. */
    public Path folder() {
        return folder;
    }

    /** Looks at everything the cache holds. Reads no file's content but that of refs. */
    public CacheScan scan() throws IOException {
        return Scanner.scan(folder);
    }

    /**
     * Plans to delete repositories and single snapshots. A snapshot takes along the refs that lead to it, the listing of
     * its files, the notes of what it does not have, and the content that no other snapshot uses. If all snapshots of a
     * repository go, the repository goes.
     *
     * @param scan what the cache holds
     * @param repos repositories of the scan
     * @param revisions snapshots of the scan
     * @throws IOException if something to delete lies outside the cache because a link leads there, or cannot be read
     */
    public DeletionPlan planDeletion(CacheScan scan, Collection<CachedRepo> repos, Collection<CachedRevision> revisions)
            throws IOException {
        return new Deletion(folder).plan(scan, repos, revisions, List.of());
    }

    /**
     * Plans to delete snapshots that no ref leads to, and files of downloads that no process holds the lock of. Python's
     * locks are of a kind that Java does not see, so a download of huggingface_hub may have to start again; and on some
     * systems looking at a lock loses the one that this very process holds, so let its own downloads end first.
     *
     * @throws IOException as {@link #planDeletion}
     */
    public DeletionPlan planPrune(CacheScan scan) throws IOException {
        List<CachedRevision> detached = new ArrayList<>();
        for (CachedRepo repo : scan.repos()) {
            repo.revisions().stream().filter(CachedRevision::isDetached).forEach(detached::add);
        }
        return new Deletion(folder).plan(scan, List.of(), detached, PartialFiles.abandoned(folder));
    }

    /**
     * Deletes what was planned. What has gone in the meantime is no error, and a download that somebody has taken up again
     * keeps its partial file. If this fails in the middle, no ref leads to a snapshot that is gone.
     *
     * @return bytes freed
     */
    public long delete(DeletionPlan plan) throws IOException {
        return new Deletion(folder).execute(plan);
    }

    /**
     * The commit that a revision led to when it was last asked for, unless the cache knows nothing of it.
     *
     * @param revision a branch, a tag or another ref; a commit hash is its own answer
     */
    public Optional<String> commitOf(Repo repo, Revision revision) throws IOException {
        if (revision.isCommitHash()) {
            return Optional.of(revision.name());
        }
        Path ref = folder.resolve(repo.cacheFolder()).resolve("refs").resolve(revision.name());
        if (!Files.isRegularFile(ref)) {
            return Optional.empty();
        }
        String commit = Files.readString(ref).strip();
        return COMMIT_HASH.matcher(commit).matches() ? Optional.of(commit) : Optional.empty();
    }

    /**
     * Compares the files of a snapshot with what the Hub says: sizes first, then hashes.
     *
     * @param repo the repository
     * @param commit the snapshot's commit hash
     * @param expected the files of that commit on the Hub
     * @param onFile told the path of each file that has been compared, by several threads
     * @throws LocalEntryNotFoundException if the snapshot is not in the cache
     */
    public Verification verify(Repo repo, String commit, List<RepoFile> expected, Consumer<String> onFile)
            throws IOException {
        Path snapshot = folder.resolve(repo.cacheFolder()).resolve("snapshots").resolve(commit);
        if (!Files.isDirectory(snapshot)) {
            throw new LocalEntryNotFoundException(
                    "The cache " + folder + " has no snapshot " + commit + " of " + repo + "; download it first", null);
        }
        return Verifier.verify(snapshot, null, expected, onFile);
    }

    /**
     * Compares the files of a folder that was downloaded to, as {@link #verify} does. The notes that downloads leave in
     * {@code .cache/huggingface} do not count.
     *
     * @throws NotDirectoryException if there is no such folder
     */
    public static Verification verifyFolder(Path folder, List<RepoFile> expected, Consumer<String> onFile)
            throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new NotDirectoryException(folder.toString());
        }
        return Verifier.verify(folder.toRealPath(), ".cache/huggingface", expected, onFile);
    }
}
