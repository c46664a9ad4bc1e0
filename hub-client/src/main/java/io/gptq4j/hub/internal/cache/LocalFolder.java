package io.gptq4j.hub.internal.cache;

import io.gptq4j.hub.internal.io.AtomicFiles;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoPaths;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder that holds files of a repository plainly ({@code --local-dir}), with huggingface_hub's bookkeeping in
 * {@code .cache/huggingface}: per file its commit, its etag and when it was fetched. Safe for concurrent use.
 */
public final class LocalFolder {
    private static final Logger LOG = LoggerFactory.getLogger(LocalFolder.class);
    /** Time stamps of files and of the notes about them come from different clocks. */
    private static final double TOLERANCE_SECONDS = 1;

    private final Path folder;
    private final Path notes;

    /** The folder; nothing is created yet. */
    public LocalFolder(Path folder) {
        this.folder = folder;
        notes = folder.resolve(".cache").resolve("huggingface");
    }

    /**
     * What is known about a fetched file.
     *
     * @param commit where it is from
     * @param etag its sha256 or git id
     */
    public record Note(String commit, String etag) {}

    /**
     * The file itself.
     *
     * @throws IllegalArgumentException if it would lie among our own notes
     */
    public Path file(String path) {
        if (path.toLowerCase(Locale.ROOT).replace('\\', '/').startsWith(".cache/huggingface/")) {
            throw new IllegalArgumentException("the notes about the folder's files are there");
        }
        return folder.resolve(RepoPaths.requireSafe(path));
    }

    /** Where a file's content is gathered. The name is short: that of the file may be as long as the system allows. */
    public Path partial(String path, String etag) {
        String name = String.valueOf(note(path).getFileName());
        return AtomicFiles.parent(note(path))
                .resolve(shortHash(name) + "." + RepoPaths.requireName(etag) + ".incomplete");
    }

    /** The lock of a file. */
    public Path lock(String path) {
        return notes.resolve("download").resolve(RepoPaths.requireSafe(path) + ".lock");
    }

    /** Makes the folder, and the bookkeeping's own, which git and backups are told to pass over. */
    public void create() throws IOException {
        Files.createDirectories(notes);
        CacheTag.ensure(notes);
        Path gitignore = notes.resolve(".gitignore");
        if (!Files.exists(gitignore)) {
            AtomicFiles.write(gitignore, "*", notes);
        }
    }

    /** What is known about a file that has not been touched since; empty if nothing is. */
    public Optional<Note> read(String path) {
        Path note = note(path);
        try {
            Path file = file(path);
            if (!Files.isRegularFile(note) || !Files.isRegularFile(file)) {
                return Optional.empty();
            }
            List<String> lines = Files.readAllLines(note);
            double fetched = Double.parseDouble(lines.get(2).strip());
            double modified = Files.getLastModifiedTime(file).toMillis() / 1000.0;
            return modified - TOLERANCE_SECONDS <= fetched
                    ? Optional.of(new Note(lines.get(0).strip(), lines.get(1).strip()))
                    : Optional.empty();
        } catch (IOException | NumberFormatException | IndexOutOfBoundsException e) {
            LOG.debug("The note {} is not used", note, e);
            return Optional.empty();
        }
    }

    /** Notes that a file was fetched, or found to be right, just now. */
    public void write(String path, String commit, String etag) throws IOException {
        Instant now = Instant.now();
        String seconds = String.format(Locale.ROOT, "%d.%06d", now.getEpochSecond(), now.getNano() / 1000);
        AtomicFiles.write(note(path), commit + "\n" + etag + "\n" + seconds + "\n", notes);
    }

    /** All files of a commit, if they were listed once. */
    public Optional<List<RepoFile>> tree(String commit) {
        return TreeListing.read(notes.resolve("trees").resolve(RepoPaths.requireName(commit) + ".json"));
    }

    /** The commit that the folder holds, if only one was ever listed for it. */
    public Optional<String> onlyCommit() {
        try (Stream<Path> listings = Files.list(notes.resolve("trees"))) {
            List<String> commits = listings.map(file -> String.valueOf(file.getFileName()))
                    .filter(name -> name.endsWith(".json"))
                    .map(name -> name.substring(0, name.length() - ".json".length()))
                    .toList();
            return commits.size() == 1 ? Optional.of(commits.get(0)) : Optional.empty();
        } catch (IOException e) {
            LOG.debug("No listings in {}", notes, e);
            return Optional.empty();
        }
    }

    /** Keeps the list of all files of a commit. */
    public void writeTree(String commit, List<RepoFile> files) throws IOException {
        create();
        AtomicFiles.write(
                notes.resolve("trees").resolve(RepoPaths.requireName(commit) + ".json"),
                TreeListing.write(files),
                notes);
    }

    private Path note(String path) {
        return notes.resolve("download").resolve(RepoPaths.requireSafe(path) + ".metadata");
    }

    private static String shortHash(String name) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-1").digest(name.getBytes(StandardCharsets.UTF_8));
            return Base64.getUrlEncoder().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java has SHA-1", e);
        }
    }
}
