package io.gptq4j.format;

import io.gptq4j.internal.FileChannels;
import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A directory that is filled under a hidden name beside its final one, {@code .NAME.partial}, and then renamed. A lock
 * file {@code .NAME.partial.lock} keeps two writers apart and tells a running one from one that was killed, whose
 * leftovers are removed. Belongs to one thread.
 */
final class StagingDirectory implements Closeable {
    private final Path target;
    private final Path parent;
    /** Parents that came into being with the staging directory, and go with it if there is no publication. */
    private final List<Path> created;

    private final Path directory;
    private final Path lockFile;
    private final FileChannel lock;
    private boolean published;

    private StagingDirectory(
            Path target, Path parent, List<Path> created, Path directory, Path lockFile, FileChannel lock) {
        this.target = target;
        this.parent = parent;
        this.created = created;
        this.directory = directory;
        this.lockFile = lockFile;
        this.lock = lock;
    }

    /**
     * Makes an empty staging directory; missing parents of the target are created.
     *
     * @throws FileAlreadyExistsException if the target is there already and not an empty directory, or is being written
     */
    static StagingDirectory create(Path target) throws IOException {
        Path resolved = Files.isDirectory(target)
                ? target.toRealPath() // the rename must replace the directory, not a link to it
                : target.toAbsolutePath().normalize();
        Path parent = resolved.getParent();
        if (parent == null) {
            throw taken(target, "is a root directory");
        }
        requireFree(resolved);
        if (resolved.equals(Path.of("").toRealPath())) {
            throw taken(
                    target, "is the current directory, which no rename can replace: name a new directory inside it");
        }
        List<Path> missing = missing(target, parent);
        try {
            return create(target, resolved, parent, missing);
        } catch (FileAlreadyExistsException e) {
            deleteEmpty(missing);
            throw e;
        } catch (FileSystemException e) { // whose file is one that the user never named
            deleteEmpty(missing);
            String reason = e instanceof AccessDeniedException
                    ? "permission denied"
                    : e.getReason() != null ? e.getReason() : "no such directory";
            FileSystemException explained =
                    new FileSystemException(target.toString(), null, "the output cannot be created here: " + reason);
            explained.initCause(e);
            throw explained;
        }
    }

    private static StagingDirectory create(Path target, Path resolved, Path parent, List<Path> missing)
            throws IOException {
        Files.createDirectories(parent);
        if (Files.exists(resolved) && !Files.getFileStore(resolved).equals(Files.getFileStore(parent))) {
            throw taken(target, "is a mount point, which no rename can replace: name a new directory inside it");
        }
        String name = "." + resolved.getFileName() + ".partial";
        Path lockFile = parent.resolve(name + ".lock");
        FileChannel lock = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (!tryLock(lock)) {
            lock.close();
            throw taken(target, "is being written by another run: wait for it or choose another directory");
        }
        StagingDirectory staging =
                new StagingDirectory(resolved, parent, missing, parent.resolve(name), lockFile, lock);
        try {
            staging.requireFree(); // another run may have finished since
            delete(staging.directory);
            Files.createDirectory(staging.directory);
            return staging;
        } catch (IOException | RuntimeException e) {
            staging.close();
            throw e;
        }
    }

    /**
     * Checks that the target is still missing or empty.
     *
     * @throws FileAlreadyExistsException if it is not
     */
    void requireFree() throws IOException {
        requireFree(target);
    }

    /** Where the files go. */
    Path path() {
        return directory;
    }

    /**
     * Gives the directory, whose files must be durable already, its final name.
     *
     * @throws FileAlreadyExistsException if something has come into being there
     */
    void publish() throws IOException {
        requireFree();
        FileChannels.forceDirectory(directory);
        Files.deleteIfExists(target);
        Files.move(directory, target, StandardCopyOption.ATOMIC_MOVE);
        published = true;
        FileChannels.forceDirectory(parent);
    }

    /** Removes the directory unless it was published, and lets others have the name. */
    @Override
    public void close() throws IOException {
        if (!lock.isOpen()) {
            return;
        }
        try {
            if (!published) {
                delete(directory);
            }
        } finally {
            Files.deleteIfExists(lockFile);
            lock.close();
            if (!published) {
                deleteEmpty(created);
            }
        }
    }

    /** The ancestors to create, outermost first. */
    private static List<Path> missing(Path target, Path parent) throws IOException {
        ArrayDeque<Path> missing = new ArrayDeque<>();
        Path ancestor = parent;
        while (ancestor != null && !Files.exists(ancestor)) {
            missing.addFirst(ancestor);
            ancestor = ancestor.getParent();
        }
        if (ancestor != null && !Files.isDirectory(ancestor)) {
            throw new FileSystemException(
                    target.toString(), null, "the output cannot be created here: " + ancestor + " is no directory");
        }
        return List.copyOf(missing);
    }

    private static void deleteEmpty(List<Path> directories) throws IOException {
        for (int i = directories.size() - 1; i >= 0; i--) {
            try {
                Files.deleteIfExists(directories.get(i));
            } catch (DirectoryNotEmptyException e) {
                return; // somebody else has put something there
            }
        }
    }

    private static boolean tryLock(FileChannel lock) throws IOException {
        try {
            return lock.tryLock() != null;
        } catch (OverlappingFileLockException e) { // held within this very process
            return false;
        }
    }

    private static void requireFree(Path target) throws IOException {
        if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        if (!Files.isDirectory(target, LinkOption.NOFOLLOW_LINKS)) {
            throw taken(target, "is there already and is no directory: choose another name");
        }
        try (Stream<Path> content = Files.list(target)) {
            if (content.findAny().isPresent()) {
                throw taken(target, "is not empty: choose another directory or empty this one");
            }
        }
    }

    private static FileAlreadyExistsException taken(Path target, String reason) {
        return new FileAlreadyExistsException(target.toString(), null, "the output " + reason);
    }

    private static void delete(Path directory) throws IOException {
        if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(directory)) {
            paths = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path path : paths) {
            Files.delete(path);
        }
    }
}
