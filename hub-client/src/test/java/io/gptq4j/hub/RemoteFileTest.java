package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.bytes;
import static io.gptq4j.hub.ScriptedServer.cut;
import static io.gptq4j.hub.ScriptedServer.ranged;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.internal.download.Tuning;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import mockwebserver3.MockResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class RemoteFileTest {
    private static final byte[] CONTENT = new byte[9_000_000];
    private static final String STORE = "GET /acme/m/resolve/" + COMMIT + "/m.bin";

    static {
        new Random(20260827).nextBytes(CONTENT);
    }

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.address());
        hub.on(
                "HEAD /acme/m/resolve/main/m.bin",
                status(200)
                        .setHeader("X-Repo-Commit", COMMIT)
                        .setHeader("ETag", '"' + Stubs.HELLO_ID + '"')
                        .setHeader("Content-Length", CONTENT.length)
                        .build());
        hub.on(STORE, request -> ranged(request, CONTENT));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private RemoteFile open() throws IOException {
        return desk.client().open(REPO, Revision.MAIN, "m.bin");
    }

    private static void read(RemoteFile file, int count) throws IOException {
        int from = Math.toIntExact(file.position());
        ByteBuffer buffer = ByteBuffer.allocate(count);
        while (buffer.hasRemaining()) {
            assertThat(file.read(buffer)).isPositive();
        }
        assertThat(buffer.array()).isEqualTo(Arrays.copyOfRange(CONTENT, from, from + count));
        assertThat(file.position()).isEqualTo(from + count);
    }

    @Test
    void openingCostsAHeadAndNoContent() throws IOException {
        try (RemoteFile file = open()) {
            assertThat(file.size()).isEqualTo(CONTENT.length);
            assertThat(file.position()).isZero();
            assertThat(file.isOpen()).isTrue();
        }
        assertThat(hub.calls()).containsExactly("HEAD /acme/m/resolve/main/m.bin");
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void readingInOrderReadsAheadMoreAndMore() throws IOException {
        try (RemoteFile file = open()) {
            for (int i = 0; i < 500; i++) {
                read(file, 1000);
            }
        }
        assertThat(hub.ranges())
                .containsExactly("bytes=0-65535", "bytes=65536-196607", "bytes=196608-458751", "bytes=458752-983039");
    }

    @Test
    void aJumpReadsALittleAndWithinTheWindowNothing() throws IOException {
        try (RemoteFile file = open()) {
            file.position(5_000_000);
            read(file, 8);
            file.position(5_000_100);
            read(file, 100);
            file.position(5_000_000);
            read(file, 8);
            file.position(10);
            read(file, 8);
        }
        assertThat(hub.ranges()).containsExactly("bytes=5000000-5065535", "bytes=10-65545");
    }

    @Test
    void aLargeReadFetchesWhatItNeedsAndNothingElse() throws IOException {
        try (RemoteFile file = open()) {
            file.position(1_000_003);
            read(file, 2_000_000);
            read(file, 10);
            file.position(6_000_000);
            ByteBuffer direct = ByteBuffer.allocateDirect(1_500_000).position(100_000);
            assertThat(file.read(direct)).isEqualTo(1_400_000);
            byte[] found = new byte[1_400_000];
            direct.get(100_000, found);
            assertThat(found).isEqualTo(Arrays.copyOfRange(CONTENT, 6_000_000, 7_400_000));
        }
        assertThat(hub.ranges())
                .containsExactly("bytes=1000003-3000002", "bytes=3000003-3065538", "bytes=6000000-7399999");
    }

    @Test
    void aVeryLargeReadComesInPiecesOverSeveralConnections() throws IOException {
        desk.tuning(new Tuning(64L << 20, 4L << 20, 3, 64_000_000, Duration.ofSeconds(1)));
        CountDownLatch together = new CountDownLatch(2);
        hub.on(STORE, request -> {
            together.countDown();
            try { // the first two answers wait for each other
                assertThat(together.await(30, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            return ranged(request, CONTENT);
        });
        try (RemoteFile file = open()) {
            read(file, CONTENT.length);
            assertThat(file.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
        assertThat(hub.ranges())
                .containsExactlyInAnyOrder("bytes=0-4194303", "bytes=4194304-8388607", "bytes=8388608-");
    }

    @Test
    void aBrokenPieceIsAskedForItsRestAndProgressFillsTheBudget() throws IOException {
        // More often than a line without progress is tried.
        hub.on(STORE, request -> {
            MockResponse whole = ranged(request, CONTENT);
            return whole.getBody() != null && whole.getBody().getContentLength() > 200_000
                    ? cut(whole, 200_000)
                    : whole;
        });
        try (RemoteFile file = open()) {
            read(file, 1_500_000);
        }
        assertThat(desk.waits()).hasSize(7).containsOnly(Duration.ofSeconds(1));
        assertThat(hub.ranges())
                .startsWith("bytes=0-1499999", "bytes=200000-1499999")
                .endsWith("bytes=1400000-1499999")
                .hasSize(8);
    }

    @Test
    void onePieceThatFailsForGoodEndsTheRead() throws IOException {
        desk.tuning(new Tuning(64L << 20, 1L << 20, 2, 64_000_000, Duration.ofSeconds(1)));
        hub.on(
                STORE,
                request -> "bytes=3145728-4194303".equals(request.getHeaders().get("Range"))
                        ? status(500).build()
                        : ranged(request, CONTENT));
        try (RemoteFile file = open()) {
            assertThatThrownBy(() -> file.read(ByteBuffer.allocate(CONTENT.length)))
                    .isInstanceOf(HubException.class)
                    .hasMessageContaining("Cannot read 'm.bin' of model 'acme/m'");
            assertThat(file.position()).isZero();
        }
    }

    @Test
    void theEndIsTheEnd() throws IOException {
        try (RemoteFile file = open()) {
            file.position(CONTENT.length - 3);
            ByteBuffer buffer = ByteBuffer.allocate(10);
            assertThat(file.read(buffer)).isEqualTo(3);
            assertThat(file.read(buffer)).isEqualTo(-1);
            file.position(CONTENT.length + 5L);
            assertThat(file.read(buffer)).isEqualTo(-1);
            file.position(0);
            assertThat(file.read(ByteBuffer.allocate(0))).isZero();
        }
        assertThat(hub.ranges()).containsExactly("bytes=8999997-");
    }

    @Test
    void aConnectionThatBreaksIsTriedAgain() throws IOException {
        hub.on(
                STORE,
                request -> cut(ranged(request, CONTENT), 100),
                request -> status(503).build(),
                request -> ranged(request, CONTENT));
        try (RemoteFile file = open()) {
            read(file, 1000);
        }
        assertThat(desk.waits()).containsExactly(Duration.ofSeconds(1), Duration.ofSeconds(2));
    }

    @Test
    void aConnectionThatBreaksAlwaysIsGivenUp() throws IOException {
        hub.on(STORE, request -> cut(ranged(request, CONTENT), 0));
        try (RemoteFile file = open()) {
            assertThatThrownBy(() -> file.read(ByteBuffer.allocate(1000)))
                    .isInstanceOf(HubNetworkException.class)
                    .hasMessageContaining("Cannot read 'm.bin' of model 'acme/m'");
        }
    }

    @Test
    void aServerWithoutRangesIsGoodForTheBeginningOnly() throws IOException {
        hub.on(STORE, bytes(CONTENT).build());
        try (RemoteFile file = open()) {
            read(file, 1000);
            file.position(1_000_000);
            assertThatThrownBy(() -> file.read(ByteBuffer.allocate(8)))
                    .isInstanceOf(HubException.class)
                    .hasMessageContaining("does not give ranges of bytes; download the file instead");
        }
    }

    @Test
    void aClosedFileAndWritingAreRefused() throws IOException {
        RemoteFile file = open();
        assertThatIllegalArgumentException().isThrownBy(() -> file.position(-1));
        assertThatThrownBy(() -> file.write(ByteBuffer.allocate(1))).isInstanceOf(NonWritableChannelException.class);
        assertThatThrownBy(() -> file.truncate(1)).isInstanceOf(NonWritableChannelException.class);
        file.close();
        file.close();
        assertThat(file.isOpen()).isFalse();
        assertThatThrownBy(() -> file.read(ByteBuffer.allocate(1))).isInstanceOf(ClosedChannelException.class);
        assertThatThrownBy(file::size).isInstanceOf(ClosedChannelException.class);
        assertThatThrownBy(file::position).isInstanceOf(ClosedChannelException.class);
    }
}
