package io.gptq4j.it.hub;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Serves a directory for runs by hand: {@code PORT DATA [options]}, with repositories at {@code DATA/models/ns/name},
 * {@code DATA/datasets/ns/name} and {@code DATA/spaces/ns/name}.
 *
 * <p>Options: {@code --cdn-port N --page-size N --lfs-threshold N --multipart-threshold N --chunk-size N
 * --resolve-style cache|direct --cdn-same-host --xet}. Port 0 takes a free one. The first line on stdout is a JSON object
 * with both URLs.
 */
public final class FakeHubMain {
    private FakeHubMain() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length < 2) {
            throw new IllegalArgumentException("expected PORT DATA [options]");
        }
        // It serves until the process is ended from outside.
        FakeHub hub = started(Integer.parseInt(arguments[0]), List.of(arguments).subList(2, arguments.length));
        Runtime.getRuntime().addShutdownHook(new Thread(hub::close));
        seed(hub, Path.of(arguments[1]));
        byte[] urls = Json.bytes(Json.map("hub", hub.url(), "cdn", hub.cdnUrl()));
        System.out.println(new String(urls, StandardCharsets.UTF_8));
        Thread.currentThread().join();
    }

    /** A hub with these options. */
    static FakeHub started(int port, List<String> options) {
        FakeHub.Builder builder = FakeHub.builder().port(port);
        for (int i = 0; i < options.size(); i++) {
            switch (options.get(i)) {
                case "--cdn-same-host" -> builder.cdnSameHost(true);
                case "--xet" -> builder.xet(true);
                case "--cdn-port" -> builder.cdnPort(Integer.parseInt(options.get(++i)));
                case "--page-size" -> builder.pageSize(Integer.parseInt(options.get(++i)));
                case "--lfs-threshold" -> builder.lfsThreshold(Long.parseLong(options.get(++i)));
                case "--multipart-threshold" -> builder.multipartThreshold(Long.parseLong(options.get(++i)));
                case "--chunk-size" -> builder.chunkSize(Long.parseLong(options.get(++i)));
                case "--resolve-style" ->
                    builder.resolveStyle(
                            options.get(++i).equals("direct")
                                    ? FakeHub.ResolveStyle.DIRECT
                                    : FakeHub.ResolveStyle.CACHE);
                default -> throw new IllegalArgumentException("unknown option: " + options.get(i));
            }
        }
        return builder.start();
    }

    /** Makes a repository with one commit of every directory {@code models/ns/name}, and of datasets and spaces alike. */
    static void seed(FakeHub hub, Path data) throws IOException {
        for (RepoType type : RepoType.values()) {
            Path root = data.resolve(type.plural());
            for (Path namespace : directories(root)) {
                for (Path name : directories(namespace)) {
                    String id = namespace.getFileName() + "/" + name.getFileName();
                    hub.repo(type.word(), id).commit("main", "seed", files(name));
                }
            }
        }
    }

    private static List<Path> directories(Path parent) throws IOException {
        if (!Files.isDirectory(parent)) {
            return List.of();
        }
        try (Stream<Path> children = Files.list(parent)) {
            return children.filter(Files::isDirectory).sorted().toList();
        }
    }

    private static Map<String, Path> files(Path directory) throws IOException {
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> all = Files.walk(directory)) {
            all.filter(Files::isRegularFile)
                    .forEach(file ->
                            files.put(directory.relativize(file).toString().replace('\\', '/'), file));
        }
        return files;
    }
}
