package io.gptq4j.hub.cache;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Plans deletions and carries them out, without ever following a link out of the cache. */
final class Deletion {
    /** Longer chains are loops. */
    private static final int MOST_HOPS = 40;

    private final Path cache;

    Deletion(Path cache) {
        this.cache = cache;
    }

    DeletionPlan plan(
            CacheScan scan,
            Collection<CachedRepo> chosenRepos,
            Collection<CachedRevision> chosenRevisions,
            List<Path> partialFiles)
            throws IOException {
        if (!Files.isDirectory(cache)) {
            return new DeletionPlan(List.of(), List.of(), List.of(), List.of(), 0);
        }
        List<CachedRepo> repos = new ArrayList<>();
        List<CachedRevision> revisions = new ArrayList<>();
        Set<Path> targets = new LinkedHashSet<>();
        Set<Path> blobs = new LinkedHashSet<>();
        Path sharedBlobs = cache.toRealPath().resolve("blobs");
        for (CachedRepo repo : scan.repos()) {
            List<CachedRevision> going =
                    repo.revisions().stream().filter(chosenRevisions::contains).toList();
            Path ownBlobs = repo.folder().toRealPath().resolve("blobs");
            if (chosenRepos.contains(repo)
                    || (!going.isEmpty() && going.size() == repo.revisions().size())) {
                repos.add(repo);
                // The refs first: what is left of a deletion that fails has none that lead nowhere.
                targets.add(repo.folder().resolve("refs"));
                targets.add(repo.folder().resolve("snapshots"));
                targets.add(repo.folder());
                for (CachedRevision revision : repo.revisions()) {
                    blobs.addAll(blobsOf(revision, List.of(sharedBlobs)));
                }
            } else {
                for (CachedRevision revision : going) {
                    revisions.add(revision);
                    revision.refs()
                            .forEach(ref ->
                                    targets.add(repo.folder().resolve("refs").resolve(ref)));
                    targets.add(revision.snapshot());
                    targets.add(repo.folder().resolve("trees").resolve(revision.commit() + ".json"));
                    targets.add(repo.folder().resolve(".no_exist").resolve(revision.commit()));
                    blobs.addAll(blobsOf(revision, List.of(ownBlobs, sharedBlobs)));
                }
            }
        }
        targets.removeIf(target -> !Files.exists(target, LinkOption.NOFOLLOW_LINKS));
        blobs.removeAll(blobsInUse(targets));
        targets.addAll(blobs);
        Measure measure = new Measure();
        for (Path target : targets) {
            requireInside(target);
            Files.walkFileTree(target, measure);
        }
        for (Path file : partialFiles) {
            measure.visitFile(file, Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS));
        }
        return new DeletionPlan(repos, revisions, partialFiles, List.copyOf(targets), measure.bytes);
    }

    long execute(DeletionPlan plan) throws IOException {
        Delete delete = new Delete();
        for (Path target : plan.targets()) {
            if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
                requireInside(target);
                Files.walkFileTree(target, delete);
            }
        }
        for (Path file : plan.partialFiles()) {
            delete.bytes += PartialFiles.deleteIfAbandoned(cache, file);
        }
        return delete.bytes;
    }

    /** What a snapshot's links pass on their way to the content, as far as it lies in one of these folders. */
    private static Set<Path> blobsOf(CachedRevision revision, List<Path> folders) throws IOException {
        Set<Path> blobs = new LinkedHashSet<>();
        for (CachedFile file : revision.files()) {
            for (Path hop : hops(revision.snapshot().resolve(file.path()))) {
                if (folders.stream().anyMatch(hop::startsWith) && !Files.isDirectory(hop, LinkOption.NOFOLLOW_LINKS)) {
                    blobs.add(hop);
                }
            }
        }
        return blobs;
    }

    /** What the links of all snapshots that stay lead to; corrupted repositories, which no scan lists, count as well. */
    private Set<Path> blobsInUse(Set<Path> going) throws IOException {
        Set<Path> used = new LinkedHashSet<>();
        for (Path repo : Scanner.repoFolders(cache)) {
            for (Path snapshot : Scanner.children(repo.resolve("snapshots"))) {
                if (going.contains(repo) || going.contains(snapshot)) {
                    continue;
                }
                for (Path file : Scanner.filesBelow(snapshot)) {
                    used.addAll(hops(file));
                }
            }
        }
        return used;
    }

    /** Where a link leads, step by step: newer caches have links from a repository's blobs on to shared ones. */
    private static List<Path> hops(Path link) throws IOException {
        List<Path> hops = new ArrayList<>();
        Path path = link;
        while (Files.isSymbolicLink(path) && hops.size() < MOST_HOPS) {
            Path folder = path.resolveSibling("").toRealPath();
            path = folder.resolve(Files.readSymbolicLink(path)).normalize();
            hops.add(path);
        }
        return hops;
    }

    private void requireInside(Path target) throws IOException {
        Path root = cache.toRealPath();
        Path parent = target.toAbsolutePath().getParent();
        if (target.equals(cache) || parent == null || !parent.toRealPath().startsWith(root)) {
            throw new IOException(target + " lies outside the cache " + cache
                    + ", because a link leads there; nothing outside is deleted, so remove it by hand");
        }
    }

    private static final class Measure extends SimpleFileVisitor<Path> {
        private final Set<Path> counted = new LinkedHashSet<>();
        private long bytes;

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            // A repository's refs and snapshots are targets of their own, within a target.
            if (attributes.isRegularFile() && counted.add(file)) {
                bytes += attributes.size();
            }
            return FileVisitResult.CONTINUE;
        }
    }

    private static final class Delete extends SimpleFileVisitor<Path> {
        private long bytes;

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
            if (Files.deleteIfExists(file) && attributes.isRegularFile()) {
                bytes += attributes.size();
            }
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(Path file, IOException failure) throws IOException {
            if (failure instanceof NoSuchFileException) {
                return FileVisitResult.CONTINUE;
            }
            throw failure;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure) throws IOException {
            if (failure != null) {
                throw failure;
            }
            Files.deleteIfExists(folder);
            return FileVisitResult.CONTINUE;
        }
    }
}
