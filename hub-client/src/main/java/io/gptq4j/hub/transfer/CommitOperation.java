package io.gptq4j.hub.transfer;

import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** One change within a commit. */
public sealed interface CommitOperation {
    /** Names that the Hub takes nothing below: git's own, and bookkeeping of downloads. */
    Set<String> FORBIDDEN = Set.of(".git", ".cache");

    /** The path that changes. */
    String path();

    /**
     * Adds or replaces a file.
     *
     * @param path its path in the repository
     * @param source its content, which must not change until the commit is made
     */
    record Add(String path, Path source) implements CommitOperation {
        /** Checks the path. */
        public Add {
            path = normalized(path);
        }
    }

    /**
     * Adds or replaces a file whose content the Hub has already, because {@link io.gptq4j.hub.HubClient#stage} brought it
     * there. Its source may be gone.
     *
     * @param path its path in the repository
     * @param sha256 the name of its content, 64 hexadecimal digits
     * @param size its bytes
     */
    record Staged(String path, String sha256, long size) implements CommitOperation {
        /** Checks the path and the name. */
        public Staged {
            path = normalized(path);
            if (!sha256.matches("[0-9a-f]{64}") || size < 0) {
                throw new IllegalArgumentException(
                        "'" + path + "' cannot have the sha256 '" + sha256 + "' and " + size + " bytes");
            }
        }
    }

    /**
     * Removes a file, or a folder if the path ends in a slash.
     *
     * @param path its path in the repository, without that slash
     * @param isFolder whether it is a folder
     */
    record Delete(String path, boolean isFolder) implements CommitOperation {
        /** Checks the path. */
        public Delete {
            path = normalized(path.replaceFirst("/$", ""));
        }

        /** As the path says. */
        public static Delete of(String path) {
            return new Delete(path, path.endsWith("/"));
        }
    }

    /**
     * Copies a file within the repository; the content of a large one is not moved over the network.
     *
     * @param from the path of the source
     * @param revision the revision of the source, or null for the one that is committed to
     * @param path the path of the copy
     */
    record Copy(String from, @Nullable Revision revision, String path) implements CommitOperation {
        /** Checks both paths. */
        public Copy {
            from = normalized(from);
            path = normalized(path);
        }
    }

    /**
     * All files below a folder, sorted, through links; what is called {@code .git} or {@code .cache} at any depth is left out.
     *
     * @param folder the folder
     * @param pathInRepo where it goes; empty or {@code .} for the root
     * @param patterns which files, by their path below the folder
     */
    static List<Add> ofFolder(Path folder, String pathInRepo, Patterns patterns) throws IOException {
        String prefix = pathInRepo.replaceFirst("^(\\./)+", "").replaceFirst("/+$", "");
        String before = prefix.isEmpty() || prefix.equals(".") ? "" : prefix + "/";
        Map<String, Path> found = new TreeMap<>();
        Files.walkFileTree(folder, Set.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                return !directory.equals(folder) && isPrivate(directory)
                        ? FileVisitResult.SKIP_SUBTREE
                        : FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                if (attributes.isRegularFile() && !isPrivate(file)) {
                    String separator = folder.getFileSystem().getSeparator();
                    found.put(folder.relativize(file).toString().replace(separator, "/"), file);
                }
                return FileVisitResult.CONTINUE;
            }
        });
        return found.entrySet().stream()
                .filter(file -> patterns.test(file.getKey()))
                .map(file -> new Add(before + file.getKey(), file.getValue()))
                .toList();
    }

    private static boolean isPrivate(Path file) {
        return FORBIDDEN.contains(String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT));
    }

    private static String normalized(String path) {
        String bare = path.replaceFirst("^(\\./)+", "").replaceFirst("^/+", "");
        for (String segment : bare.split("/", -1)) {
            if (FORBIDDEN.contains(segment.toLowerCase(Locale.ROOT))) {
                throw new IllegalArgumentException(
                        "'" + path + "' cannot be committed: the Hub takes nothing below a folder '" + segment + "'");
            }
        }
        return RepoPaths.requireSafe(bare);
    }
}
