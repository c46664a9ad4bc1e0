package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.head;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.SnapshotRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files in a folder of the user's, with huggingface_hub's bookkeeping. */
class LocalDirTest {
    private static final String HEAD = "HEAD /acme/m/resolve/main/a.txt";
    private static final String GET = "GET /acme/m/resolve/" + COMMIT + "/a.txt";

    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;
    private Path local;
    private Path note;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.baseUrl());
        local = home.resolve("out");
        note = local.resolve(".cache/huggingface/download/a.txt.metadata");
        Stubs.hello(hub, "/acme/m/resolve/main/a.txt");
        Stubs.hello(hub, "/acme/m/resolve/" + COMMIT + "/a.txt");
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(okJson("{\"sha\":\"" + COMMIT + "\"}")));
        hub.stubFor(get(urlEqualTo("/api/models/acme/m/tree/" + COMMIT + "?recursive=true&expand=false"))
                .willReturn(
                        okJson("[{\"type\":\"file\",\"path\":\"a.txt\",\"size\":5,\"oid\":\"" + HELLO_ID + "\"}]")));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private List<String> calls() {
        List<String> calls = Stubs.calls(hub);
        hub.resetRequests();
        return calls;
    }

    private Path fetch(Revision revision) throws IOException {
        Path file = desk.client().file(REPO, revision, "a.txt", local, false, false);
        assertThat(file).isEqualTo(local.resolve("a.txt")).isRegularFile().hasContent("hello");
        assertThat(note).content().startsWith(COMMIT + "\n" + HELLO_ID + "\n");
        return file;
    }

    @Test
    void aFileLiesThereWithANoteOfThreeLinesAndIsNotFetchedAgain() throws IOException {
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD, GET);
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD);
        fetch(new Revision(COMMIT));
        assertThat(calls()).isEmpty();
        assertThat(local.resolve(".cache/huggingface/download"))
                .isDirectoryContaining("glob:**/a.txt.lock")
                .isDirectoryNotContaining("glob:**.incomplete");
        assertThat(desk.cached("models--acme--m")).doesNotExist();
    }

    @Test
    void aFileThatWasEditedIsFetchedAgain() throws IOException {
        Path file = fetch(Revision.MAIN);
        Files.writeString(file, "HELLO");
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(60)));
        calls();
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD, GET);
    }

    @Test
    void aFileThatWasOnlyTouchedIsRecognisedByItsContent() throws IOException {
        Path file = fetch(Revision.MAIN);
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(60)));
        calls();
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD);
    }

    @Test
    void aNoteThatIsLostIsMadeAnewFromTheContent() throws IOException {
        fetch(Revision.MAIN);
        Files.delete(note);
        calls();
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD);
    }

    @Test
    void whatTheCacheHoldsIsCopied() throws IOException {
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        calls();
        fetch(Revision.MAIN);
        assertThat(calls()).containsExactly(HEAD);
    }

    @Test
    void aForcedDownloadIsOne() throws IOException {
        fetch(Revision.MAIN);
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        calls();
        desk.client().file(REPO, Revision.MAIN, "a.txt", local, true, false);
        assertThat(calls()).containsExactly(HEAD, GET);
    }

    @Test
    void aSnapshotGoesThereToo() throws IOException {
        SnapshotRequest request = SnapshotRequest.of(REPO).into(local);
        assertThat(desk.client().snapshot(request).folder()).isEqualTo(local);
        assertThat(local.resolve("a.txt")).hasContent("hello");
        assertThat(local.resolve(".cache/huggingface/trees/" + COMMIT + ".json"))
                .exists();
        calls();
        desk.client().snapshot(request);
        assertThat(calls()).containsExactly("GET " + INFO);

        hub.resetAll();
        try (Desk offline = new Desk(home, hub.baseUrl()).with("HF_HUB_OFFLINE", "1")) {
            assertThat(offline.client().snapshot(request).files()).hasSize(1);
        }
        assertThat(calls()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {".git/config", "sub/.GIT/hooks/x", ".cache/huggingface/download/a.txt.metadata", "../x"})
    void aRepositoryCannotReachWhereNoFileOfItBelongs(String path) throws IOException {
        hub.stubFor(get(urlEqualTo("/api/models/acme/m/tree/" + COMMIT + "?recursive=true&expand=false"))
                .willReturn(okJson(
                        "[{\"type\":\"file\",\"path\":\"" + path + "\",\"size\":5,\"oid\":\"" + HELLO_ID + "\"}]")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.snapshot(SnapshotRequest.of(REPO).into(local)))
                .isInstanceOf(HubException.class)
                .hasMessageContaining(path);
        assertThat(local.resolve(".git")).doesNotExist();
        assertThat(note).doesNotExist();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, path, local, false, false))
                .isInstanceOfAny(HubException.class, IllegalArgumentException.class);
    }

    @Test
    void aFileThatIsThereIsGivenWhenTheHubCannotBeAsked() throws IOException {
        Path file = fetch(Revision.MAIN);
        hub.stubFor(head(urlEqualTo("/acme/m/resolve/main/a.txt"))
                .willReturn(aResponse().withStatus(503)));
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt", local, false, false))
                .isEqualTo(file);
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt", local, false, true))
                .isEqualTo(file);
    }
}
