package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.internal.cache.FileLocks;
import io.gptq4j.hub.internal.cache.LocalFolder;
import io.gptq4j.hub.internal.cache.RepoCache;
import io.gptq4j.hub.internal.io.AtomicFiles;
import io.gptq4j.hub.internal.io.ContentHash;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;

/**
 * A local folder as a place. What the cache holds is copied from there.
 */
record LocalPlace(Path directory, LocalFolder folder, RepoCache cache, FileLocks locks) implements Place {
    @Override
    public Path folder(String commit) {
        return directory;
    }

    @Override
    public Path location(String commit, String path) {
        return folder.file(path);
    }

    @Override
    public Optional<String> commitOf(Revision revision) {
        return revision.isCommitHash() ? Optional.of(revision.name()) : folder.onlyCommit();
    }

    @Override
    public boolean hasNamed(String commit, String path) {
        return folder.read(path).filter(note -> note.commit().equals(commit)).isPresent();
    }

    @Override
    public Optional<Path> anyhow(Revision revision, String path) {
        return Optional.of(folder.file(path)).filter(Files::isRegularFile);
    }

    @Override
    public boolean has(String commit, RepoFile file) throws IOException {
        Path location = folder.file(file.path());
        if (!Files.isRegularFile(location) || Files.size(location) != file.size()) {
            return false;
        }
        if (isNoted(file)) {
            return true;
        }
        // Edited, or put there by somebody else: the content decides.
        Optional<ContentHash> hash = ContentHash.matching(file.etag(), file.size());
        return hash.isPresent() && hash.get().of(location).equals(file.etag());
    }

    private boolean isNoted(RepoFile file) {
        return folder.read(file.path())
                .filter(note -> note.etag().equals(file.etag()))
                .isPresent();
    }

    @Override
    public void confirm(String commit, RepoFile file) throws IOException {
        Optional<LocalFolder.Note> note = folder.read(file.path());
        if (note.isEmpty() || !note.get().equals(new LocalFolder.Note(commit, file.etag()))) {
            folder.create();
            folder.write(file.path(), commit, file.etag());
        }
    }

    @Override
    public long lacking(RepoFile file, long segmentSize) throws IOException {
        return file.size() - PartialFile.left(folder.partial(file.path(), file.etag()), file.size(), segmentSize);
    }

    @Override
    public void bring(String commit, RepoFile file, boolean force, Transfer transfer) throws IOException {
        folder.create();
        Path target = folder.file(file.path());
        try (FileLocks.Lease lease = locks.acquire(folder.lock(file.path()))) {
            if (!force && has(commit, file)) {
                confirm(commit, file);
                return;
            }
            Files.createDirectories(Optional.ofNullable(target.getParent()).orElse(directory));
            Path shared = folder.partial(file.path(), file.etag());
            Files.createDirectories(Optional.ofNullable(shared.getParent()).orElse(directory));
            Path partial = lease.isExclusive() ? shared : CachePlace.unshared(shared);
            Path blob = cache.blob(file.etag());
            try {
                if (!force && Files.isRegularFile(blob) && Files.size(blob) == file.size()) {
                    PartialFile.delete(partial);
                    Files.copy(blob, partial, StandardCopyOption.REPLACE_EXISTING);
                    try (FileChannel channel = FileChannel.open(partial, StandardOpenOption.WRITE)) {
                        channel.force(true);
                    }
                } else {
                    transfer.into(partial);
                }
                AtomicFiles.rename(partial, target);
            } finally {
                if (!lease.isExclusive()) {
                    PartialFile.delete(partial);
                }
            }
            folder.write(file.path(), commit, file.etag());
        }
    }

    @Override
    public Optional<List<RepoFile>> tree(String commit) {
        return folder.tree(commit);
    }

    @Override
    public void writeTree(String commit, List<RepoFile> files) throws IOException {
        folder.writeTree(commit, files);
    }

    /** Nothing is noted: in the cache, a ref without a snapshot would count as damage. */
    @Override
    public void writeRef(Revision revision, String commit) {}

    /** Nothing is noted. */
    @Override
    public void writeAbsence(Revision revision, String commit, String path) {}
}
