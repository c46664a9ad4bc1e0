package io.gptq4j.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** The source tree under test. */
final class SourceTree {
    static final List<String> MODULES = List.of("hub-client", "converter", "gptq-engine", "cli", "integration-tests");

    private SourceTree() {}

    /** The directory of the parent pom; the build hands it in. */
    static Path root() {
        String root = Objects.requireNonNull(System.getProperty("gptq4j.root"), "set -Dgptq4j.root to the source tree");
        return Path.of(root).toAbsolutePath().normalize();
    }

    /** All files below the {@code src} directories of all modules with one of these endings. */
    static List<Path> sources(String... endings) {
        return MODULES.stream()
                .map(module -> root().resolve(module).resolve("src"))
                .filter(Files::isDirectory)
                .flatMap(SourceTree::files)
                .filter(file -> Stream.of(endings).anyMatch(file.toString()::endsWith))
                .toList();
    }

    private static Stream<Path> files(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            return files.filter(Files::isRegularFile).sorted().toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
