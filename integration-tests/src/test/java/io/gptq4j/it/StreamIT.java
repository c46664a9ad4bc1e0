package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.FakeRepo;
import io.gptq4j.it.hub.Fault;
import io.gptq4j.safetensors.SafetensorsReader;
import java.io.IOException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Quantizing from the Hub to the Hub, with neither the checkpoint nor the artifact whole on this disk. */
class StreamIT {
    private static final String SOURCE = "acme/tiny-llama";
    private static final int BLOCKS = 6;
    /** Of a shard here: a block's tensors, about 390 kB, fit in; the embedding and the head are larger. */
    private static final long SHARD = 500_000;

    private static final long LARGEST_SHARD = 2_200_000;

    @TempDir
    Path directory;

    private FakeHub hub = FakeHub.start();
    private long checkpointBytes;

    @BeforeEach
    void seed() throws IOException {
        hub.close();
        hub = FakeHub.builder().multipartThreshold(1_000_000).chunkSize(500_000).start();
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> bundled = Files.list(TinyModel.bundled())) {
            bundled.forEach(file -> files.put(file.getFileName().toString(), file));
        }
        files.put("pytorch_model.bin", SourceTree.root().resolve("LICENSE")); // the same weights again, elsewhere
        hub.repo(SOURCE).commit("main", "seed", files);
        checkpointBytes = Files.size(TinyModel.bundled().resolve("model.safetensors"));
    }

    @AfterEach
    void close() {
        hub.close();
    }

    private Cli as(String token, String home) {
        return new Cli()
                .with("GPTQ4J_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
                .with("HF_ENDPOINT", hub.url())
                .with("HF_HOME", directory.resolve(home).toString())
                .with("HF_TOKEN", token)
                .with("HF_HUB_CACHE", "")
                .in(directory);
    }

    private Cli alice() {
        return as(FakeHub.WRITE_TOKEN, "alice");
    }

    private static String[] quantize(String... more) {
        List<String> common = List.of(
                "quantize", SOURCE, "--group-size", "64", "--samples", "4", "--seqlen", "256", "--shard-size", "500KB");
        return Stream.concat(common.stream(), Stream.of(more)).toArray(String[]::new);
    }

    private static JsonNode json(Cli.Result result) throws IOException {
        assertThat(result.exitCode()).as(result.err()).isZero();
        return JsonMapper.builder().build().readTree(result.out());
    }

    /** All files below a folder, by their path in it; links count as what they lead to. */
    private static Map<String, Long> sizes(Path folder) throws IOException {
        Map<String, Long> sizes = new TreeMap<>();
        if (!Files.isDirectory(folder)) {
            return sizes;
        }
        Files.walkFileTree(folder, Set.of(FileVisitOption.FOLLOW_LINKS), 20, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                sizes.put(folder.relativize(file).toString(), attributes.size());
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException gone) {
                return FileVisitResult.CONTINUE; // uploaded and deleted meanwhile
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException gone) {
                return FileVisitResult.CONTINUE;
            }
        });
        return sizes;
    }

    private static Map<String, byte[]> content(Path folder) throws IOException {
        Map<String, byte[]> content = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                content.put(String.valueOf(file.getFileName()), Files.readAllBytes(file));
            }
        }
        return content;
    }

    /** What a commit of the hub holds, but for what the hub itself has put there. */
    private static Map<String, byte[]> content(FakeRepo repo) {
        Map<String, byte[]> content = new TreeMap<>();
        for (String file : repo.files("main")) {
            if (!file.equals(".gitattributes")) {
                content.put(file, repo.content("main", file));
            }
        }
        return content;
    }

    /** The card tells the command, and in it the options differ. */
    private static void assertSame(Map<String, byte[]> streamed, Map<String, byte[]> ordinary) {
        assertThat(streamed).containsOnlyKeys(ordinary.keySet());
        ordinary.forEach((name, bytes) -> {
            if (name.equals("README.md")) {
                assertThat(linesButTheCommand(Objects.requireNonNull(streamed.get(name))))
                        .isEqualTo(linesButTheCommand(bytes));
            } else {
                assertThat(streamed.get(name)).as(name).isEqualTo(bytes);
            }
        });
    }

    private static List<String> linesButTheCommand(byte[] card) {
        return new String(card, UTF_8)
                .lines()
                .filter(line -> !line.startsWith("gptq4j quantize"))
                .toList();
    }

    private void assertNoWeightsOfTheCheckpoint(Path folder) throws IOException {
        assertThat(sizes(folder))
                .allSatisfy((name, size) -> assertThat(size).as(name).isLessThan(1_000_000));
    }

    /** When the first of some requests was made, as a number. */
    private static long first(List<Exchange> exchanges) {
        return exchanges.stream().mapToLong(Exchange::seq).min().orElseThrow();
    }

    @Test
    void whatIsStreamedIsTheOrdinaryResultByteForByte() throws Exception {
        json(alice().run(
                        quantize("--self-samples", "0", "--push-to", "alice/ordinary", "--out", "ordinary", "--json")));
        Map<String, byte[]> ordinary = content(hub.repo("alice/ordinary"));
        assertThat(ordinary).hasSizeGreaterThan(BLOCKS + 5);
        hub.clearLog();

        Cli fresh = as(FakeHub.WRITE_TOKEN, "fresh");
        JsonNode result = json(fresh.run(quantize("--stream", "--push-to", "alice/ordinary-2", "--json")));

        FakeRepo pushed = hub.repo("alice/ordinary-2");
        assertThat(pushed.commits("main")).hasSize(2); // the Hub's own and ours
        assertThat(result.get("out").isNull()).isTrue();
        assertThat(result.get("pushed_to").asText())
                .isEqualTo(hub.url() + "/alice/ordinary-2/commit/" + pushed.head("main"));
        Map<String, byte[]> streamed = content(pushed);
        streamed.put(
                "README.md",
                pushed.text("main", "README.md")
                        .replace("alice/ordinary-2", "alice/ordinary")
                        .getBytes(UTF_8));
        assertSame(streamed, ordinary);

        assertNoWeightsOfTheCheckpoint(directory.resolve("fresh"));
        assertThat(directory.resolve("ordinary-2")).doesNotExist();
        assertThat(hub.requests("GET", "pytorch_model.bin")).isEmpty();
        List<Exchange> reads = hub.log().stream()
                .filter(e -> e.method().equals("GET") && e.listener().equals("cdn"))
                .toList();
        long fetched = reads.stream().mapToLong(Exchange::sentBytes).sum();
        System.out.printf("fetched %d of %d bytes in %d reads%n", fetched, checkpointBytes, reads.size());
        assertThat(fetched).isLessThan(checkpointBytes * 115 / 100);
        assertThat(reads).allSatisfy(e -> assertThat(e.header("Authorization")).isNull());
    }

    /** Reads of the last block's matrices, by the ranges of the requests. */
    private List<Exchange> readsOfTheLastBlock() throws IOException {
        try (SafetensorsReader reader =
                SafetensorsReader.open(TinyModel.bundled().resolve("model.safetensors"))) {
            List<String> ranges = reader.header().entries().values().stream()
                    .filter(entry -> entry.info().name().startsWith("model.layers." + (BLOCKS - 1) + "."))
                    .filter(entry -> entry.info().shape().size() > 1)
                    .map(entry -> "bytes=" + (reader.header().dataStart() + entry.begin()) + "-")
                    .toList();
            return hub.log().stream()
                    .filter(e -> e.method().equals("GET") && e.listener().equals("cdn"))
                    .filter(e -> ranges.stream()
                            .anyMatch(range -> String.valueOf(e.header("Range")).startsWith(range)))
                    .toList();
        }
    }

    @Test
    void uploadsOverlapWithTheRunAndTheDiskHoldsAFewFilesOnly() throws Exception {
        hub.fault(Fault.on("PUT", "").bytesPerSecond(1_500_000).times(Integer.MAX_VALUE)); // a slow line
        Path work = directory.resolve("alice").resolve("gptq4j").resolve("stream");
        Process process = alice().start(quantize("--stream", "--push-to", "alice/slow", "--no-eval"));
        List<Map<String, Long>> seen = new ArrayList<>();
        try {
            while (!process.waitFor(2, TimeUnit.MILLISECONDS)) {
                Map<String, Long> now = sizes(work);
                now.keySet().removeIf(name -> !name.contains(".safetensors"));
                seen.add(now);
            }
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isZero();

        assertThat(seen).anySatisfy(files -> assertThat(files).isNotEmpty());
        // One on its way, one that waits, one that is given, and at most two that are written.
        assertThat(seen).allSatisfy(files -> assertThat(files).hasSizeLessThanOrEqualTo(5));
        long peak = seen.stream()
                .mapToLong(files ->
                        files.values().stream().mapToLong(Long::longValue).sum())
                .max()
                .orElseThrow();
        System.out.printf("at most %d bytes of shards on the disk, in %d looks%n", peak, seen.size());
        assertThat(peak).isLessThan(2 * LARGEST_SHARD + 3 * SHARD);

        assertThat(first(
                        hub.log().stream().filter(e -> e.method().equals("PUT")).toList()))
                .isLessThan(first(readsOfTheLastBlock()));
        Map<String, Long> left = sizes(work);
        assertThat(left).isEmpty();
        assertNoWeightsOfTheCheckpoint(directory.resolve("alice"));
    }

    @Test
    void rangeReadsThatBreakGoOnWhereTheyBroke() throws Exception {
        json(alice().run(quantize("--self-samples", "0", "--out", "ordinary", "--no-eval", "--json")));
        hub.fault(Fault.on("GET", "/_cdn/").skipping(5).dropAfter(30_000).times(4));
        hub.fault(
                Fault.on("GET", "/_cdn/").skipping(20).dropAfter(100_000).rst().times(2));
        JsonNode result = json(as("", "nobody").run(quantize("--stream", "--out", "streamed", "--no-eval", "--json")));
        assertThat(result.get("out").asText()).isEqualTo("streamed");
        assertThat(hub.pendingFaults()).isEmpty();
        assertSame(content(directory.resolve("streamed")), content(directory.resolve("ordinary")));
        assertNoWeightsOfTheCheckpoint(directory.resolve("nobody"));
    }

    @Test
    void withBothTheArtifactStaysAndIsOnTheHub() throws Exception {
        JsonNode result = json(
                alice().run(quantize("--stream", "--out", "kept", "--push-to", "alice/kept", "--no-eval", "--json")));
        assertThat(result.get("out").asText()).isEqualTo("kept");
        assertThat(content(hub.repo("alice/kept")))
                .usingRecursiveComparison()
                .isEqualTo(content(directory.resolve("kept")));
        assertThat(hub.repo("alice/kept").commits("main")).hasSize(2);
    }

    @Test
    void anUploadThatFailsEndsTheRunAndLeavesNothing() throws Exception {
        hub.fault(Fault.on("POST", "/info/lfs/objects/batch")
                .skipping(2)
                .status(403)
                .message("over quota")
                .times(9));
        Cli.Result failed = alice().run(quantize("--stream", "--push-to", "alice/full", "--no-eval", "--json"));
        assertThat(failed.exitCode()).isEqualTo(4);
        assertThat(failed.out()).isEmpty();
        assertThat(failed.err()).contains("over quota", "Nothing was changed in model 'alice/full'");
        assertThat(hub.repo("alice/full").commits("main")).hasSize(1);
        assertThat(sizes(directory.resolve("alice").resolve("gptq4j").resolve("stream")))
                .isEmpty();
        assertThat(readsOfTheLastBlock()).isEmpty();
    }

    @Test
    void withADirectoryAFailedUploadIsNoReasonToStop() throws Exception {
        hub.fault(Fault.on("POST", "/info/lfs/objects/batch")
                .skipping(1)
                .status(403)
                .message("over quota")
                .times(1));
        Cli.Result failed =
                alice().run(quantize("--stream", "--out", "kept", "--push-to", "alice/late", "--no-eval", "--json"));
        assertThat(failed.exitCode()).isEqualTo(4);
        assertThat(failed.err()).contains("over quota", "gptq4j upload alice/late kept");
        assertThat(JsonMapper.builder().build().readTree(failed.out()).get("modules"))
                .isNotEmpty();
        assertThat(hub.repo("alice/late").commits("main")).hasSize(1);

        Cli.Result again = alice().run("upload", "alice/late", "kept");
        assertThat(again.exitCode()).as(again.err()).isZero();
        assertThat(content(hub.repo("alice/late")))
                .usingRecursiveComparison()
                .isEqualTo(content(directory.resolve("kept")));
    }

    @Test
    void aRunThatIsInterruptedLeavesNothingAndTheNextUploadsTheRestOnly() throws Exception {
        hub.fault(Fault.on("PUT", "").bytesPerSecond(2_000_000).times(Integer.MAX_VALUE));
        Process process = alice().start(quantize("--stream", "--push-to", "alice/again", "--no-eval"));
        try {
            HubBench.runUntil(process, () -> hub.requests("PUT", "").size() >= 12);
            process.toHandle().destroy();
            assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(128 + 15);
        hub.awaitIdle();
        assertThat(hub.repo("alice/again").commits("main")).hasSize(1);
        assertThat(sizes(directory.resolve("alice").resolve("gptq4j").resolve("stream")))
                .isEmpty();
        int before = hub.requests("PUT", "").size();

        hub.clearFaults();
        hub.clearLog();
        json(alice().run(quantize("--stream", "--push-to", "alice/again", "--no-eval", "--json")));
        int after = hub.requests("PUT", "").size();
        long parts = content(hub.repo("alice/again")).entrySet().stream()
                .filter(file -> file.getKey().endsWith(".safetensors"))
                .mapToLong(
                        file -> file.getValue().length > 1_000_000 ? (file.getValue().length + 499_999) / 500_000 : 1)
                .sum();
        System.out.printf("%d parts; sent: %d before the interrupt, %d after%n", parts, before, after);
        assertThat((long) before + after).isLessThanOrEqualTo(parts + 1);
        assertThat(hub.repo("alice/again").commits("main")).hasSize(2);
    }

    @Test
    void aRunThatIsInterruptedWhileItWaitsForTheHubEnds() throws Exception {
        // One byte a second: the read of a block's matrix would take days.
        hub.fault(Fault.on("GET", "/_cdn/").skipping(30).bytesPerSecond(1).times(Integer.MAX_VALUE));
        Process process = alice().start(quantize("--stream", "--out", "out", "--no-eval"));
        try {
            HubBench.runUntil(process, () -> hub.requests("GET", "/_cdn/").size() >= 31);
            process.toHandle().destroy();
            assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(128 + 15);
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left.map(Path::getFileName).map(String::valueOf)).containsExactly("alice");
        }
    }

    @Test
    void whatCannotSucceedIsToldBeforeTheFirstBlock() throws Exception {
        Cli.Result reader = as(FakeHub.READ_TOKEN, "bob").run(quantize("--stream", "--push-to", "alice/x"));
        assertThat(reader.exitCode()).isEqualTo(4);
        assertThat(reader.err()).contains("the token of bob is for reading only");
        Cli.Result wrong = as("hf_wrong_wrong_wrong", "wrong").run(quantize("--stream", "--push-to", "alice/x"));
        assertThat(wrong.exitCode()).isEqualTo(4);
        assertThat(hub.requests("GET", "/resolve/")).isEmpty();

        Cli.Result foreign = alice().run(quantize("--stream", "--push-to", "bob/x"));
        assertThat(foreign.exitCode()).isEqualTo(4);
        assertThat(readsOfTheLastBlock()).isEmpty();

        Cli.Result local = new Cli().run("quantize", TinyModel.bundled().toString(), "--stream", "--out", "o");
        assertThat(local.exitCode()).isEqualTo(2);
        assertThat(local.err()).contains("--stream is for repositories on the Hub");

        hub.repo("acme/pickled")
                .commit("main", "seed", Map.of("config.json", "{}", "pytorch_model.bin", new byte[2_000_000]));
        hub.clearLog();
        Cli.Result pickled = alice().run("quantize", "acme/pickled", "--stream", "--out", "o");
        assertThat(pickled.exitCode()).isEqualTo(6);
        assertThat(pickled.err()).contains("acme/pickled has no weights in safetensors", "leave --stream out");
        assertThat(hub.requests("GET", "/resolve/")).isEmpty();
        assertThat(Stream.of("alice/x", "bob/x")
                        .filter(id -> hub.hasRepo("model", id))
                        .toList())
                .isEmpty();
    }
}
