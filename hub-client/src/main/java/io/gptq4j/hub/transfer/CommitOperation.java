package io.gptq4j.hub.transfer;

import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One change within a commit. */
public sealed interface CommitOperation {
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
     * All files below a folder, sorted; {@code .git} and {@code .cache/huggingface} at any depth are left out.
     *
     * @param folder the folder
     * @param pathInRepo where it goes; empty or {@code .} for the root
     * @param patterns which files, by their path below the folder
     */
    static List<Add> ofFolder(Path folder, String pathInRepo, Patterns patterns) throws IOException {
        String prefix = pathInRepo.replaceFirst("^(\\./)+", "").replaceFirst("/+$", "");
        String before = prefix.isEmpty() || prefix.equals(".") ? "" : prefix + "/";
        try (Stream<Path> files = Files.walk(folder, FileVisitOption.FOLLOW_LINKS)) {
            Map<String, Path> found = new TreeMap<>();
            files.filter(Files::isRegularFile)
                    .forEach(file -> found.put(
                            folder.relativize(file)
                                    .toString()
                                    .replace(folder.getFileSystem().getSeparator(), "/"),
                            file));
            return found.entrySet().stream()
                    .filter(file -> !isPrivate(file.getKey()) && patterns.test(file.getKey()))
                    .map(file -> new Add(before + file.getKey(), file.getValue()))
                    .toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static boolean isPrivate(String path) {
        String slashed = "/" + path.toLowerCase(Locale.ROOT);
        return slashed.contains("/.git/") || slashed.contains("/.cache/huggingface/");
    }

    private static String normalized(String path) {
        String bare = RepoPaths.requireSafe(path.replaceFirst("^(\\./)+", "").replaceFirst("^/+", ""));
        for (String segment : bare.split("/", -1)) {
            if (Set.of(".git", ".cache").contains(segment.toLowerCase(Locale.ROOT))) {
                throw new IllegalArgumentException(
                        "'" + path + "' cannot be committed: the Hub takes nothing below a folder '" + segment + "'");
            }
        }
        return bare;
    }
}
