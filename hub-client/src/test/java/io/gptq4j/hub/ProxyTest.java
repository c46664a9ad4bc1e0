package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Proxies that environment variables name. The Hub's name exists behind the proxy only. */
class ProxyTest {
    /** user:p@ss in base64. */
    private static final String LOGIN = "Basic dXNlcjpwQHNz";

    @RegisterExtension
    final ScriptedServer proxy = new ScriptedServer();

    @RegisterExtension
    final ScriptedServer direct = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, "http://hub.invalid").with("HTTP_PROXY", proxy.address());
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static Function<RecordedRequest, MockResponse> ifLoggedIn(MockResponse answer) {
        return request -> LOGIN.equals(request.getHeaders().get("Proxy-Authorization"))
                ? answer
                : status(407)
                        .setHeader("Proxy-Authenticate", "Basic realm=\"p\"")
                        .build();
    }

    private void withLogin() {
        desk.with("HTTP_PROXY", proxy.address().replace("http://", "http://user:p%40ss@"));
    }

    @Test
    void requestsGoToTheProxyWithTheirWholeAddress() throws IOException {
        proxy.on("GET " + INFO, json("{\"id\":\"acme/m\"}").build());
        assertThat(desk.client().info(REPO, Revision.MAIN).id()).isEqualTo("acme/m");
        assertThat(proxy.calls()).containsExactly("GET http://hub.invalid" + INFO);
    }

    @Test
    void theLoginIsGivenToAProxyThatWantsOne() throws IOException {
        withLogin();
        proxy.on("GET " + INFO, ifLoggedIn(json("{\"id\":\"acme/m\"}").build()));
        assertThat(desk.client().info(REPO, Revision.MAIN).id()).isEqualTo("acme/m");
    }

    @Test
    void aProxyThatWantsALoginAndGetsNoneIsExplained() throws IOException {
        proxy.on("GET " + INFO, ifLoggedIn(json("{}").build()));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT");
        assertThat(desk.waits()).isEmpty();
    }

    @Test
    void aLoginThatIsRefusedIsNotRepeatedForEver() throws IOException {
        withLogin();
        proxy.on(
                "GET " + INFO,
                status(407).setHeader("Proxy-Authenticate", "Basic").build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .hasMessageContaining("the proxy wants a user and a password")
                .message()
                .doesNotContain("p@ss")
                .doesNotContain("p%40ss");
        assertThat(proxy.calls()).hasSizeLessThanOrEqualTo(2);
    }

    @Test
    void aCommitPassesAProxyThatWantsALogin() throws IOException {
        withLogin();
        Path file = Files.writeString(home.resolve("a.txt"), "hello");
        proxy.on(
                "POST /api/models/acme/m/preupload/main",
                ifLoggedIn(json("{\"files\":[{\"path\":\"a.txt\",\"uploadMode\":\"regular\",\"shouldIgnore\":false}]}")
                        .build()));
        proxy.on(
                "GET /api/models/acme/m/revision/main",
                ifLoggedIn(json("{\"sha\":\"" + COMMIT + "\"}").build()));
        proxy.on(
                "POST /api/models/acme/m/commit/main",
                ifLoggedIn(json("{\"success\":true,\"commitOid\":\"" + COMMIT + "\"}")
                        .build()));
        CommitRequest commit = CommitRequest.of(REPO, List.of(new CommitOperation.Add("a.txt", file)), "a commit");
        assertThat(desk.client().commit(commit).commit()).isEqualTo(COMMIT);
    }

    @Test
    void aTunnelThatTheProxyRefusesWithoutLoginIsExplained() throws IOException {
        try (Desk secure = new Desk(home, "https://hub.invalid").with("https_proxy", proxy.address())) {
            proxy.on(
                    "CONNECT hub.invalid:443", ifLoggedIn(status(200).inTunnel().build()));
            HubClient client = secure.client();
            assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                    .isInstanceOfSatisfying(
                            HubNetworkException.class,
                            e -> assertThat(e.isPermanent()).isTrue())
                    .hasMessageContaining("the proxy wants a user and a password");
            assertThat(secure.waits()).isEmpty();
        }
    }

    @Test
    void namesOfNoProxyAreReachedDirectly() throws IOException {
        direct.on("GET " + INFO, json("{\"id\":\"acme/direct\"}").build());
        try (Desk inside = new Desk(home, direct.address())
                .with("HTTP_PROXY", proxy.address())
                .with("NO_PROXY", "example.org, localhost, 127.0.0.1")) {
            assertThat(inside.client().info(REPO, Revision.MAIN).id()).isEqualTo("acme/direct");
        }
        assertThat(proxy.calls()).isEmpty();
    }

    @Test
    void aProxyThatIsDownIsNamed() throws IOException {
        try (Desk dead = new Desk(home, "http://hub.invalid").with("ALL_PROXY", "127.0.0.1:1")) {
            HubClient client = dead.client();
            assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                    .isInstanceOf(HubNetworkException.class)
                    .hasMessageContaining("127.0.0.1:1");
        }
    }

    @Test
    void filesComeThroughTheProxyToo() throws IOException {
        proxy.on(
                "HEAD /acme/m/resolve/main/a.txt",
                status(200)
                        .setHeader("X-Repo-Commit", COMMIT)
                        .setHeader("ETag", '"' + Stubs.HELLO_ID + '"')
                        .setHeader("Content-Length", 5)
                        .build());
        proxy.on("GET /acme/m/resolve/main/a.txt", status(200).body("hello").build());
        proxy.on(
                "GET /acme/m/resolve/" + COMMIT + "/a.txt",
                status(200).body("hello").build());
        assertThat(desk.client().file(REPO, Revision.MAIN, "a.txt")).hasContent("hello");
    }
}
