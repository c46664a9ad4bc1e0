package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.head;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Patterns;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files and snapshots in the shared cache: what is asked for, and what lies there afterwards. */
class CacheTest {
    private static final String FILE = "/acme/m/resolve/main/a.txt";
    private static final String TREE = "/api/models/acme/m/tree/" + COMMIT + "?recursive=true&expand=false";
    private static final String EMPTY_ID = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.baseUrl());
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(okJson("{\"sha\":\"" + COMMIT + "\"}")));
        hub.stubFor(get(urlEqualTo(TREE)).willReturn(okJson("""
                [{"type":"file","path":"a.txt","size":5,"oid":"%s"},
                 {"type":"directory","path":"sub","size":0,"oid":"264894973194905f5776b135abf117cdad0bb2d1"},
                 {"type":"file","path":"sub/b.txt","size":5,"oid":"%s"},
                 {"type":"file","path":"empty.txt","size":0,"oid":"%s"}]
                """.formatted(HELLO_ID, HELLO_ID, EMPTY_ID))));
        Stubs.hello(hub, FILE);
        for (String path : List.of("a.txt", "sub/b.txt")) {
            Stubs.hello(hub, "/acme/m/resolve/" + COMMIT + "/" + path);
        }
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

    private static List<String> tree(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(file -> !Files.isDirectory(file))
                    .map(file -> root.relativize(file) + (Files.isSymbolicLink(file) ? " -> " + target(file) : ""))
                    .sorted()
                    .toList();
        }
    }

    private static Path target(Path link) {
        try {
            return Files.readSymbolicLink(link);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void aFileCostsAHeadAndAGetThenAHeadAndByItsCommitNothing() throws IOException {
        HubClient client = desk.client();
        Path file = client.file(REPO, Revision.MAIN, "a.txt");
        assertThat(calls()).containsExactly("HEAD " + FILE, "GET /acme/m/resolve/" + COMMIT + "/a.txt");
        assertThat(client.file(REPO, Revision.MAIN, "a.txt")).isEqualTo(file);
        assertThat(calls()).containsExactly("HEAD " + FILE);
        assertThat(client.file(REPO, new Revision(COMMIT), "a.txt")).isEqualTo(file);
        assertThat(calls()).isEmpty();
        assertThat(tree(home.resolve("hub")))
                .containsExactly(
                        ".locks/models--acme--m/" + HELLO_ID + ".lock",
                        "CACHEDIR.TAG",
                        "models--acme--m/blobs/" + HELLO_ID,
                        "models--acme--m/refs/main",
                        "models--acme--m/snapshots/" + COMMIT + "/a.txt -> ../../blobs/" + HELLO_ID);
    }

    @Test
    void aSnapshotCostsTheInfoTheListOnceAndEachContentOnce() throws IOException {
        HubClient client = desk.client();
        Snapshot first = client.snapshot(SnapshotRequest.of(REPO).workers(1));
        assertThat(calls()).containsExactly("GET " + INFO, "GET " + TREE, "GET /acme/m/resolve/" + COMMIT + "/a.txt");
        assertThat(first.files()).map(Snapshot.File::path).containsExactly("a.txt", "sub/b.txt", "empty.txt");
        assertThat(client.snapshot(SnapshotRequest.of(REPO)).files()).allMatch(Snapshot.File::present);
        assertThat(calls()).containsExactly("GET " + INFO);
        client.snapshot(SnapshotRequest.of(REPO).at(new Revision(COMMIT)));
        assertThat(calls()).isEmpty();
        assertThat(tree(desk.cached("models--acme--m")))
                .containsExactly(
                        "blobs/" + HELLO_ID,
                        "blobs/" + EMPTY_ID,
                        "refs/main",
                        "snapshots/" + COMMIT + "/a.txt -> ../../blobs/" + HELLO_ID,
                        "snapshots/" + COMMIT + "/empty.txt -> ../../blobs/" + EMPTY_ID,
                        "snapshots/" + COMMIT + "/sub/b.txt -> ../../../blobs/" + HELLO_ID,
                        "trees/" + COMMIT + ".json");
    }

    @Test
    void aPlanTouchesNothing() throws IOException {
        Snapshot plan = desk.client().plan(SnapshotRequest.of(REPO));
        assertThat(plan.files()).hasSize(3).noneMatch(Snapshot.File::present);
        assertThat(calls()).containsExactly("GET " + INFO, "GET " + TREE);
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void aPlanOfALocalFolderTouchesNothingEither() throws IOException {
        Path local = Files.createDirectory(home.resolve("out"));
        Files.writeString(local.resolve("a.txt"), "hello");
        Snapshot plan = desk.client().plan(SnapshotRequest.of(REPO).into(local));
        assertThat(plan.files())
                .filteredOn(file -> file.present() && file.size() > 0)
                .map(Snapshot.File::path)
                .containsExactly("a.txt");
        assertThat(tree(home)).containsExactly("out/a.txt");
    }

    @Test
    void chosenFilesComeAndOthersDoNot() throws IOException {
        Patterns patterns = Patterns.of(List.of("*.txt"), List.of("sub/", "e*"));
        Snapshot snapshot = desk.client().snapshot(SnapshotRequest.of(REPO).only(patterns));
        assertThat(snapshot.files()).map(Snapshot.File::path).containsExactly("a.txt");
    }

    @Test
    void aForcedSnapshotFetchesWhatIsThere() throws IOException {
        HubClient client = desk.client();
        client.snapshot(SnapshotRequest.of(REPO));
        calls();
        client.snapshot(SnapshotRequest.of(REPO).force(true).workers(1));
        assertThat(calls())
                .containsExactly(
                        "GET " + INFO,
                        "GET /acme/m/resolve/" + COMMIT + "/a.txt",
                        "GET /acme/m/resolve/" + COMMIT + "/sub/b.txt");
    }

    @Test
    void withoutLinksTheFilesLieInTheSnapshot() throws IOException {
        HubClient client = desk.with("HF_HUB_DISABLE_SYMLINKS", "1").client();
        client.file(REPO, Revision.MAIN, "a.txt");
        client.snapshot(SnapshotRequest.of(REPO));
        calls();
        client.snapshot(SnapshotRequest.of(REPO));
        assertThat(calls()).containsExactly("GET " + INFO);
        assertThat(tree(desk.cached("models--acme--m")))
                .containsExactly(
                        "refs/main",
                        "snapshots/" + COMMIT + "/a.txt",
                        "snapshots/" + COMMIT + "/empty.txt",
                        "snapshots/" + COMMIT + "/sub/b.txt",
                        "trees/" + COMMIT + ".json");
    }

    @Test
    void aBlobThatWasCutOffIsFetchedAgain() throws IOException {
        HubClient client = desk.client();
        Path file = client.file(REPO, Revision.MAIN, "a.txt");
        Files.writeString(file, "hel");
        calls();
        assertThat(client.file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
        assertThat(calls()).hasSize(2);
    }

    @Test
    void aFileThatIsMissingIsNoted() throws IOException {
        hub.stubFor(head(urlEqualTo("/acme/m/resolve/main/sub/nope.json"))
                .willReturn(aResponse()
                        .withStatus(404)
                        .withHeader("X-Error-Code", "EntryNotFound")
                        .withHeader("X-Repo-Commit", COMMIT)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "sub/nope.json"))
                .isInstanceOf(EntryNotFoundException.class)
                .hasMessageContaining("Cannot find 'sub/nope.json' of model 'acme/m' at revision 'main'");
        assertThat(desk.cached("models--acme--m").resolve(".no_exist/" + COMMIT + "/sub/nope.json"))
                .isEmptyFile();
    }

    @Test
    void aRevisionThatIsMissingLeavesNothing() throws IOException {
        hub.stubFor(head(urlEqualTo("/acme/m/resolve/nope/a.txt"))
                .willReturn(aResponse().withStatus(404).withHeader("X-Error-Code", "RevisionNotFound")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, new Revision("nope"), "a.txt"))
                .isInstanceOf(RevisionNotFoundException.class);
        assertThat(home.resolve("hub")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"../../../evil", "/etc/evil", "a/b", ".."})
    void aServerThatNamesACommitElsewhereIsRefused(String commit) throws IOException {
        hub.stubFor(head(urlEqualTo(FILE))
                .willReturn(aResponse()
                        .withHeader("X-Repo-Commit", commit)
                        .withHeader("ETag", '"' + HELLO_ID + '"')
                        .withHeader("Content-Length", "5")));
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(okJson("{\"sha\":\"" + commit + "\"}")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("The header X-Repo-Commit of " + hub.baseUrl() + FILE + " is refused");
        assertThatThrownBy(() -> client.snapshot(SnapshotRequest.of(REPO)))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("cannot name a file");
        hub.stubFor(head(urlEqualTo(FILE))
                .willReturn(aResponse()
                        .withStatus(404)
                        .withHeader("X-Error-Code", "EntryNotFound")
                        .withHeader("X-Repo-Commit", commit)));
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt")).isInstanceOf(HubException.class);
        assertThat(home).isEmptyDirectory();
    }

    @ParameterizedTest
    @ValueSource(strings = {"../../evil", "a/b", ".evil"})
    void aServerThatNamesABlobElsewhereIsRefused(String etag) throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(Stubs.metadata(etag, 5)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("The header ETag of " + hub.baseUrl() + FILE + " is refused");
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void aPathThatLeavesTheFolderIsRefusedBeforeAnyRequest() throws IOException {
        HubClient client = desk.client();
        assertThatIllegalArgumentException().isThrownBy(() -> client.file(REPO, Revision.MAIN, "../evil"));
        assertThat(calls()).isEmpty();
    }

    @Test
    void weakAndQuotedTagsAreTheSame() throws IOException {
        hub.stubFor(
                head(urlEqualTo(FILE)).willReturn(Stubs.metadata("x", 5).withHeader("ETag", "W/\"" + HELLO_ID + '"')));
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        assertThat(desk.cached("models--acme--m").resolve("blobs").resolve(HELLO_ID))
                .exists();
    }

    @Test
    void whatAMirrorLeavesOutIsAskedOfTheApi() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(aResponse().withStatus(200)));
        hub.stubFor(post(urlEqualTo("/api/models/acme/m/paths-info/" + COMMIT))
                .willReturn(
                        okJson("[{\"type\":\"file\",\"path\":\"a.txt\",\"size\":5,\"oid\":\"" + HELLO_ID + "\"}]")));
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");

        hub.stubFor(post(urlEqualTo("/api/models/acme/m/paths-info/" + COMMIT)).willReturn(okJson("[]")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt", null, true, false))
                .isInstanceOf(EntryNotFoundException.class)
                .hasMessageContaining("answered without ETag or Content-Length");
    }

    @Test
    void aCacheThatCannotBeWrittenToGivesWhatItHas() throws IOException {
        HubClient client = desk.client();
        Path file = client.file(REPO, Revision.MAIN, "a.txt");
        Path refs = desk.cached("models--acme--m").resolve("refs");
        Files.delete(refs.resolve("main"));
        Files.delete(refs);
        Files.writeString(refs, "no folder, as a disk without the right to write would have none");
        List<String> before = tree(home);
        CapturedLog.clear();
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).isEqualTo(file);
        assertThat(tree(home)).isEqualTo(before);
        assertThat(CapturedLog.lines()).anyMatch(line -> line.startsWith("WARN") && line.contains("cannot note"));
    }

    @Test
    void whereLocksDoNotWorkDownloadsDo() throws IOException {
        Files.createDirectories(home.resolve("hub"));
        Files.writeString(home.resolve("hub/.locks"), "no folder");
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
        assertThat(desk.cached("models--acme--m").resolve("blobs"))
                .isDirectoryNotContaining("glob:**.incomplete")
                .isDirectoryContaining("glob:**/" + HELLO_ID);
    }

    @Test
    void aDownloadThatDoesNotFitIsNotBegun() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(Stubs.metadata(HELLO_ID, 900_000_000_000_000L)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("Too little space for the download")
                .hasMessageContaining("it needs 900000000000000 bytes");
        assertThat(calls()).containsExactly("HEAD " + FILE);
    }

    @Test
    void aSizeThatNoFileHasIsRefused() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(Stubs.metadata(HELLO_ID, 900_000_000_000_000_000L)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.file(REPO, Revision.MAIN, "a.txt"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("the Hub's answer is refused: The size of a.txt is 900000000000000000");
    }
}
