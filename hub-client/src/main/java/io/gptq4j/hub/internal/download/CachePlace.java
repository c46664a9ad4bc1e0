package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.internal.cache.FileLocks;
import io.gptq4j.hub.internal.cache.RepoCache;
import io.gptq4j.hub.internal.io.AtomicFiles;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The shared cache as a place. */
record CachePlace(RepoCache cache, FileLocks locks) implements Place {
    @Override
    public Path folder(String commit) {
        return cache.snapshot(commit);
    }

    @Override
    public Path location(String commit, String path) {
        return cache.pointer(commit, path);
    }

    @Override
    public Optional<String> commitOf(Revision revision) {
        return cache.commitOf(revision);
    }

    @Override
    public boolean hasNamed(String commit, String path) {
        return cache.has(commit, path);
    }

    @Override
    public boolean has(String commit, RepoFile file) throws IOException {
        // A blob that was cut off by a full disk or another tool must not pass for the file.
        return cache.has(commit, file.path()) && Files.size(cache.pointer(commit, file.path())) == file.size();
    }

    @Override
    public void confirm(String commit, RepoFile file) {}

    @Override
    public Optional<Path> anyhow(Revision revision, String path) {
        return commitOf(revision).map(commit -> location(commit, path)).filter(Files::isRegularFile);
    }

    @Override
    public long lacking(RepoFile file, long segmentSize) throws IOException {
        Path blob = cache.blob(file.etag());
        return Files.isRegularFile(blob) && Files.size(blob) == file.size()
                ? 0
                : file.size() - PartialFile.left(cache.partial(file.etag()), file.size(), segmentSize);
    }

    @Override
    public void bring(String commit, RepoFile file, boolean force, Transfer transfer) throws IOException {
        cache.create();
        String etag = file.etag();
        Path blob = cache.blob(etag);
        try (FileLocks.Lease lease = locks.acquire(cache.lock(etag))) {
            if (!force && has(commit, file)) {
                return; // another process was faster
            }
            if (!force && Files.isRegularFile(blob) && Files.size(blob) == file.size()) {
                cache.point(commit, file.path(), etag, false);
                return;
            }
            Path partial = lease.isExclusive() ? cache.partial(etag) : unshared(cache.partial(etag));
            try {
                transfer.into(partial);
                AtomicFiles.rename(partial, blob);
            } finally {
                if (!lease.isExclusive()) {
                    PartialFile.delete(partial); // nobody could find it again
                }
            }
            cache.point(commit, file.path(), etag, true);
        }
    }

    /** Where there are no locks, a name that no other process uses. */
    static Path unshared(Path partial) {
        String name = String.valueOf(partial.getFileName());
        return partial.resolveSibling(name.replaceFirst("incomplete$", AtomicFiles.randomSuffix() + ".incomplete"));
    }

    @Override
    public Optional<List<RepoFile>> tree(String commit) {
        return cache.tree(commit);
    }

    @Override
    public void writeTree(String commit, List<RepoFile> files) {
        cache.writeTree(commit, files);
    }

    @Override
    public void writeRef(Revision revision, String commit) {
        cache.writeRef(revision, commit);
    }

    @Override
    public void writeAbsence(Revision revision, String commit, String path) {
        cache.writeNoExist(commit, path);
        cache.writeRef(revision, commit);
    }
}
