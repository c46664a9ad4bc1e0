package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.ok;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.tomakehurst.wiremock.client.WireMock;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How revisions and paths are written into addresses. */
class AddressesTest {
    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.baseUrl());
        hub.stubFor(any(anyUrl()).willReturn(okJson("[]")));
        hub.stubFor(WireMock.head(anyUrl()).willReturn(Stubs.metadata(HELLO_ID, 5)));
        hub.stubFor(WireMock.get(WireMock.urlMatching(".*/resolve/.*")).willReturn(ok("hello")));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    @Test
    void slashesInARevisionAreEncoded() throws IOException {
        HubClient client = desk.client();
        client.info(REPO, new Revision("refs/pr/1"));
        client.file(REPO, new Revision("refs/pr/1"), "a.txt");
        assertThat(Stubs.calls(hub))
                .containsExactly(
                        "GET /api/models/acme/m/revision/refs%2Fpr%2F1",
                        "HEAD /acme/m/resolve/refs%2Fpr%2F1/a.txt", "GET /acme/m/resolve/" + COMMIT + "/a.txt");
    }

    @Test
    void aFolderOfATreeIsOneSegment() throws IOException {
        desk.client().tree(REPO, Revision.MAIN, "a/b c", false);
        assertThat(Stubs.calls(hub))
                .containsExactly("GET /api/models/acme/m/tree/main/a%2Fb%20c?recursive=false&expand=false");
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '"', textBlock = """
                    sub/a b.txt,    sub/a%20b.txt
                    a#b.txt,        a%23b.txt
                    a?b.txt,        a%3Fb.txt
                    100%.txt,       100%25.txt
                    a%2Fb.txt,      a%252Fb.txt
                    %2e%2e.txt,     %252e%252e.txt
                    1+1.txt,        1+1.txt
                    é/日本.txt,      %C3%A9/%E6%97%A5%E6%9C%AC.txt
                    😀.txt,         %F0%9F%98%80.txt
                    a\\b.txt,       a%5Cb.txt
                    """)
    void pathsKeepTheirSlashesAndNothingElse(String path, String encoded) throws IOException {
        Path file = desk.client().file(REPO, Revision.MAIN, path);
        assertThat(file).hasContent("hello");
        assertThat(desk.cached("models--acme--m")
                        .resolve("snapshots")
                        .resolve(COMMIT)
                        .resolve(path))
                .isEqualTo(file);
        assertThat(Stubs.calls(hub)).startsWith("HEAD /acme/m/resolve/main/" + encoded);
    }

    @Test
    void datasetsAndSpacesAndOldModelsHaveTheirOwnAddresses() throws IOException {
        HubClient client = desk.client();
        for (String repo : new String[] {"datasets/acme/d", "spaces/acme/s", "gpt2"}) {
            client.info(Repo.parse(repo), Revision.MAIN);
            client.file(Repo.parse(repo), Revision.MAIN, "a.txt");
        }
        assertThat(Stubs.calls(hub))
                .containsSubsequence(
                        "GET /api/datasets/acme/d/revision/main",
                        "HEAD /datasets/acme/d/resolve/main/a.txt",
                        "GET /api/spaces/acme/s/revision/main",
                        "HEAD /spaces/acme/s/resolve/main/a.txt",
                        "GET /api/models/gpt2/revision/main",
                        "HEAD /gpt2/resolve/main/a.txt");
        assertThat(desk.cached("datasets--acme--d")).isDirectory();
        assertThat(desk.cached("models--gpt2")).isDirectory();
    }

    @Test
    void aHubMayLieBelowAPath() throws IOException {
        try (Desk mirror = new Desk(home, hub.baseUrl() + "/mirror/hf/").token("hf_topsecret")) {
            HubClient client = mirror.client();
            client.info(REPO, Revision.MAIN);
            client.file(REPO, Revision.MAIN, "a.txt");
        }
        assertThat(Stubs.calls(hub))
                .containsExactly(
                        "GET /mirror/hf/api/models/acme/m/revision/main",
                        "HEAD /mirror/hf/acme/m/resolve/main/a.txt",
                        "GET /mirror/hf/acme/m/resolve/" + COMMIT + "/a.txt");
        assertThat(Stubs.requests(hub))
                .allSatisfy(request ->
                        assertThat(request.getHeader("Authorization")).isEqualTo("Bearer hf_topsecret"));
    }
}
