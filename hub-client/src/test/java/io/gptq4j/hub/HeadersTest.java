package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.head;
import static com.github.tomakehurst.wiremock.client.WireMock.ok;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.client.WireMock.urlPathEqualTo;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.verification.LoggedRequest;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What goes along with requests, and above all who gets the token. */
class HeadersTest {
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
        hub.stubFor(get(urlEqualTo(INFO)).willReturn(okJson("{\"id\":\"acme/m\",\"sha\":\"" + COMMIT + "\"}")));
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static String authorization(LoggedRequest request) {
        return request.containsHeader("Authorization") ? request.getHeader("Authorization") : "none";
    }

    @Test
    void theHubIsToldWhoAsks() throws IOException {
        desk.with("HF_HUB_USER_AGENT_ORIGIN", "ci").client().info(REPO, Revision.MAIN);
        LoggedRequest request = Stubs.requests(hub).get(0);
        assertThat(authorization(request)).isEqualTo("Bearer hf_topsecret");
        assertThat(request.getHeader("User-Agent")).matches("gptq4j; java/[0-9._+-]+\\w*; origin/ci");
    }

    @Test
    void withoutATokenNoneIsSent() throws IOException {
        try (Desk anonymous = new Desk(home, hub.baseUrl())) {
            anonymous.client().info(REPO, Revision.MAIN);
        }
        assertThat(authorization(Stubs.requests(hub).get(0))).isEqualTo("none");
    }

    @Test
    void anImplicitTokenCanBeForbidden() throws IOException {
        desk.with("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").client().info(REPO, Revision.MAIN);
        assertThat(authorization(Stubs.requests(hub).get(0))).isEqualTo("none");
    }

    @Test
    void anotherHostNeverGetsTheToken() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(redirectToStore(cdn.baseUrl() + "/blob?Signature=x")));
        cdn.stubFor(get(urlEqualTo("/blob?Signature=x")).willReturn(ok("hello")));
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
        assertThat(Stubs.calls(hub)).containsExactly("HEAD " + FILE);
        assertThat(authorization(Stubs.requests(hub).get(0))).isEqualTo("Bearer hf_topsecret");
        assertThat(Stubs.calls(cdn)).containsExactly("GET /blob?Signature=x");
        assertThat(authorization(Stubs.requests(cdn).get(0))).isEqualTo("none");
    }

    @Test
    void storageBehindTheHubsOwnNameDoesNotGetTheTokenEither() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(redirectToStore(hub.baseUrl() + "/_store/blob?Signature=x")));
        hub.stubFor(get(urlEqualTo("/_store/blob?Signature=x")).willReturn(ok("hello")));
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        assertThat(Stubs.requests(hub)).map(HeadersTest::authorization).containsExactly("Bearer hf_topsecret", "none");
    }

    @Test
    void theHubsOwnRelativeRedirectKeepsTheToken() throws IOException {
        String cache = "/api/resolve-cache/models/acme/m/" + COMMIT + "/a.txt";
        hub.stubFor(
                head(urlEqualTo(FILE)).willReturn(aResponse().withStatus(307).withHeader("Location", cache)));
        Stubs.hello(hub, cache);
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        assertThat(Stubs.calls(hub)).containsExactly("HEAD " + FILE, "HEAD " + cache, "GET " + cache);
        assertThat(Stubs.requests(hub)).map(HeadersTest::authorization).containsOnly("Bearer hf_topsecret");
    }

    @Test
    void anApiCallThatIsSentElsewhereLosesTheToken() throws IOException {
        hub.stubFor(get(urlEqualTo(INFO))
                .willReturn(aResponse().withStatus(307).withHeader("Location", cdn.baseUrl() + INFO)));
        cdn.stubFor(any(anyUrl()).willReturn(okJson("{\"id\":\"acme/m\"}")));
        desk.client().info(REPO, Revision.MAIN);
        assertThat(authorization(Stubs.requests(cdn).get(0))).isEqualTo("none");
    }

    @Test
    void aPageThatANextLinkNamesElsewhereIsAskedForWithoutTheToken() throws IOException {
        hub.stubFor(get(urlPathEqualTo("/api/models/acme/m/tree/main"))
                .willReturn(okJson("[]").withHeader("Link", "<" + cdn.baseUrl() + "/api/models/x>; rel=\"next\"")));
        cdn.stubFor(any(anyUrl()).willReturn(okJson("[]")));
        desk.client().tree(REPO, Revision.MAIN, null, true);
        assertThat(authorization(Stubs.requests(cdn).get(0))).isEqualTo("none");
    }

    @Test
    void filesAreAskedForUncompressed() throws IOException {
        hub.stubFor(head(urlEqualTo(FILE)).willReturn(redirectToStore(cdn.baseUrl() + "/blob")));
        cdn.stubFor(get(urlEqualTo("/blob")).willReturn(ok("hello")));
        desk.client().file(REPO, Revision.MAIN, "a.txt");
        assertThat(Stubs.requests(hub).get(0).getHeader("Accept-Encoding")).isEqualTo("identity");
        assertThat(Stubs.requests(cdn).get(0).getHeader("Accept-Encoding")).isEqualTo("identity");
    }

    private static com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder redirectToStore(String location) {
        return aResponse()
                .withStatus(302)
                .withHeader("Location", location)
                .withHeader("X-Repo-Commit", COMMIT)
                .withHeader("X-Linked-ETag", '"' + HELLO_ID + '"')
                .withHeader("X-Linked-Size", "5");
    }
}
