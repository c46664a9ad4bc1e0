package io.gptq4j.it;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.ImpatientClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.FakeRepo;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** A hub with the repositories that the conformance cases speak of, and a home to reach it from. */
final class HubBench implements AutoCloseable {
    static final String ONE = "model-00001-of-00002.safetensors";
    static final String TWO = "model-00002-of-00002.safetensors";
    static final String CONFIG = "{\"model_type\": \"llama\", \"hidden_size\": 64}\n";
    /** Of git's empty blob. */
    static final String EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

    private static final String README = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# Tiny\n";

    private final FakeHub hub;
    private final Path directory;
    private final FakeRepo llama;
    private final List<HubClient> clients = new ArrayList<>();

    /** With the default settings. */
    HubBench(Path directory) {
        this(directory, FakeHub.builder());
    }

    /** With a hub that is set up otherwise. */
    HubBench(Path directory, FakeHub.Builder builder) {
        this.directory = directory;
        hub = builder.start();
        llama = hub.repo("acme/tiny-llama")
                .commit(
                        "main",
                        "seed",
                        Map.of(
                                "README.md",
                                README,
                                "config.json",
                                CONFIG,
                                "empty.txt",
                                "",
                                ONE,
                                random(1, 3_000_000),
                                TWO,
                                random(2, 1_000_001),
                                "sub/notes.txt",
                                "note\n".repeat(24),
                                "tokenizer.json",
                                "{\"model\": {\"vocab\": {" + "\"a\": 0, ".repeat(1350) + "\"b\": 1}}}"))
                .branch("dev")
                .tag("v1.0");
        hub.repo("acme/gated-llama")
                .commit("main", "seed", Map.of("config.json", "{}"))
                .gate("manual");
    }

    /** Bytes that are always the same for a seed. */
    static byte[] random(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    FakeHub hub() {
        return hub;
    }

    /** {@code acme/tiny-llama}. */
    FakeRepo llama() {
        return llama;
    }

    /** What {@code main} of {@code acme/tiny-llama} is at. */
    String commit() {
        return llama.head("main");
    }

    /** HF_HOME. */
    Path home() {
        return directory.resolve("home");
    }

    /** The folder of {@code acme/tiny-llama} in the cache. */
    Path cached() {
        return home().resolve("hub").resolve("models--acme--tiny-llama");
    }

    /** Where a file of {@code acme/tiny-llama} is shown in the cache. */
    Path pointer(String path) {
        return cached().resolve("snapshots").resolve(commit()).resolve(path);
    }

    /** The program, without a token. */
    Cli anonymous() {
        return new Cli()
                .with("GPTQ4J_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
                .with("HF_ENDPOINT", hub.url())
                .with("HF_HOME", home().toString())
                .with("HF_TOKEN", "")
                .in(directory);
    }

    /** The program with alice's token, who may write. */
    Cli alice() {
        return anonymous().with("HF_TOKEN", FakeHub.WRITE_TOKEN);
    }

    /** The program with bob's token, who may only read. */
    Cli bob() {
        return anonymous().with("HF_TOKEN", FakeHub.READ_TOKEN);
    }

    /** A client in this process with the same home, other variables, and without waits; closed with the hub. */
    HubClient client(String token, String... variables) throws IOException {
        Map<String, String> environment =
                new HashMap<>(Map.of("HF_ENDPOINT", hub.url(), "HF_HOME", home().toString(), "HF_TOKEN", token));
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        HubClient client = ImpatientClient.builder()
                .config(HubConfig.fromEnvironment(environment, directory).build())
                .build();
        clients.add(client);
        return client;
    }

    /** {@code download acme/tiny-llama} and more, as alice. */
    Cli.Result download(String... more) throws IOException, InterruptedException {
        List<String> arguments = new ArrayList<>(List.of("download", "acme/tiny-llama"));
        arguments.addAll(List.of(more));
        return alice().run(arguments.toArray(String[]::new));
    }

    /**
     * What was asked and answered, a line each, such as {@code GET /_cdn/{config.json} 206}: the commit of acme/tiny-llama
     * is {@code {commit}}, hashes are the names of their files.
     */
    List<String> asked() {
        return hub.log().stream()
                .map(exchange -> exchange.method() + " " + named(exchange.path()) + " " + exchange.status())
                .toList();
    }

    private String named(String path) {
        return path.replace(commit(), "{commit}")
                .replace(llama.etag("main", ONE), "{" + ONE + "}")
                .replace(llama.etag("main", TWO), "{" + TWO + "}");
    }

    /** The only request of a method to paths with a part. */
    Exchange only(String method, String pathPart) {
        List<Exchange> found = hub.requests(method, pathPart);
        if (found.size() != 1) {
            throw new AssertionError("Expected one " + method + " " + pathPart + ", found " + found);
        }
        return found.get(0);
    }

    /** Nanoseconds from the beginning of one request to that of the next, for requests that match. */
    List<Long> pauses(String method, String pathPart) {
        List<Exchange> found = hub.requests(method, pathPart);
        List<Long> pauses = new ArrayList<>();
        for (int i = 1; i < found.size(); i++) {
            pauses.add(found.get(i).startedNanos() - found.get(i - 1).startedNanos());
        }
        return pauses;
    }

    /** Files below a folder, sorted, with what links point to; locks are left out. */
    static List<String> files(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return List.of();
        }
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(file -> !Files.isDirectory(file) || Files.isSymbolicLink(file))
                    .filter(file -> !file.toString().endsWith(".lock"))
                    .map(file -> folder.relativize(file) + target(file))
                    .sorted()
                    .toList();
        }
    }

    private static String target(Path file) {
        try {
            return Files.isSymbolicLink(file) ? " -> " + Files.readSymbolicLink(file) : "";
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Text of a file that must be there. */
    static String text(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8);
    }

    /** Writes files below a folder and gives it back; content is a text or bytes. */
    static Path write(Path folder, Map<String, Object> files) throws IOException {
        for (Map.Entry<String, Object> file : files.entrySet()) {
            Path path = folder.resolve(file.getKey());
            Files.createDirectories(Objects.requireNonNull(path.getParent()));
            Files.write(
                    path,
                    file.getValue() instanceof byte[] bytes
                            ? bytes
                            : String.valueOf(file.getValue()).getBytes(StandardCharsets.UTF_8));
        }
        return folder;
    }

    /** Lets a process run on until something outside of it has happened. */
    static void runUntil(Process process, BooleanSupplier happened) throws InterruptedException {
        while (!happened.getAsBoolean()) {
            if (process.waitFor(2, TimeUnit.MILLISECONDS)) {
                throw new AssertionError("The process ended too early, with " + process.exitValue());
            }
        }
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    @Override
    public void close() {
        clients.forEach(HubClient::close);
        hub.close();
    }
}
