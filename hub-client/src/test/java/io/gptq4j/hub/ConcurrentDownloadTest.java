package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Several downloads of one file at once. */
class ConcurrentDownloadTest {
    private static final int COUNT = 4;

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;
    private final ExecutorService threads = Executors.newFixedThreadPool(COUNT);
    /** All have asked for the metadata, so none knows of the others. */
    private final CountDownLatch asked = new CountDownLatch(COUNT);

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.address());
        hub.on("HEAD /acme/m/resolve/main/a.txt", request -> {
            asked.countDown();
            return status(200)
                    .setHeader("X-Repo-Commit", COMMIT)
                    .setHeader("ETag", '"' + HELLO_ID + '"')
                    .setHeader("Content-Length", 5)
                    .build();
        });
        hub.on("GET /acme/m/resolve/" + COMMIT + "/a.txt", request -> {
            try {
                asked.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return status(200).body("hello").build();
        });
    }

    @AfterEach
    void close() {
        threads.shutdownNow();
        desk.close();
    }

    private void fetch(List<HubClient> clients) {
        List<CompletableFuture<Path>> files = clients.stream()
                .map(client -> CompletableFuture.supplyAsync(
                        () -> {
                            try {
                                return client.file(REPO, Revision.MAIN, "a.txt");
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                        },
                        threads))
                .toList();
        assertThat(files).allSatisfy(file -> assertThat(file.join()).hasContent("hello"));
        assertThat(hub.requests("HEAD")).hasSize(COUNT);
        assertThat(hub.requests("GET")).hasSize(1);
    }

    @Test
    void threadsOfOneClientFetchOnce() throws IOException {
        HubClient client = desk.client();
        fetch(Stream.generate(() -> client).limit(COUNT).toList());
    }

    @Test
    void clientsFetchOnceTogether() throws IOException {
        fetch(List.of(desk.client(), desk.client(), desk.client(), desk.client()));
    }
}
