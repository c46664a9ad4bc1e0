package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.IncompleteSnapshotException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.error.OfflineException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Patterns;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What works, and what does not, while the Hub must not or cannot be asked. */
class OfflineTest {
    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk online;

    @BeforeEach
    void prepare() {
        online = new Desk(home, hub.baseUrl());
        String entry = "{\"type\":\"file\",\"path\":\"%s\",\"size\":5,\"oid\":\"" + HELLO_ID + "\"}";
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(okJson("{\"sha\":\"" + COMMIT + "\"}")));
        hub.stubFor(get(urlEqualTo("/api/models/acme/m/tree/" + COMMIT + "?recursive=true&expand=false"))
                .willReturn(okJson("[" + entry.formatted("a.txt") + "," + entry.formatted("sub/b.txt") + "]")));
        Stubs.hello(hub, "/acme/m/resolve/main/a.txt");
        Stubs.hello(hub, "/acme/m/resolve/" + COMMIT + "/a.txt");
        Stubs.hello(hub, "/acme/m/resolve/" + COMMIT + "/sub/b.txt");
    }

    @AfterEach
    void close() {
        online.close();
    }

    private Desk offline() {
        hub.resetRequests();
        return new Desk(home, hub.baseUrl()).with("HF_HUB_OFFLINE", "1");
    }

    @Test
    void everyCallOfTheApiIsRefusedWithoutARequest() throws IOException {
        try (Desk desk = offline()) {
            HubClient client = desk.client();
            assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                    .isInstanceOf(OfflineException.class)
                    .hasMessageContaining("HF_HUB_OFFLINE");
            assertThatThrownBy(() -> client.createRepo(REPO, null, true)).isInstanceOf(OfflineException.class);
            assertThat(desk.waits()).isEmpty();
        }
        assertThat(Stubs.calls(hub)).isEmpty();
    }

    @Test
    void aCachedFileIsGivenAndAnotherIsNot() throws IOException {
        Path file = online.client().file(REPO, Revision.MAIN, "a.txt");
        try (Desk desk = offline()) {
            HubClient client = desk.client();
            assertThat(client.file(REPO, Revision.MAIN, "a.txt")).isEqualTo(file);
            assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "sub/b.txt"))
                    .isInstanceOf(LocalEntryNotFoundException.class)
                    .hasMessageContaining("'sub/b.txt' of model 'acme/m'")
                    .hasMessageContaining("unset HF_HUB_OFFLINE");
        }
        assertThat(Stubs.calls(hub)).isEmpty();
    }

    @Test
    void aCompleteSnapshotIsGiven() throws IOException {
        Snapshot fetched = online.client().snapshot(SnapshotRequest.of(REPO));
        try (Desk desk = offline()) {
            Snapshot found = desk.client().snapshot(SnapshotRequest.of(REPO));
            assertThat(found.folder()).isEqualTo(fetched.folder());
            assertThat(found.commit()).isEqualTo(COMMIT);
            assertThat(found.files()).hasSize(2).allMatch(Snapshot.File::present);
        }
        assertThat(Stubs.calls(hub)).isEmpty();
    }

    @Test
    void aPartOfASnapshotIsNotGivenForTheWhole() throws IOException {
        SnapshotRequest part = SnapshotRequest.of(REPO).only(Patterns.of(List.of("a.txt"), List.of()));
        Path folder = online.client().snapshot(part).folder();
        try (Desk desk = offline()) {
            HubClient client = desk.client();
            assertThat(client.snapshot(part).files()).hasSize(1);
            assertThatThrownBy(() -> client.snapshot(SnapshotRequest.of(REPO)))
                    .isInstanceOfSatisfying(IncompleteSnapshotException.class, e -> {
                        assertThat(e.folder()).isEqualTo(folder);
                        assertThat(e.missing()).containsExactly("sub/b.txt");
                    })
                    .hasMessageContaining("lacks 1 file(s): sub/b.txt");
        }
    }

    @Test
    void withoutAListingNobodyCanTellSoWhatIsThereIsGiven() throws IOException {
        Path folder = online.client().snapshot(SnapshotRequest.of(REPO)).folder();
        Files.delete(online.cached("models--acme--m").resolve("trees").resolve(COMMIT + ".json"));
        Files.delete(folder.resolve("a.txt"));
        try (Desk desk = offline()) {
            assertThat(desk.client().snapshot(SnapshotRequest.of(REPO)).folder())
                    .isEqualTo(folder);
        }
    }

    @Test
    void aSnapshotThatIsNotThereSaysWhatToDo() throws IOException {
        try (Desk desk = offline()) {
            HubClient client = desk.client();
            assertThatThrownBy(() -> client.snapshot(SnapshotRequest.of(Repo.model("acme/other"))))
                    .isInstanceOf(LocalEntryNotFoundException.class)
                    .hasMessageContaining("model 'acme/other'")
                    .hasMessageContaining("offline mode is enabled");
        }
    }

    @Test
    void aClientToldToLookHereOnlyAsksNobody() throws IOException {
        HubClient client = online.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt", null, false, true))
                .isInstanceOf(LocalEntryNotFoundException.class)
                .hasMessageContaining("only this disk was to be searched");
        assertThatThrownBy(() -> client.snapshot(SnapshotRequest.of(REPO).localOnly(true)))
                .isInstanceOf(LocalEntryNotFoundException.class);
        assertThat(Stubs.calls(hub)).isEmpty();
    }

    @Test
    void aHubThatIsDownIsReplacedByTheCacheAtOnce() throws IOException {
        HubClient client = online.client();
        Path file = client.file(REPO, Revision.MAIN, "a.txt");
        Path folder = client.snapshot(SnapshotRequest.of(REPO)).folder();
        CapturedLog.clear();
        try (Desk down = new Desk(home, "http://127.0.0.1:1")) {
            HubClient other = down.client();
            assertThat(other.file(REPO, Revision.MAIN, "a.txt")).isEqualTo(file);
            assertThat(down.waits()).isEmpty();
            assertThat(other.snapshot(SnapshotRequest.of(REPO)).folder()).isEqualTo(folder);
            assertThatThrownBy(() -> other.file(REPO, Revision.MAIN, "nope.txt"))
                    .isInstanceOf(HubNetworkException.class);
            assertThatThrownBy(() -> other.file(REPO, Revision.MAIN, "a.txt", null, true, false))
                    .as("force")
                    .isInstanceOf(HubNetworkException.class);
        }
        assertThat(CapturedLog.lines()).anyMatch(line -> line.startsWith("WARN") && line.contains("taking the file"));
    }
}
