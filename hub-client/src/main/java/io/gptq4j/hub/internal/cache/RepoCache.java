package io.gptq4j.hub.internal.cache;

import io.gptq4j.hub.internal.io.AtomicFiles;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One repository's folder in the cache.
 *
 * <pre>
 * models--ns--name/
 *   blobs/ETAG                content, named by its sha256 or git id
 *   blobs/ETAG.incomplete     content that is still coming
 *   refs/main                 40 digits, without a line end: other readers do not strip it
 *   snapshots/COMMIT/PATH     link to a blob, or the file itself where links do not work
 *   .no_exist/COMMIT/PATH     known not to be there
 *   trees/COMMIT.json         all files of the commit
 * </pre>
 *
 * <p>Safe for concurrent use, also by several processes.
 */
public final class RepoCache {
    private static final Logger LOG = LoggerFactory.getLogger(RepoCache.class);

    private final Path cache;
    private final Path folder;
    private final BooleanSupplier symlinks;

    /**
     * The folder of a repository; nothing is created yet.
     *
     * @param cache the folder of all repositories
     * @param symlinks whether to make links; asked when one is to be made
     */
    public RepoCache(Path cache, Repo repo, BooleanSupplier symlinks) {
        this.cache = cache.toAbsolutePath();
        folder = this.cache.resolve(repo.cacheFolder());
        this.symlinks = symlinks;
    }

    /** The file with a blob's content. */
    public Path blob(String etag) {
        return folder.resolve("blobs").resolve(RepoPaths.requireName(etag));
    }

    /** Where a blob's content is gathered. */
    public Path partial(String etag) {
        return folder.resolve("blobs").resolve(RepoPaths.requireName(etag) + ".incomplete");
    }

    /** The lock of a blob. */
    public Path lock(String etag) {
        return cache.resolve(".locks")
                .resolve(String.valueOf(folder.getFileName()))
                .resolve(RepoPaths.requireName(etag) + ".lock");
    }

    /** The folder of a commit's files. */
    public Path snapshot(String commit) {
        return folder.resolve("snapshots").resolve(RepoPaths.requireName(commit));
    }

    /** Where a file of a commit is, if it is there. */
    public Path pointer(String commit, String path) {
        return snapshot(commit).resolve(RepoPaths.requireSafe(path));
    }

    /** Whether a file of a commit is there. */
    public boolean has(String commit, String path) {
        return Files.isRegularFile(pointer(commit, path));
    }

    /** The commit of a revision, as far as this disk knows. */
    public Optional<String> commitOf(Revision revision) {
        if (revision.isCommitHash()) {
            return Optional.of(revision.name());
        }
        Path ref = refFile(revision);
        try {
            return Files.isRegularFile(ref)
                    ? Optional.of(Files.readString(ref).strip()).filter(commit -> new Revision(commit).isCommitHash())
                    : Optional.empty();
        } catch (IOException | IllegalArgumentException e) {
            LOG.debug("The ref {} is not used", ref, e);
            return Optional.empty();
        }
    }

    /** Notes the commit of a revision; only if it is news, and as well as possible: the cache may be read-only. */
    public void writeRef(Revision revision, String commit) {
        if (revision.name().equals(commit)
                || commitOf(revision).filter(commit::equals).isPresent()) {
            return;
        }
        try {
            create();
            AtomicFiles.write(refFile(revision), commit, folder);
        } catch (IOException e) {
            LOG.warn("The cache {} cannot note that {} is {}: {}", folder, revision, commit, e.toString());
        }
    }

    /** Notes that a commit has no such file. */
    public void writeNoExist(String commit, String path) {
        try {
            create();
            Path marker = folder.resolve(".no_exist")
                    .resolve(RepoPaths.requireName(commit))
                    .resolve(RepoPaths.requireSafe(path));
            Files.createDirectories(AtomicFiles.parent(marker));
            Files.write(marker, new byte[0], StandardOpenOption.CREATE);
        } catch (IOException e) {
            LOG.debug("The cache {} cannot note that {} is absent", folder, path, e);
        }
    }

    /** All files of a commit, if they were listed once. */
    public Optional<List<RepoFile>> tree(String commit) {
        return TreeListing.read(treeFile(commit));
    }

    /** Keeps the list of all files of a commit, as well as possible. */
    public void writeTree(String commit, List<RepoFile> files) {
        try {
            create();
            AtomicFiles.write(treeFile(commit), TreeListing.write(files), folder);
        } catch (IOException e) {
            LOG.debug("The cache {} cannot keep the list of files of {}", folder, commit, e);
        }
    }

    /** Makes the repository's folder and its blobs' folder, and marks the cache as one. */
    public void create() throws IOException {
        Files.createDirectories(folder.resolve("blobs"));
        CacheTag.ensure(cache);
    }

    /**
     * Shows a blob as a file of a commit.
     *
     * @param isNew whether the blob has just come; without links it is moved then instead of copied
     */
    public void point(String commit, String path, String etag, boolean isNew) throws IOException {
        Path pointer = pointer(commit, path);
        Path blob = blob(etag);
        Files.createDirectories(AtomicFiles.parent(pointer));
        if (symlinks.getAsBoolean()) {
            Path target = AtomicFiles.parent(pointer).relativize(blob);
            if (Files.isSymbolicLink(pointer) && Files.readSymbolicLink(pointer).equals(target)) {
                return;
            }
            // Under another name first: a reader must never find the pointer gone.
            Path temporary = folder.resolve("link." + AtomicFiles.randomSuffix() + ".tmp");
            Files.createSymbolicLink(temporary, target);
            try {
                AtomicFiles.rename(temporary, pointer);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } else if (isNew) {
            AtomicFiles.rename(blob, pointer);
        } else {
            Path temporary = folder.resolve("copy." + AtomicFiles.randomSuffix() + ".tmp");
            try {
                Files.copy(blob, temporary, StandardCopyOption.REPLACE_EXISTING);
                AtomicFiles.rename(temporary, pointer);
            } finally {
                Files.deleteIfExists(temporary);
            }
        }
    }

    /** Whether links work in a folder, which is made if it is missing; tried, because no system property tells. */
    public static boolean supportsSymlinks(Path cache) {
        Path link = cache.resolve("link-test." + AtomicFiles.randomSuffix() + ".tmp");
        try {
            Files.createDirectories(cache);
            Files.createSymbolicLink(link, Path.of("target"));
            return true;
        } catch (IOException | UnsupportedOperationException e) {
            LOG.debug("No symbolic links in {}", cache, e);
            return !Files.isWritable(cache); // nothing will be written there, so nothing need be moved
        } finally {
            try {
                Files.deleteIfExists(link);
            } catch (IOException e) {
                LOG.debug("The link {} stays", link, e);
            }
        }
    }

    private Path refFile(Revision revision) {
        return folder.resolve("refs").resolve(revision.name());
    }

    private Path treeFile(String commit) {
        return folder.resolve("trees").resolve(RepoPaths.requireName(commit) + ".json");
    }
}
