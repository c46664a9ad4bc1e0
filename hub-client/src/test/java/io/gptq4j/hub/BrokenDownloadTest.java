package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.bytes;
import static io.gptq4j.hub.ScriptedServer.cut;
import static io.gptq4j.hub.ScriptedServer.ranged;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static java.time.Duration.ofSeconds;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Stream;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import mockwebserver3.SocketEffect;
import okio.Buffer;
import okio.GzipSink;
import okio.Okio;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Downloads over lines that break and from stores that misbehave. */
class BrokenDownloadTest {
    private static final byte[] CONTENT = new byte[1_000_000];
    private static final String SHA256;

    static {
        new Random(20260824).nextBytes(CONTENT);
        try {
            SHA256 = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(CONTENT));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @RegisterExtension
    final ScriptedServer store = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.address());
        hub.on("HEAD /acme/m/resolve/main/m.bin", redirect("/blob?Signature=1"));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private MockResponse redirect(String store) {
        return status(302)
                .setHeader("Location", this.store.address() + store)
                .setHeader("X-Repo-Commit", COMMIT)
                .setHeader("X-Linked-ETag", '"' + SHA256 + '"')
                .setHeader("X-Linked-Size", CONTENT.length)
                .build();
    }

    /** Answers in turn, and from then on as a store that knows ranges. */
    @SafeVarargs
    private void stored(Function<RecordedRequest, MockResponse>... first) {
        Function<RecordedRequest, MockResponse> well = request -> ranged(request, CONTENT);
        @SuppressWarnings("unchecked")
        Function<RecordedRequest, MockResponse>[] all =
                Stream.concat(Arrays.stream(first), Stream.of(well)).toArray(Function[]::new);
        store.on("GET /blob", all);
    }

    private static Function<RecordedRequest, MockResponse> cutAfter(long bytes) {
        return request -> cut(ranged(request, CONTENT), bytes);
    }

    private Path fetch() throws IOException {
        Path file = desk.client().file(REPO, Revision.MAIN, "m.bin");
        assertThat(file).hasBinaryContent(CONTENT);
        assertThat(blobs()).containsExactly(SHA256);
        return file;
    }

    private Stream<String> blobs() throws IOException {
        try (Stream<Path> blobs = Files.list(desk.cached("models--acme--m").resolve("blobs"))) {
            return blobs.map(blob -> blob.getFileName().toString()).toList().stream();
        }
    }

