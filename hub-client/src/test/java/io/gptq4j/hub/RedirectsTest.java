package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
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
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class RedirectsTest {
    private static final String FILE = "/acme/m/resolve/main/a.txt";

    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @RegisterExtension
    static final WireMockExtension cdn = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.baseUrl()).token("hf_topsecret");
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static ResponseDefinitionBuilder to(String location) {
        return aResponse().withStatus(307).withHeader("Location", location);
    }

    @Test
    void aChainOfRelativeRedirectsIsFollowedWithItsQuery() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(to("/acme/new/resolve/main/a.txt?x=%2Fa%3D")));
        hub.stubFor(head(urlEqualTo("/acme/new/resolve/main/a.txt?x=%2Fa%3D")).willReturn(to("b.txt?y=1")));
        Stubs.hello(hub, "/acme/new/resolve/main/b.txt?y=1");
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
        assertThat(desk.cached("models--acme--m").resolve("blobs").resolve(HELLO_ID))
                .hasContent("hello");
    }

    @Test
    void metadataOfARedirectToAStoreCountsNotThatOfTheStore() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE))
                .willReturn(aResponse()
                        .withStatus(302)
                        .withHeader("Location", cdn.baseUrl() + "/blob")
                        .withHeader("X-Repo-Commit", COMMIT)
                        .withHeader("X-Linked-ETag", '"' + HELLO_ID + '"')
                        .withHeader("X-Linked-Size", "5")
                        .withHeader("ETag", "\"of-the-redirect\"")
                        .withHeader("Content-Length", "1369")));
        cdn.stubFor(get(urlEqualTo("/blob"))
                .willReturn(aResponse().withBody("hello").withHeader("ETag", "\"of-the-store\"")));
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        assertThat(desk.cached("models--acme--m").resolve("blobs").resolve(HELLO_ID))
                .hasContent("hello");
        assertThat(Stubs.calls(cdn)).containsExactly("GET /blob");
    }

    @Test
    void anAbsoluteRedirectThatTellsNothingIsFollowed() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(to(hub.baseUrl() + "/acme/moved/resolve/main/a.txt")));
        Stubs.hello(hub, "/acme/moved/resolve/main/a.txt");
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
    }

    @Test
    void redirectsWithoutEndAreGivenUp() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(to("/again")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("more than 20 redirects from " + hub.baseUrl() + INFO);
        assertThat(Stubs.calls(hub)).hasSize(21);
        assertThat(desk.waits()).isEmpty();
    }

    @Test
    void aRedirectToNoWebAddressIsRefused() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(to("mailto:somebody@example.org")));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("redirects to something that is no web address");
    }

    @Test
    void aRenamedRepositoryGetsThePostWithItsBody() throws IOException {
        hub.stubFor(post(urlEqualTo("/api/models/acme/m/paths-info/main"))
                .willReturn(to("/api/models/acme/new/paths-info/main")));
        hub.stubFor(post(urlEqualTo("/api/models/acme/new/paths-info/main"))
                .willReturn(okJson("[{\"type\":\"file\",\"path\":\"a\",\"size\":5,\"oid\":\"" + HELLO_ID + "\"}]")));
        List<RepoEntry> entries = desk.client().pathsInfo(REPO, Revision.MAIN, List.of("a"));
        assertThat(entries).map(RepoEntry::path).containsExactly("a");
        assertThat(Stubs.requests(hub)).hasSize(2).allSatisfy(request -> {
            assertThat(request.getMethod().getName()).isEqualTo("POST");
            assertThat(request.getBodyAsString()).isEqualTo("paths=a&expand=false");
            assertThat(request.getHeader("Authorization")).isEqualTo("Bearer hf_topsecret");
        });
    }

    @Test
    void whatNamesThePublicHubIsAskedOfTheMirror() throws IOException {
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(to("https://huggingface.co/api/models/acme/new?x=a%26b%2Bc")));
        hub.stubFor(get(urlEqualTo("/api/models/acme/new?x=a%26b%2Bc")).willReturn(okJson("{\"id\":\"acme/new\"}")));
        assertThat(desk.client().info(REPO, Revision.MAIN).id()).isEqualTo("acme/new");
    }

    @Test
    void aStoreThatIsThePublicHubIsReplacedByTheMirrorToo() throws IOException {
        String cache = "/api/resolve-cache/models/acme/m/" + COMMIT + "/a.txt";
        hub.stubFor(head(urlEqualTo(FILE))
                .willReturn(Stubs.metadata(HELLO_ID, 0)
                        .withStatus(302)
                        .withHeader("Location", "https://huggingface.co" + cache)
                        .withHeader("X-Linked-ETag", '"' + HELLO_ID + '"')
                        .withHeader("X-Linked-Size", "5")));
        Stubs.hello(hub, cache);
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
        assertThat(Stubs.calls(hub)).containsExactly("HEAD " + FILE, "GET " + cache);
    }
}
