package io.gptq4j.it;

import static io.gptq4j.it.HubBench.ONE;
import static io.gptq4j.it.HubBench.TWO;
import static io.gptq4j.it.HubBench.files;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.Fault;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Downloads when something goes wrong; docs/hub-conformance.md lists the cases by number. */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java, and into waiting
class ConformanceFaultIT extends HubBenchFixture {
    private static final String HEAD_ONE = "HEAD /acme/tiny-llama/resolve/main/" + ONE + " 302";
    private static final String GET_ONE = "GET /_cdn/{" + ONE + "} ";
    private static final String HEAD_TOKENIZER = "HEAD /acme/tiny-llama/resolve/main/tokenizer.json ";
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

    private static Fault onStore() {
        return Fault.on("GET", "/_cdn/");
    }

    private static Fault onHead() {
        return Fault.on("HEAD", "/acme/");
    }

    private void assertDownloaded(Cli.Result result, String path) throws Exception {
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.out()).isEqualTo(bench.pointer(path) + "\n");
        assertThat(bench.pointer(path)).hasBinaryContent(bench.llama().content("main", path));
        assertNothingLeftOver();
    }

    private void assertNothingLeftOver() throws Exception {
        assertThat(files(bench.home())).noneMatch(file -> file.contains("incomplete") || file.endsWith(".tmp"));
    }

    private List<String> ranges() {
        return bench.hub().requests("GET", "/_cdn/").stream()
                .map(get -> String.valueOf(get.header("Range")))
                .toList();
    }

    private List<Integer> statuses() {
        return bench.hub().requests("GET", "/_cdn/").stream()
                .map(Exchange::status)
                .toList();
    }

    @Test // 16
    void aBrokenConnectionIsResumedToTheByte() throws Exception {
        bench.hub().fault(onStore().dropAfter(1_200_000));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(bench.asked()).containsExactly(HEAD_ONE, GET_ONE + "200", GET_ONE + "206");
        assertThat(ranges()).containsExactly("null", "bytes=1200000-");
        assertThat(bench.hub().bytesSent("/_cdn/")).isEqualTo(3_000_000);
    }

    @Test // 17
    void aStoreWithoutRangesSendsTheWholeAgain() throws Exception {
        bench.hub().fault(onStore().dropAfter(1_200_000)).fault(onStore().ignoreRange());
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(ranges()).containsExactly("null", "bytes=1200000-");
        assertThat(statuses()).containsExactly(200, 200);
        assertThat(bench.hub().bytesSent("/_cdn/")).isEqualTo(4_200_000);
    }

    @Test // 19
    void aBadLineIsBorneAsLongAsBytesArrive() throws Exception {
        bench.hub().fault(onStore().dropAfter(300_000).times(9));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(ranges()).hasSize(10).last().isEqualTo("bytes=2700000-");
        assertThat(bench.hub().bytesSent("/_cdn/")).isEqualTo(3_000_000);
    }

    @Test // 20
    void aKilledDownloadGoesOnWhereItWas() throws Exception {
        bench.hub().fault(onStore().bytesPerSecond(1_000_000));
        Path partial = bench.cached().resolve("blobs").resolve(bench.llama().etag("main", ONE) + ".incomplete");
        Process process = bench.alice().start("download", "acme/tiny-llama", ONE);
        try {
            HubBench.runUntil(process, () -> partial.toFile().length() >= 500_000);
        } finally {
            process.destroyForcibly(); // SIGKILL
        }
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        long kept = Files.size(partial);
        assertThat(kept).isBetween(500_000L, 2_999_999L);

        assertDownloaded(bench.download(ONE), ONE);
        assertThat(ranges()).containsExactly("null", "bytes=" + kept + "-");
        assertThat(statuses()).containsExactly(200, 206);
    }

    @Test // 22
    void corruptContentIsFoundAndFetchedOnceMore() throws Exception {
        bench.hub().fault(onStore().corrupt());
        Cli.Result result = bench.download(ONE);
        assertDownloaded(result, ONE);
        assertThat(result.err()).contains("expected sha256 " + bench.llama().etag("main", ONE), "once more");
        assertThat(statuses()).containsExactly(200, 200);
    }

    @Test // 23
    void contentThatStaysCorruptIsNotPublished() throws Exception {
        bench.hub().fault(onStore().corrupt().times(99));
        Cli.Result result = bench.download(ONE);
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.out()).isEmpty();
        assertThat(result.err().lines().reduce((first, second) -> second))
                .hasValueSatisfying(last -> assertThat(last)
                        .matches("error: .*expected sha256 " + bench.llama().etag("main", ONE)
                                + ", what arrived has [0-9a-f]{64}; nothing was kept.*"));
        assertThat(statuses()).containsExactly(200, 200);
        assertThat(bench.cached().resolve("snapshots")).doesNotExist();
        assertThat(bench.cached().resolve("blobs")).isEmptyDirectory();
    }

    @Test // 25
    void whoAsksForPatienceGetsIt() throws Exception {
        bench.hub().fault(onStore().status(429).retryAfter(2));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(statuses()).containsExactly(429, 200);
        assertThat(bench.pauses("GET", "/_cdn/").get(0)).isGreaterThanOrEqualTo(2 * SECOND);
    }

    @Test // 26
    void aRateLimitIsWaitedForAndASecondMore() throws Exception {
        bench.hub().fault(onStore().status(429).rateLimit(1));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(statuses()).containsExactly(429, 200);
        assertThat(bench.pauses("GET", "/_cdn/").get(0)).isGreaterThanOrEqualTo(2 * SECOND);
    }

    @Test // 26
    void aRateLimitThatIsNotReachedIsNotWaitedFor() throws Exception {
        bench.hub().fault(onStore().status(429).header("RateLimit", "\"api\";r=7;t=60"));
        Cli.Result result = bench.download(ONE, "--verbose");
        assertDownloaded(result, ONE);
        assertThat(result.err()).contains("trying again in 1 s (1 of 5)");
        assertThat(statuses()).containsExactly(429, 200);
    }

    @Test // 27
    void aStoreThatIsDownForAMomentIsAskedAgain() throws Exception {
        bench.hub().fault(onStore().status(503).times(2));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(statuses()).containsExactly(503, 503, 200);
    }

    @Test // 28
    void aConnectionThatIsClosedAtOnceIsOpenedAgain() throws Exception {
        bench.hub().fault(onStore().refuse());
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(statuses()).containsExactly(0, 200);
    }

    @Test // 28
    void aConnectionThatIsResetIsResumed() throws Exception {
        bench.hub().fault(onStore().dropAfter(1_200_000).rst());
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(statuses()).containsExactly(200, 206);
        // A reset throws away what lies in the buffers of the system, so how much arrived is not certain.
        assertThat(ranges().get(1)).matches("bytes=\\d+-");
        long from = Long.parseLong(ranges().get(1).replaceAll("\\D", ""));
        assertThat(from).isBetween(1L, 1_200_000L);
    }

    @Test // 30
    void aHubThatFailsIsReplacedByTheCache() throws Exception {
        assertDownloaded(bench.download("tokenizer.json"), "tokenizer.json");
        bench.hub().clearLog();
        bench.hub().fault(onHead().status(503).times(99));
        Cli.Result result = bench.download("tokenizer.json");
        assertDownloaded(result, "tokenizer.json");
        assertThat(result.err())
                .startsWith("WARN ")
                .contains("503", bench.pointer("tokenizer.json").toString());
        assertThat(bench.asked()).containsExactly(HEAD_TOKENIZER + "503");
    }

    @Test // 31
    void aHubThatFailsOnceIsAskedAgainForWhatIsNotCached() throws Exception {
        bench.hub().fault(onHead().status(503));
        assertDownloaded(bench.download("tokenizer.json"), "tokenizer.json");
        assertThat(bench.asked()).startsWith(HEAD_TOKENIZER + "503", HEAD_TOKENIZER + "307");
    }

    @Test // 33
    void contentThatIsCompressedUnaskedIsTakenAllTheSame() throws Exception {
        bench.hub().fault(Fault.on("GET", "tokenizer.json").gzip());
        assertDownloaded(bench.download("tokenizer.json"), "tokenizer.json");
        Exchange get = bench.only("GET", "tokenizer.json");
        assertThat(get.header("Accept-Encoding")).isEqualTo("identity");
        assertThat(get.responseHeaders().get("Content-Encoding")).isEqualTo("gzip");
    }

    @Test // 34
    void aHubThatIsDownIsReplacedByTheCacheAtOnce() throws Exception {
        assertDownloaded(bench.download("tokenizer.json"), "tokenizer.json");
        bench.hub().goDown();
        Cli.Result result = bench.download("tokenizer.json", "--verbose");
        assertDownloaded(result, "tokenizer.json");
        assertThat(result.err())
                .contains("WARN ", bench.hub().url(), "taking the file that is on this disk")
                .doesNotContain("trying again");
    }

    @Test // 34
    void aHubThatStaysDownIsGivenUp() throws Exception {
        bench.hub().goDown();
        long before = System.nanoTime();
        Cli.Result result = bench.download("tokenizer.json", "--verbose");
        assertThat(System.nanoTime() - before).isGreaterThanOrEqualTo(23 * SECOND);
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .contains("trying again in 1 s (1 of 5)", "trying again in 8 s (5 of 5)")
                .containsPattern(
                        "\nerror: Cannot find 'tokenizer.json' .*" + bench.hub().url());
        assertThat(files(bench.cached())).isEmpty();
    }

    @Test // 39
    void twoProcessesFetchAFileOnce() throws Exception {
        bench.hub().fault(onStore().bytesPerSecond(500_000));
        CompletableFuture<Cli.Result> first = download(TWO);
        CompletableFuture<Cli.Result> second = download(TWO);
        assertDownloaded(first.get(), TWO);
        assertDownloaded(second.get(), TWO);
        assertThat(bench.hub().requests("HEAD", "/resolve/main/" + TWO)).hasSize(2);
        assertThat(statuses()).containsExactly(200);
    }

    private CompletableFuture<Cli.Result> download(String path) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return bench.download(path);
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
    }

    @Test // 55
    void verificationFindsABlobThatHasChanged() throws Exception {
        assertDownloaded(bench.download(ONE), ONE);
        byte[] content = bench.llama().content("main", ONE);
        content[1_500_000] ^= 1;
        Files.write(bench.pointer(ONE), content, StandardOpenOption.TRUNCATE_EXISTING);
        Cli.Result result = bench.alice().run("cache", "verify", "acme/tiny-llama");
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.out())
                .contains(ONE + ": expected " + bench.llama().etag("main", ONE) + " (sha256), got ")
                .containsPattern("got [0-9a-f]{64}");
        assertThat(result.err()).contains("error: ", "1 file(s) differ");
        bench.hub().clearLog();
        Cli.Result mended = bench.download(ONE, "--force-download");
        assertDownloaded(mended, ONE);
        assertThat(bench.alice().run("cache", "verify", "acme/tiny-llama").exitCode())
                .isZero();
        assertThat(FakeHub.WRITE_TOKEN).isNotIn(result.out(), result.err());
    }
}