    @Test
    void aBodyThatEndsEarlyIsResumedAtTheByte() throws IOException {
        stored(cutAfter(123_457), cutAfter(1));
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "bytes=123457-", "bytes=123458-");
        assertThat(desk.waits()).containsExactly(ofSeconds(1), ofSeconds(1));
    }

    @Test
    void aBodyThatEndsBeforeItBeginsIsAskedForAgain() throws IOException {
        stored(
                cutAfter(0),
                request -> status(200)
                        .onResponseStart(new SocketEffect.CloseSocket())
                        .build());
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "whole", "whole");
        assertThat(desk.waits()).containsExactly(ofSeconds(1), ofSeconds(2));
    }

    @Test
    void everyByteThatArrivesRenewsThePatience() throws IOException {
        stored(Collections.nCopies(12, cutAfter(50_000)).toArray(size -> newArray(size)));
        fetch();
        assertThat(store.ranges()).hasSize(13).last().isEqualTo("bytes=600000-");
        assertThat(desk.waits()).hasSize(12).containsOnly(ofSeconds(1));
    }

    @SuppressWarnings("unchecked")
    private static Function<RecordedRequest, MockResponse>[] newArray(int size) {
        return new Function[size];
    }

    @Test
    void aLineOverWhichNothingComesIsGivenUpAndWhatCameIsKept() throws IOException {
        store.on("GET /blob", cutAfter(400_000), cutAfter(0));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin"))
                .isInstanceOf(HubNetworkException.class)
                .hasMessageContaining("Cannot download 'm.bin' of model 'acme/m'");
        assertThat(store.ranges()).hasSize(6);
        assertThat(blobs()).containsExactly(SHA256 + ".incomplete");

        stored();
        fetch();
        assertThat(store.ranges()).last().isEqualTo("bytes=400000-");
    }

    @Test
    void aStallEndsAfterTheTimeoutAndIsResumed() throws IOException {
        desk.with("HF_HUB_DOWNLOAD_TIMEOUT", "0.3");
        stored(request -> cut(ranged(request, CONTENT), 300_000)
                .newBuilder()
                .onResponseEnd(SocketEffect.Stall.INSTANCE)
                .build());
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "bytes=300000-");
    }

    @Test
    void aServerThatAnswersARangeWithTheWholeIsBelieved() throws IOException {
        stored(cutAfter(500_000), request -> bytes(CONTENT).build());
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "bytes=500000-");
    }

    @Test
    void aRangeThatIsNotTheOneAskedForIsNotTaken() throws IOException {
        stored(
                cutAfter(500_000),
                request -> partial("bytes 499999-999999/1000000"),
                request -> partial("bytes 500000-999999/1000001"),
                request -> partial("bytes 500000-1000000/1000000"),
                request -> partial(""));
        fetch();
        assertThat(store.ranges())
                .containsExactly(
                        "whole", "bytes=500000-", "bytes=500000-", "bytes=500000-", "bytes=500000-", "bytes=500000-");
    }

    private static MockResponse partial(String contentRange) {
        return status(206)
                .setHeader("Content-Range", contentRange)
                .body("x".repeat(500_000))
                .build();
    }

    @Test
    void aPartOfARangeIsTakenAndTheRestAskedFor() throws IOException {
        stored(
                cutAfter(500_000),
                request -> status(206)
                        .setHeader("Content-Range", "bytes 500000-599999/*")
                        .body(new Buffer().write(CONTENT, 500_000, 100_000))
                        .build());
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "bytes=500000-", "bytes=600000-");
    }

    @Test
    void compressionThatNobodyAskedForIsUndone() throws IOException {
        Buffer zipped = new Buffer();
        try (var sink = Okio.buffer(new GzipSink(zipped))) {
            sink.write(CONTENT);
        }
        byte[] gzip = zipped.readByteArray();
        stored(
                request -> cut(bytes(gzip).setHeader("Content-Encoding", "gzip").build(), gzip.length / 2),
                request -> bytes(gzip).setHeader("Content-Encoding", "gzip").build());
        fetch();
    }

    @Test
    void anUnknownCompressionIsRefused() {
        stored(request -> bytes(CONTENT).setHeader("Content-Encoding", "zstd").build());
        HubClient client = client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("Content-Encoding 'zstd' although identity was asked for");
    }

    private HubClient client() {
        try {
            return desk.client();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void anAddressThatHasExpiredIsAskedForAnew() throws IOException {
        hub.on("HEAD /acme/m/resolve/main/m.bin", redirect("/expired?Signature=1"));
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", redirect("/blob?Signature=2"));
        store.on(
                "GET /expired",
                cutAfter(700_000),
                request -> status(403)
                        .body("<Error><Code>AccessDenied</Code></Error>")
                        .build());
        stored();
        fetch();
        assertThat(store.calls())
                .containsExactly("GET /expired?Signature=1", "GET /expired?Signature=1", "GET /blob?Signature=2");
        assertThat(store.ranges()).containsExactly("whole", "bytes=700000-", "bytes=700000-");
        assertThat(hub.ranges()).containsExactly("bytes=700000-");
    }

    @Test
    void anAddressThatStaysForbiddenIsAnError() throws IOException {
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", redirect("/blob?Signature=2"));
        store.on("GET /blob", status(403).body("<Error/>").build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin"))
                .isInstanceOfSatisfying(
                        HubHttpException.class, e -> assertThat(e.status()).isEqualTo(403));
        assertThat(store.calls()).hasSize(2);
    }

    @Test
    void aStoreThatIsOverloadedIsAskedAgain() throws IOException {
        stored(
                request -> status(503).build(),
                request -> status(429).setHeader("Retry-After", "4").build(),
                request -> status(500).build());
        fetch();
        assertThat(desk.waits()).containsExactly(ofSeconds(1), ofSeconds(5), ofSeconds(4));
    }

    @Test
    void contentThatWasCorruptedOnceIsFetchedOnceMore() throws IOException {
        byte[] wrong = CONTENT.clone();
        wrong[777_777] ^= 1;
        stored(request -> bytes(wrong).build());
        fetch();
        assertThat(store.ranges()).containsExactly("whole", "whole");
    }

    @Test
    void contentThatIsAlwaysCorruptIsNotKept() throws IOException {
        byte[] wrong = CONTENT.clone();
        wrong[0] ^= 1;
        store.on("GET /blob", bytes(wrong).build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin"))
                .isInstanceOf(IntegrityException.class)
                .hasMessageContaining("expected sha256 " + SHA256 + ", what arrived has ")
                .hasMessageContaining("nothing was kept");
        assertThat(store.calls()).hasSize(2);
        Path folder = desk.cached("models--acme--m");
        assertThat(blobs()).isEmpty();
        assertThat(folder.resolve("snapshots")).doesNotExist();
        assertThat(folder.resolve("refs")).doesNotExist();
    }

    @Test
    void contentThatIsShorterThanAnnouncedIsGivenUp() throws IOException {
        byte[] shorter = Arrays.copyOf(CONTENT, 900_000);
        store.on("GET /blob", request -> ranged(request, shorter));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "m.bin"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("fewer than the announced 1000000 bytes");
        assertThat(store.calls()).hasSizeLessThan(10);
    }

    @Test
    void whatWasLeftOfOtherContentIsDropped() throws IOException {
        Path partial = desk.cached("models--acme--m").resolve("blobs").resolve(SHA256 + ".incomplete");
        Files.createDirectories(partial.getParent());
        Files.write(partial, new byte[1_000_001]);
        stored();
        fetch();
        assertThat(store.ranges()).containsExactly("whole");
    }

    @Test
    void whatWasLeftDamagedIsFoundOutByTheHash() throws IOException {
        Path partial = desk.cached("models--acme--m").resolve("blobs").resolve(SHA256 + ".incomplete");
        Files.createDirectories(partial.getParent());
        Files.write(partial, new byte[600_000]);
        stored();
        fetch();
        assertThat(store.ranges()).containsExactly("bytes=600000-", "whole");
    }

    @Test
    void whatIsCompleteButUnnamedIsOnlyChecked() throws IOException {
        Path partial = desk.cached("models--acme--m").resolve("blobs").resolve(SHA256 + ".incomplete");
        Files.createDirectories(partial.getParent());
        Files.write(partial, CONTENT);
        fetch();
        assertThat(store.calls()).isEmpty();
    }

    @Test
    void aProcessThatFollowsAnotherResumesAtItsByte() throws IOException {
        store.on("GET /blob", cutAfter(250_001), request -> status(400).build());
        hub.on("GET /acme/m/resolve/" + COMMIT + "/m.bin", status(404).build());
        try (HubClient killed = desk.client()) {
            assertThatThrownBy(() -> killed.file(REPO, Revision.MAIN, "m.bin")).isInstanceOf(HubException.class);
        }
        stored();
        fetch();
        assertThat(store.ranges()).last().isEqualTo("bytes=250001-");
    }

    @Test
    void forcedDownloadsBeginAnew() throws IOException {
        stored();
        Path file = fetch();
        Files.write(desk.cached("models--acme--m").resolve("blobs").resolve(SHA256 + ".incomplete"), new byte[5]);
        assertThat(desk.client().file(REPO, Revision.MAIN, "m.bin", null, true, false))
                .isEqualTo(file);
        assertThat(store.ranges()).containsExactly("whole", "whole");
        assertThat(blobs()).containsExactly(SHA256);
    }
}
