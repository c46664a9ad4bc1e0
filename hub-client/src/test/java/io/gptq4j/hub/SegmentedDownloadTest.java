package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.bytes;
import static io.gptq4j.hub.ScriptedServer.cut;
import static io.gptq4j.hub.ScriptedServer.ranged;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.internal.download.Tuning;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import okio.Buffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Large files in segments, over several connections; large and slow being what the test says they are. */
class SegmentedDownloadTest {
    private static final int SEGMENT = 100_000;
    private static final byte[] CONTENT = new byte[950_000];
    private static final String SHA256;

    static {
        new Random(20260825).nextBytes(CONTENT);
        try {
            SHA256 = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(CONTENT));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** No speed is fast enough, so each measurement adds a connection. */
    private static final Tuning EAGER = new Tuning(SEGMENT, SEGMENT, 4, Long.MAX_VALUE, Duration.ZERO);

    private static final Tuning ALONE = new Tuning(SEGMENT, SEGMENT, 1, 0, Duration.ofDays(1));

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.address()).tuning(ALONE);
        hub.on(
                "HEAD /acme/m/resolve/main/m.bin",
                status(302)
                        .setHeader("Location", hub.address() + "/blob")
                        .setHeader("X-Repo-Commit", COMMIT)
                        .setHeader("X-Linked-ETag", '"' + SHA256 + '"')
                        .setHeader("X-Linked-Size", CONTENT.length)
                        .build());
        hub.on("GET /blob", request -> ranged(request, CONTENT));
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", request -> ranged(request, CONTENT));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private Path partial() {
        return desk.cached("models--acme--m").resolve("blobs").resolve(SHA256 + ".incomplete");
    }

    private void fetch() throws IOException {
        assertThat(desk.client().file(REPO, Revision.MAIN, "m.bin")).hasBinaryContent(CONTENT);
        try (Stream<Path> blobs = Files.list(partial().getParent())) {
            assertThat(blobs).map(blob -> String.valueOf(blob.getFileName())).containsExactly(SHA256);
        }
    }

    @Test
    void oneFastConnectionTakesTheSegmentsInOrder() throws IOException {
        fetch();
        assertThat(hub.ranges())
                .containsExactly(
                        "bytes=0-99999",
                        "bytes=100000-199999",
                        "bytes=200000-299999",
                        "bytes=300000-399999",
                        "bytes=400000-499999",
                        "bytes=500000-599999",
                        "bytes=600000-699999",
                        "bytes=700000-799999",
                        "bytes=800000-899999",
                        "bytes=900000-");
    }

    @Test
    void slowConnectionsGetCompanyAndEachSegmentIsFetchedOnce() throws IOException {
        CountDownLatch together = new CountDownLatch(2);
        hub.on("GET /blob", request -> ranged(request, CONTENT), request -> {
            together.countDown();
            await(together); // for another request, which only another connection can bring
            return ranged(request, CONTENT);
        });
        desk.tuning(EAGER);
        fetch();
        assertThat(hub.ranges()).hasSize(10).doesNotHaveDuplicates();
    }

    private static void await(CountDownLatch latch) {
        try {
            if (!latch.await(5, TimeUnit.SECONDS)) {
                throw new IllegalStateException("Nobody else came");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void aSegmentThatBreaksGoesOnAtItsByte() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        hub.on(
                "GET /blob",
                request -> asked.incrementAndGet() % 3 == 2
                        ? cut(ranged(request, CONTENT), 33_333)
                        : ranged(request, CONTENT));
        fetch();
        assertThat(hub.ranges()).contains("bytes=100000-199999", "bytes=133333-199999");
    }

    @Test
    void aServerThatIgnoresRangesGivesTheWholeInOnePiece() throws IOException {
        hub.on("GET /blob", bytes(CONTENT).build());
        fetch();
        assertThat(hub.ranges()).containsExactly("bytes=0-99999", "whole");
    }

    @Test
    void aServerThatIgnoresRangesAndBreaksBeginsAnew() throws IOException {
        hub.on(
                "GET /blob",
                request -> bytes(CONTENT).build(),
                request -> cut(bytes(CONTENT).build(), 777_777),
                request -> cut(bytes(CONTENT).build(), 888_888),
                request -> bytes(CONTENT).build());
        fetch();
        assertThat(hub.ranges()).containsExactly("bytes=0-99999", "whole", "whole", "whole");
    }

    @Test
    void aServerThatStopsHeedingRangesInTheMiddleGivesTheWhole() throws IOException {
        desk.tuning(EAGER);
        AtomicInteger asked = new AtomicInteger();
        hub.on(
                "GET /blob",
                request -> asked.incrementAndGet() < 5
                        ? ranged(request, CONTENT)
                        : bytes(CONTENT).build());
        fetch();
        assertThat(hub.ranges()).contains("whole");
    }

    @Test
    void aServerThatIgnoresRangesAndSendsABitWrongIsAskedOnceMore() throws IOException {
        byte[] wrong = CONTENT.clone();
        wrong[5] ^= 1;
        hub.on(
                "GET /blob",
                request -> bytes(CONTENT).build(),
                request -> bytes(wrong).build(),
                request -> bytes(CONTENT).build());
        fetch();
        assertThat(hub.ranges()).containsExactly("bytes=0-99999", "whole", "bytes=0-99999", "whole");
    }

    @Test
    void theNextProcessAsksForWhatIsMissingAndNothingElse() throws IOException {
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", status(403).build());
        hub.on(
                "GET /blob",
                request -> ranged(request, CONTENT),
                request -> ranged(request, CONTENT),
                request -> cut(ranged(request, CONTENT), 4_321),
                request -> status(403).build());
        try (HubClient killed = desk.client()) {
            assertThatThrownBy(() -> killed.file(REPO, Revision.MAIN, "m.bin")).isInstanceOf(HubHttpException.class);
        }
        assertThat(partial()).exists();
        int before = hub.ranges().size();

        hub.on("GET /blob", request -> ranged(request, CONTENT));
        AtomicLong progress = new AtomicLong();
        TransferListener listener = new TransferListener() {
            @Override
            public void progressed(String path, long bytes) {
                progress.addAndGet(bytes);
            }
        };
        Path file = desk.client(HubClient.builder().listener(listener)).file(REPO, Revision.MAIN, "m.bin");
        assertThat(file).hasBinaryContent(CONTENT);
        assertThat(hub.ranges().subList(before, hub.ranges().size()))
                .startsWith("bytes=204321-299999", "bytes=300000-399999")
                .endsWith("bytes=900000-")
                .hasSize(8);
        assertThat(progress).hasValue(CONTENT.length);
    }

    @Test
    void segmentsOfAnotherSizeAreForgotten() throws IOException {
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", status(403).build());
        hub.on(
                "GET /blob",
                request -> ranged(request, CONTENT),
                request -> status(403).build());
        try (HubClient killed = desk.client()) {
            assertThatThrownBy(() -> killed.file(REPO, Revision.MAIN, "m.bin")).isInstanceOf(HubException.class);
        }
        hub.on("GET /blob", request -> ranged(request, CONTENT));
        desk.tuning(new Tuning(1, 500_000, 1, 0, Duration.ofDays(1)));
        fetch();
        assertThat(hub.ranges()).endsWith("bytes=0-499999", "bytes=500000-");
    }

    @Test
    void countsThatMakeNoSenseAreNotBelieved() throws IOException {
        Files.createDirectories(partial().getParent());
        Files.write(partial(), new byte[CONTENT.length]);
        Files.writeString(partial().resolveSibling(SHA256 + ".ranges.incomplete"), "x".repeat(104));
        fetch();
        assertThat(hub.ranges()).hasSize(10);
    }

    @Test
    void aBitThatFlippedOnceCostsOneMoreDownload() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        hub.on("GET /blob", request -> {
            byte[] content = CONTENT.clone();
            if (asked.incrementAndGet() == 4) {
                content[333_333] ^= 1;
            }
            return ranged(request, content);
        });
        fetch();
        assertThat(hub.ranges()).hasSize(20);
    }

    @Test
    void contentThatIsAlwaysCorruptIsNotKept() throws IOException {
        byte[] wrong = CONTENT.clone();
        wrong[949_999] ^= 1;
        hub.on("GET /blob", request -> ranged(request, wrong));
        desk.tuning(EAGER);
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin")).isInstanceOf(IntegrityException.class);
        try (Stream<Path> blobs = Files.list(partial().getParent())) {
            assertThat(blobs).isEmpty();
        }
    }

    @Test
    void aStoreThatIsShorterThanAnnouncedIsGivenUp() throws IOException {
        byte[] shorter = Arrays.copyOf(CONTENT, 420_000);
        hub.on("GET /blob", request -> shortened(request, shorter));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin")).isInstanceOf(HubException.class);
        assertThat(hub.calls()).hasSizeLessThan(30);
    }

    /** What a store answers that knows the size but has less. */
    private static MockResponse shortened(RecordedRequest request, byte[] content) {
        String range = String.valueOf(request.getHeaders().get("Range"));
        int from = Integer.parseInt(range.replaceAll("bytes=|-.*", ""));
        if (from >= content.length) {
            return status(416).build();
        }
        int to = Math.min(content.length, from + SEGMENT);
        return status(206)
                .setHeader("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + CONTENT.length)
                .body(new Buffer().write(content, from, to - from))
                .build();
    }
}
