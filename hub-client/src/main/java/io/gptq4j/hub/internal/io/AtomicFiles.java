package io.gptq4j.hub.internal.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.UUID;

/** Files that are there whole or not at all. */
public final class AtomicFiles {
    private static final int SUFFIX_LENGTH = 8;

    private AtomicFiles() {}

    /**
     * Writes a small file: under a temporary name, durably, then renamed.
     *
     * @param temporaries an existing folder on the same file system; whatever lies in the target's own folder may be
     *     taken for content by other programs
     */
    public static void write(Path target, String text, Path temporaries) throws IOException {
        Files.createDirectories(parent(target));
        write(target, text, temporaries, new FileAttribute<?>[0]);
    }

    /**
     * Writes a small file that only its owner may read, from the beginning on. Where there are no POSIX permissions, the
     * user's folder has to protect it.
     */
    public static void writePrivate(Path target, String text) throws IOException {
        Path absolute = target.toAbsolutePath();
        Files.createDirectories(parent(absolute), permissions(absolute, "rwx------"));
        write(absolute, text, parent(absolute), permissions(absolute, "rw-------"));
    }

    private static void write(Path target, String text, Path temporaries, FileAttribute<?>[] attributes)
            throws IOException {
        Path temporary = temporaries.resolve(target.getFileName() + "." + randomSuffix() + ".tmp");
        try {
            try (FileChannel channel = FileChannel.open(
                    temporary, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), attributes)) {
                ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            rename(temporary, target);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static FileAttribute<?>[] permissions(Path path, String text) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(text))}
                : new FileAttribute<?>[0];
    }

    /** Renames within a file system, replacing what has the name. */
    public static void rename(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** Eight random hexadecimal digits, as huggingface_hub appends them. */
    public static String randomSuffix() {
        return UUID.randomUUID().toString().substring(0, SUFFIX_LENGTH);
    }

    /** The folder of a file. */
    public static Path parent(Path file) {
        Path parent = file.getParent();
        if (parent == null) {
            throw new IllegalArgumentException(file + " has no folder");
        }
        return parent;
    }
}
