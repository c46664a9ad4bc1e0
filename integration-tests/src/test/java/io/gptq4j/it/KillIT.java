package io.gptq4j.it;

import static io.gptq4j.it.HubBench.files;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.FakeRepo;
import io.gptq4j.it.hub.Fault;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Transfers that are killed ({@code SIGKILL}) at random instants and run again. What is counted twice, the hub has counted:
 * by the ranges and bytes of its log.
 */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into waiting
class KillIT {
    private static final int KILLS = 10;
    private static final int UPLOAD_KILLS = 6;
    private static final long MEBIBYTE = 1 << 20;
    private static final long FETCHED_TWICE_PER_KILL = 8 * MEBIBYTE;
    private static final int MOST_MILLIS = 2000;

    @TempDir
    Path directory;

    /** What one run did until it was killed. */
    private record Run(int millis, List<Exchange> exchanges) {}

    private Path file(long seed, long size) throws IOException {
        Path file = directory.resolve("model.safetensors");
        Random random = new Random(seed);
        byte[] buffer = new byte[1 << 20];
        try (OutputStream out = Files.newOutputStream(file)) {
            for (long left = size; left > 0; left -= buffer.length) {
                random.nextBytes(buffer);
                out.write(buffer, 0, (int) Math.min(left, buffer.length));
            }
        }
        return file;
    }

