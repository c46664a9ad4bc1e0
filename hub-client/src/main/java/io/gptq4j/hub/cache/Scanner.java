package io.gptq4j.hub.cache;

import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Reads a cache; the rules of what is corrupted are those of huggingface_hub's scan_cache_dir. */
final class Scanner {
    private static final Set<String> JUNK = Set.of(".DS_Store", "Thumbs.db", "desktop.ini");
    private static final int MOST_REF_BYTES = 1000;

    private final List<CachedRepo> repos = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    private Scanner() {}

    static CacheScan scan(Path cache) throws IOException {
        Scanner scanner = new Scanner();
        for (Path folder : repoFolders(cache)) {
            try {
                scanner.repos.add(scanner.repo(folder));
            } catch (CorruptedException e) {
                scanner.warnings.add("The folder " + folder + " is corrupted and was left out: " + e.getMessage());
            } catch (IOException e) {
                scanner.warnings.add("The folder " + folder + " cannot be read and was left out: " + e.getMessage());
            }
        }
        scanner.repos.sort(Comparator.comparing(CachedRepo::id));
        return new CacheScan(scanner.repos, scanner.warnings);
    }

    /**
     * The folders that should be repositories: not the locks, the blobs that repositories share, and files of the cache
     * as a whole.
     */
    static List<Path> repoFolders(Path cache) throws IOException {
        return children(cache).stream()
                .filter(Files::isDirectory)
                .filter(folder -> !name(folder).startsWith(".") && !name(folder).equals("blobs"))
                .toList();
    }

    /** What a folder's name says, if it names a repository. */
    static Optional<Repo> repoOf(String folderName) {
        int dashes = folderName.indexOf("--");
        if (dashes < 0) {
            return Optional.empty();
        }
        String id = folderName.substring(dashes + 2).replace("--", "/");
        for (RepoType type : RepoType.values()) {
            if (type.plural().equals(folderName.substring(0, dashes))) {
                try {
                    return Optional.of(new Repo(type, RepoId.parse(id)));
                } catch (IllegalArgumentException notAName) {
                    return Optional.empty();
                }
            }
        }
        return Optional.empty();
    }

    /** What lies in a folder, by name, without what desktops leave there; nothing if there is no such folder. */
    static List<Path> children(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> children = Files.list(folder)) {
            return children.filter(child -> !JUNK.contains(name(child)))
                    .sorted()
                    .toList();
        }
    }

    /** All that is not a folder below a folder, links not followed; nothing if there is no such folder. */
    static List<Path> filesBelow(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> below = Files.walk(folder)) {
            return below.filter(path -> !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS))
                    .filter(path -> !JUNK.contains(name(path)))
                    .sorted()
                    .toList();
        } catch (UncheckedIOException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    private CachedRepo repo(Path folder) throws IOException {
        Repo repo = repoOf(name(folder))
                .orElseThrow(() ->
                        new CorruptedException("its name is not that of a repository, such as" + " models--ns--name"));
        Path snapshots = folder.resolve("snapshots");
        if (!Files.isDirectory(snapshots)) {
            throw new CorruptedException("it has no folder snapshots");
        }
        Map<String, Set<String>> refs = refs(folder.resolve("refs"));
        Map<Path, CachedFile> contents = new HashMap<>();
        List<CachedRevision> revisions = new ArrayList<>();
        for (Path snapshot : children(snapshots)) {
            if (!Files.isDirectory(snapshot)) {
                throw new CorruptedException("there is a file in snapshots: " + name(snapshot));
            }
            Set<String> own = refs.remove(name(snapshot));
            CachedRevision revision = revision(snapshot, own == null ? List.of() : List.copyOf(own));
            revision.files().forEach(file -> contents.put(file.blob(), file));
            revisions.add(revision);
        }
        if (!refs.isEmpty()) {
            // A download writes the ref before the content; so this is no reason to hide what is there.
            warnings.add("The folder " + folder + " is listed, but has refs to snapshots that are not there: "
                    + String.join(
                            ", ",
                            refs.values().stream().flatMap(Set::stream).sorted().toList()));
        }
        BasicFileAttributes own = Files.readAttributes(folder, BasicFileAttributes.class);
        return new CachedRepo(
                repo,
                folder,
                contents.values().stream().mapToLong(CachedFile::size).sum(),
                latest(
                        contents.values().stream().map(CachedFile::lastAccessed),
                        own.lastAccessTime().toInstant()),
                latest(
                        contents.values().stream().map(CachedFile::lastModified),
                        own.lastModifiedTime().toInstant()),
                revisions);
    }

    private static CachedRevision revision(Path snapshot, List<String> refs) throws IOException {
        List<CachedFile> files = new ArrayList<>();
        Map<Path, Long> sizes = new HashMap<>();
        for (Path path : filesBelow(snapshot)) {
            if (!Files.exists(path)) {
                throw new CorruptedException("the link " + path + " leads nowhere");
            }
            Path blob = path.toRealPath();
            if (Files.isDirectory(blob)) {
                continue;
            }
            BasicFileAttributes attributes = Files.readAttributes(blob, BasicFileAttributes.class);
            if (!attributes.isRegularFile()) {
                throw new CorruptedException(path + " leads to " + blob + ", which is no ordinary file");
            }
            sizes.put(blob, attributes.size());
            files.add(new CachedFile(
                    snapshot.relativize(path).toString().replace('\\', '/'),
                    blob,
                    attributes.size(),
                    attributes.lastAccessTime().toInstant(),
                    attributes.lastModifiedTime().toInstant()));
        }
        return new CachedRevision(
                name(snapshot),
                snapshot,
                sizes.values().stream().mapToLong(size -> size).sum(),
                latest(
                        files.stream().map(CachedFile::lastModified),
                        Files.getLastModifiedTime(snapshot).toInstant()),
                files,
                refs);
    }

    /** The refs by the commit they lead to. */
    private static Map<String, Set<String>> refs(Path folder) throws IOException {
        Map<String, Set<String>> refs = new TreeMap<>();
        for (Path ref : filesBelow(folder)) {
            if (!Files.isRegularFile(ref) || Files.size(ref) > MOST_REF_BYTES) {
                throw new CorruptedException("the ref " + ref + " does not hold a commit hash");
            }
            refs.computeIfAbsent(Files.readString(ref).strip(), commit -> new TreeSet<>())
                    .add(folder.relativize(ref).toString().replace('\\', '/'));
        }
        return refs;
    }

    private static Instant latest(Stream<Instant> times, Instant otherwise) {
        return times.max(Comparator.naturalOrder()).orElse(otherwise);
    }

    private static String name(Path path) {
        return String.valueOf(path.getFileName());
    }

    /** A repository's folder is not as it should be. */
    private static final class CorruptedException extends IOException {
        private static final long serialVersionUID = 1L;

        CorruptedException(String message) {
            super(message);
        }
    }
}
