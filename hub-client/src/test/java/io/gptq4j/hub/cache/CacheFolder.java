package io.gptq4j.hub.cache;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** A cache written by hand, file by file. */
record CacheFolder(Path root) {
    static final String OLD = "1111111111111111111111111111111111111111";
    static final String NEW = "2222222222222222222222222222222222222222";

    /** Two snapshots of acme/tiny that share {@code shared}; {@code v1} leads to the old one, {@code main} to the new. */
    CacheFolder withTiny() throws IOException {
        blob("models--acme--tiny", "shared", "12345");
        blob("models--acme--tiny", "old", "123");
        blob("models--acme--tiny", "new", "1234567");
        link("models--acme--tiny/snapshots/" + OLD + "/config.json", "../../blobs/shared");
        link("models--acme--tiny/snapshots/" + OLD + "/sub/a.bin", "../../../blobs/old");
        link("models--acme--tiny/snapshots/" + NEW + "/config.json", "../../blobs/shared");
        link("models--acme--tiny/snapshots/" + NEW + "/sub/a.bin", "../../../blobs/new");
        file("models--acme--tiny/refs/v1", OLD);
        file("models--acme--tiny/refs/refs/pr/1", OLD);
        file("models--acme--tiny/refs/main", NEW);
        file("models--acme--tiny/trees/" + OLD + ".json", "{}");
        file("models--acme--tiny/.no_exist/" + OLD + "/nope.json", "");
        return this;
    }

    Path path(String path) {
        return root.resolve(path);
    }

    Path file(String path, String content) throws IOException {
        Path file = path(path);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, content);
    }

    Path blob(String repo, String name, String content) throws IOException {
        return file(repo + "/blobs/" + name, content);
    }

    Path link(String path, String target) throws IOException {
        Path link = path(path);
        Files.createDirectories(link.getParent());
        return Files.createSymbolicLink(link, Path.of(target));
    }

    /** Every file and link, with slashes. */
    Stream<String> files() throws IOException {
        try (Stream<Path> below = Files.walk(root)) {
            return below
                    .filter(path -> Files.isSymbolicLink(path) || !Files.isDirectory(path))
                    .map(path -> root.relativize(path).toString().replace('\\', '/'))
                    .sorted()
                    .toList()
                    .stream();
        }
    }
}