    /** Starts the command and kills it so many milliseconds after the first matching request. */
    private static Run kill(FakeHub hub, Cli cli, int millis, String method, String path, String... arguments)
            throws Exception {
        hub.clearLog();
        Process process = cli.start(arguments);
        try {
            HubBench.runUntil(process, () -> !hub.requests(method, path).isEmpty());
            long since = System.nanoTime();
            HubBench.runUntil(process, () -> System.nanoTime() - since >= TimeUnit.MILLISECONDS.toNanos(millis));
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        hub.awaitIdle(); // what is on its way to the hub still counts
        return new Run(millis, hub.requests(method, path));
    }

    private static void print(String text, Object... values) {
        System.out.printf(Locale.ROOT, text + "%n", values);
    }

    private static double mega(long bytes) {
        return bytes / 1e6;
    }

    /** How many of these bytes were sent in an earlier run, and marks them. */
    private static long sentBefore(BitSet sent, List<Exchange> exchanges) {
        BitSet earlier = (BitSet) sent.clone();
        long twice = 0;
        for (Exchange exchange : exchanges) {
            String range = exchange.header("Range");
            int from = range == null ? 0 : Integer.parseInt(range.replaceAll("bytes=(\\d+)-.*", "$1"));
            int to = from + Math.toIntExact(exchange.sentBytes());
            twice += earlier.get(from, to).cardinality();
            sent.set(from, to);
        }
        return twice;
    }

    @Test
    void aDownloadThatIsKilledTenTimesFetchesLittleTwice() throws Exception {
        int size = 300_000_000;
        Path file = file(41, size);
        Random random = new Random(42);
        try (HubBench bench = new HubBench(directory)) {
            FakeRepo repo = bench.hub().repo("acme/big").commit("main", "seed", Map.of("model.safetensors", file));
            bench.hub()
                    .fault(Fault.on("GET", "/_cdn/").bytesPerSecond(12_000_000).times(Integer.MAX_VALUE));
            List<Run> runs = new ArrayList<>();
            for (int kill = 0; kill < KILLS; kill++) {
                runs.add(kill(
                        bench.hub(),
                        bench.alice(),
                        random.nextInt(MOST_MILLIS),
                        "GET",
                        "/_cdn/",
                        "download",
                        "acme/big",
                        "model.safetensors"));
            }
            bench.hub().clearFaults();
            bench.hub().clearLog();
            Cli.Result last = bench.alice().run("download", "acme/big", "model.safetensors");
            assertThat(last.exitCode()).as(last.err()).isZero();
            runs.add(new Run(0, bench.hub().requests("GET", "/_cdn/")));

            BitSet sent = new BitSet(size);
            long all = 0;
            long allTwice = 0;
            for (int run = 0; run < runs.size(); run++) {
                long there = sent.cardinality();
                long twice = sentBefore(sent, runs.get(run).exchanges());
                all += runs.get(run).exchanges().stream()
                        .mapToLong(Exchange::sentBytes)
                        .sum();
                allTwice += twice;
                if (run > 0) {
                    print(
                            "download: kill %d at %d ms: %.1f MB there, %.2f MB of them fetched twice",
                            run, runs.get(run - 1).millis(), mega(there), mega(twice));
                    assertThat(twice).isLessThanOrEqualTo(FETCHED_TWICE_PER_KILL);
                }
            }
            print("download: %.1f MB sent for %.1f MB", mega(all), mega(size));
            assertThat(sent.cardinality()).isEqualTo(size);
            assertThat(all - size).isEqualTo(allTwice).isBetween(0L, KILLS * FETCHED_TWICE_PER_KILL);
            assertThat(Path.of(last.out().strip())).hasSameBinaryContentAs(file);
            assertThat(files(bench.home().resolve("hub")))
                    .containsExactly(
                            "CACHEDIR.TAG",
                            "models--acme--big/blobs/" + repo.etag("main", "model.safetensors"),
                            "models--acme--big/refs/main",
                            "models--acme--big/snapshots/" + repo.head("main") + "/model.safetensors -> ../../blobs/"
                                    + repo.etag("main", "model.safetensors"));
        }
    }

    @Test
    void anUploadThatIsKilledMakesOneCommitAndSendsNoPartTwiceThatIsKnownToBeThere() throws Exception {
        int size = 60_000_000;
        int part = 2_000_000;
        Path file = file(43, size);
        Random random = new Random(44);
        FakeHub.Builder settings = FakeHub.builder().multipartThreshold(part).chunkSize(part);
        try (HubBench bench = new HubBench(directory, settings)) {
            FakeRepo repo = bench.hub().repo("alice/big");
            bench.hub().fault(Fault.on("PUT", "/_s3/").bytesPerSecond(8_000_000).times(Integer.MAX_VALUE));
            int[] received = new int[size / part];
            long bytes = 0;
            for (int kill = 1; kill <= UPLOAD_KILLS; kill++) {
                Run run = kill(
                        bench.hub(),
                        bench.alice(),
                        random.nextInt(MOST_MILLIS / 2),
                        "PUT",
                        "/_s3/",
                        "upload",
                        "alice/big",
                        file.toString());
                int again = received(received, run.exchanges());
                bytes += run.exchanges().stream().mapToLong(Exchange::bodySize).sum();
                print(
                        "upload: kill %d at %d ms: %d parts there, %d of them sent twice",
                        kill, run.millis(), there(received), again);
                assertThat(again).isLessThanOrEqualTo(1); // the one that was not noted yet
            }
            bench.hub().clearFaults();
            bench.hub().clearLog();
            Cli.Result last = bench.alice().run("upload", "alice/big", file.toString());
            assertThat(last.exitCode()).as(last.err()).isZero();
            List<Exchange> puts = bench.hub().requests("PUT", "/_s3/");
            assertThat(received(received, puts)).isLessThanOrEqualTo(1);
            bytes += puts.stream().mapToLong(Exchange::bodySize).sum();
            print("upload: %.1f MB sent for %.1f MB", mega(bytes), mega(size));
            assertThat(bytes - size).isBetween(0L, (long) UPLOAD_KILLS * part);
            assertThat(there(received)).isEqualTo(received.length);
            assertThat(repo.commits("main")).hasSize(2);
            assertThat(bench.hub().requests("POST", "/commit/"))
                    .allSatisfy(commit -> assertThat(commit.bodyText())
                            .contains("\"oid\":\"" + repo.etag("main", "model.safetensors")));
            assertThat(repo.content("main", "model.safetensors")).isEqualTo(Files.readAllBytes(file));
            assertThat(files(bench.home())).isEmpty();
        }
    }

    private static int there(int[] received) {
        int there = 0;
        for (int times : received) {
            there += times > 0 ? 1 : 0;
        }
        return there;
    }

    /** Counts the parts that the store has confirmed; gives how many of them it had before. */
    private static int received(int[] received, List<Exchange> puts) {
        int again = 0;
        for (Exchange put : puts) {
            int number = Integer.parseInt(put.path().replaceAll(".*/", "")) - 1;
            if (put.status() == 200) {
                again += received[number]++ > 0 ? 1 : 0;
            }
        }
        return again;
    }

    @Test
    void anUploadThatIsKilledWhileTheHubCommitsIsNotCommittedAgain() throws Exception {
        try (HubBench bench = new HubBench(directory)) {
            FakeRepo repo = bench.hub().repo("alice/m");
            HubBench.write(directory.resolve("up"), Map.of("a.txt", "a"));
            bench.hub().fault(Fault.on("POST", "/commit/main").delay(Duration.ofMillis(500)));
            kill(bench.hub(), bench.alice(), 0, "POST", "/commit/main", "upload", "alice/m", "up");
            assertThat(repo.commits("main")).hasSize(2);
            Cli.Result again = bench.alice().run("upload", "alice/m", "up");
            assertThat(again.exitCode()).as(again.err()).isZero();
            assertThat(again.err()).contains("Nothing has changed");
            assertThat(again.out()).isEqualTo(repo.url() + "/commit/" + repo.head("main") + "\n");
            assertThat(repo.commits("main")).hasSize(2);
        }
    }
}
