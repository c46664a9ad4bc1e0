package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.ok;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.http.Fault;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.stubbing.Scenario;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.repo.Identity;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoInfo;
import io.gptq4j.hub.repo.RepoRefs;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Identity, and the life of repositories, branches and tags. */
class RepositoriesTest {
    private static final String CREATE = "/api/repos/create";

    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;
    private HubClient client;

    @BeforeEach
    void prepare() throws IOException {
        desk = new Desk(home, hub.baseUrl()).token("hf_topsecret1234");
        client = desk.client();
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static ResponseDefinitionBuilder conflict(String body) {
        return aResponse().withStatus(409).withBody(body);
    }

    /** Answers to the same request, one after the other; the last one stays. */
    private static void inTurn(String method, String address, ResponseDefinitionBuilder... answers) {
        String state = Scenario.STARTED;
        for (int turn = 0; turn < answers.length; turn++) {
            String next = turn + 1 < answers.length ? "turn " + (turn + 1) : state;
            hub.stubFor(com.github.tomakehurst.wiremock.client.WireMock.request(method, urlEqualTo(address))
                    .inScenario(method + address)
                    .whenScenarioStateIs(state)
                    .willReturn(answers[turn])
                    .willSetStateTo(turn + 1 < answers.length ? next : state));
            state = next;
        }
    }

    private static String lastBody() {
        List<com.github.tomakehurst.wiremock.verification.LoggedRequest> requests = Stubs.requests(hub);
        return requests.get(requests.size() - 1).getBodyAsString();
    }

    @Test
    void whoamiReadsTheIdentity() throws IOException {
        hub.stubFor(get(urlEqualTo("/api/whoami-v2")).willReturn(okJson("""
                {"type":"user","name":"alice","fullname":"Alice A.","orgs":[{"name":"acme"},{"name":"team"}],
                 "auth":{"type":"access_token","accessToken":{"displayName":"laptop","role":"write"}}}
                """)));
        assertThat(client.whoami())
                .isEqualTo(new Identity("alice", "user", "Alice A.", List.of("acme", "team"), "laptop", "write"));
    }

    @Test
    void whoamiWithoutATokenSendsNothing() throws IOException {
        try (Desk anonymous = new Desk(home, hub.baseUrl())) {
            HubClient nobody = anonymous.client();
            assertThatThrownBy(nobody::whoami)
                    .isInstanceOf(AuthenticationException.class)
                    .hasMessageContaining("log in, or set HF_TOKEN");
        }
        assertThat(Stubs.calls(hub)).isEmpty();
    }

    @Test
    void anInfoIsReadWithWhatIsAbsent() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(okJson("""
                {"id":"acme/m","sha":"%s","private":true,"gated":"manual","author":"acme","downloads":7,"likes":3,
                 "library_name":"transformers","pipeline_tag":"text-generation","tags":["gptq"],
                 "lastModified":"2023-11-14T22:19:20.000Z","siblings":[{"rfilename":"config.json"}],"new":{"x":1}}
                """.formatted(COMMIT))));
        RepoInfo info = client.info(REPO, Revision.MAIN);
        assertThat(info.sha()).isEqualTo(COMMIT);
        assertThat(info.isPrivate()).isTrue();
        assertThat(info.gated()).isEqualTo("manual");
        assertThat(info.files()).containsExactly("config.json");
        assertThat(info.tags()).containsExactly("gptq");
        assertThat(info.downloads()).isEqualTo(7);
        assertThat(info.json()).contains("\"new\":{\"x\":1}");

        hub.stubFor(any(anyUrl()).willReturn(okJson("{\"id\":\"gpt2\",\"gated\":false}")));
        RepoInfo little = client.info(Repo.model("gpt2"), Revision.MAIN);
        assertThat(little.sha()).isNull();
        assertThat(little.gated()).isNull();
        assertThat(little.author()).isNull();
        assertThat(little.files()).isEmpty();
    }

    @Test
    void refsAreReadByKind() throws IOException {
        hub.stubFor(get(urlEqualTo("/api/models/acme/m/refs?include_prs=1"))
                .willReturn(okJson("""
                {"branches":[{"name":"main","ref":"refs/heads/main","targetCommit":"%s"}],"converts":[],
                 "tags":[{"name":"v1","ref":"refs/tags/v1","targetCommit":"%s"}],
                 "pullRequests":[{"ref":"refs/pr/1","targetCommit":"%s"}]}
                """.formatted(COMMIT, COMMIT, COMMIT))));
        RepoRefs refs = client.refs(REPO);
        assertThat(refs.branches()).containsExactly(new RepoRefs.Ref("main", "refs/heads/main", COMMIT));
        assertThat(refs.tags()).containsExactly(new RepoRefs.Ref("v1", "refs/tags/v1", COMMIT));
        assertThat(refs.pullRequests()).map(RepoRefs.Ref::ref).containsExactly("refs/pr/1");
        assertThat(refs.converts()).isEmpty();
    }

    @Test
    void creatingARepositoryGivesItsPage() throws IOException {
        hub.stubFor(post(urlEqualTo(CREATE)).willReturn(okJson("{\"url\":\"https://huggingface.co/acme/m\"}")));
        assertThat(client.createRepo(REPO, true, false)).isEqualTo(hub.baseUrl() + "/acme/m");
        assertThat(lastBody()).isEqualTo("{\"name\":\"m\",\"organization\":\"acme\",\"visibility\":\"private\"}");
        assertThat(Stubs.requests(hub).get(0).getHeader("Content-Type")).isEqualTo("application/json");

        client.createRepo(Repo.parse("datasets/acme/d"), null, false);
        assertThat(lastBody()).isEqualTo("{\"name\":\"d\",\"organization\":\"acme\",\"type\":\"dataset\"}");

        client.createRepo(Repo.model("mine"), false, false);
        assertThat(lastBody()).isEqualTo("{\"name\":\"mine\",\"organization\":null,\"visibility\":\"public\"}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"url\":\"/acme/m\"}", "{\"name\":\"acme/m\"}", "OK", "", "{broken"})
    void aHubThatAnswersACreationInItsOwnWayIsUnderstood(String answer) throws IOException {
        hub.stubFor(post(urlEqualTo(CREATE)).willReturn(ok(answer)));
        assertThat(client.createRepo(REPO, null, false)).isEqualTo(hub.baseUrl() + "/acme/m");
    }

    @Test
    void aRepositoryThatIsThereIsAnErrorUnlessItMayBe() throws IOException {
        hub.stubFor(post(urlEqualTo(CREATE))
                .willReturn(conflict("{\"error\":\"You already created this model repo\",\"url\":\"%s/acme/m\"}"
                        .formatted(hub.baseUrl()))));
        assertThatThrownBy(() -> client.createRepo(REPO, null, false))
                .isInstanceOf(HubHttpException.class)
                .hasMessageContaining("You already created this model repo");
        assertThat(client.createRepo(REPO, null, true)).isEqualTo(hub.baseUrl() + "/acme/m");
        assertThat(desk.waits()).isEmpty();
    }

    @Test
    void aHubThatIsBusyIsAskedAgain() throws IOException {
        String busy = "{\"error\":\"Cannot create repo: another conflicting operation is in progress\"}";
        inTurn("POST", CREATE, conflict(busy), conflict(busy), okJson("{\"url\":\"" + hub.baseUrl() + "/acme/m\"}"));
        assertThat(client.createRepo(REPO, null, false)).isEqualTo(hub.baseUrl() + "/acme/m");
        assertThat(desk.waits()).containsExactly(Duration.ofSeconds(1), Duration.ofSeconds(1));
    }

    @Test
    void aHubThatStaysBusyIsGivenUp() {
        String busy = "{\"error\":\"another conflicting operation is in progress\"}";
        hub.stubFor(post(urlEqualTo(CREATE)).willReturn(conflict(busy)));
        assertThatThrownBy(() -> client.createRepo(REPO, null, true))
                .isInstanceOf(HubHttpException.class)
                .hasMessageContaining("another conflicting operation is in progress");
        assertThat(Stubs.calls(hub)).hasSize(6);
    }

    @Test
    void aConflictAfterALostAnswerMeansThatItWorked() throws IOException {
        inTurn(
                "POST",
                CREATE,
                aResponse().withFault(Fault.EMPTY_RESPONSE),
                conflict("{\"error\":\"You already created this model repo\"}"));
        assertThat(client.createRepo(REPO, null, false)).isEqualTo(hub.baseUrl() + "/acme/m");
        assertThat(Stubs.calls(hub)).hasSize(2);
    }

    @Test
    void aConflictAfterARefusalForTheRateIsStillAConflict() {
        inTurn("POST", CREATE, aResponse().withStatus(429), conflict("{\"error\":\"You already created it\"}"));
        assertThatThrownBy(() -> client.createRepo(REPO, null, false)).hasMessageContaining("You already created it");
    }

    @ParameterizedTest
    @ValueSource(ints = {401, 402, 403})
    void whoMayNotCreateMayUseWhatIsThere(int status) throws IOException {
        hub.stubFor(post(urlEqualTo(CREATE)).willReturn(aResponse().withStatus(status)));
        hub.stubFor(get(urlEqualTo("/api/models/acme/m")).willReturn(okJson("{\"id\":\"acme/m\"}")));
        assertThat(client.createRepo(REPO, null, true)).isEqualTo(hub.baseUrl() + "/acme/m");
        assertThatThrownBy(() -> client.createRepo(REPO, null, false)).hasMessageContaining("create model 'acme/m'");
    }

    @Test
    void whoMayNotCreateGetsTheRefusalIfNothingIsThere() {
        hub.stubFor(post(urlEqualTo(CREATE))
                .willReturn(aResponse().withStatus(403).withBody("{\"error\":\"not your namespace\"}")));
        hub.stubFor(get(urlEqualTo("/api/models/acme/m"))
                .willReturn(aResponse().withStatus(404).withHeader("X-Error-Code", "RepoNotFound")));
        assertThatThrownBy(() -> client.createRepo(REPO, null, true)).hasMessageContaining("not your namespace");
    }

    @Test
    void deletingNamesTheRepositoryInTheBody() throws IOException {
        inTurn(
                "DELETE",
                "/api/repos/delete",
                ok(),
                aResponse().withStatus(404).withHeader("X-Error-Code", "RepoNotFound"));
        client.deleteRepo(Repo.parse("spaces/acme/s"), false);
        assertThat(lastBody()).isEqualTo("{\"name\":\"s\",\"organization\":\"acme\",\"type\":\"space\"}");
        client.deleteRepo(REPO, true);
        assertThatThrownBy(() -> client.deleteRepo(REPO, false)).isInstanceOf(RepositoryNotFoundException.class);
    }

    @Test
    void branchesAndTagsHaveEncodedNames() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(ok("{}")));
        client.createBranch(REPO, "a/b", null, false);
        assertThat(lastBody()).isEqualTo("{}");
        client.createBranch(REPO, "a/b", new Revision("v1"), false);
        assertThat(lastBody()).isEqualTo("{\"startingPoint\":\"v1\"}");
        client.createTag(REPO, "v2", Revision.MAIN, "said", false);
        assertThat(lastBody()).isEqualTo("{\"tag\":\"v2\",\"message\":\"said\"}");
        client.deleteBranch(REPO, "a/b");
        client.deleteTag(REPO, "v2");
        assertThat(Stubs.calls(hub))
                .containsExactly(
                        "POST /api/models/acme/m/branch/a%2Fb",
                        "POST /api/models/acme/m/branch/a%2Fb",
                        "POST /api/models/acme/m/tag/main",
                        "DELETE /api/models/acme/m/branch/a%2Fb",
                        "DELETE /api/models/acme/m/tag/v2");
    }

    @Test
    void aBranchOrTagThatIsThereIsAnErrorUnlessItMayBe() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(conflict("{\"error\":\"Reference already exists\"}")));
        client.createBranch(REPO, "b", null, true);
        client.createTag(REPO, "t", Revision.MAIN, null, true);
        assertThatThrownBy(() -> client.createBranch(REPO, "b", null, false))
                .hasMessageContaining("Reference already exists");
        assertThatThrownBy(() -> client.createTag(REPO, "t", Revision.MAIN, null, false))
                .hasMessageContaining("create tag 't' of model 'acme/m'");
    }

    @Test
    void existenceIsFoundOutByTheInfo() throws IOException {
        String info = "/api/models/acme/m";
        hub.stubFor(get(urlEqualTo(info)).willReturn(okJson("{}")));
        assertThat(client.exists(REPO)).isTrue();
        hub.stubFor(
                get(urlEqualTo(info)).willReturn(aResponse().withStatus(403).withHeader("X-Error-Code", "GatedRepo")));
        assertThat(client.exists(REPO)).isTrue();
        hub.stubFor(get(urlEqualTo(info))
                .willReturn(aResponse().withStatus(404).withHeader("X-Error-Code", "RepoNotFound")));
        assertThat(client.exists(REPO)).isFalse();
        hub.stubFor(get(urlEqualTo(Stubs.INFO))
                .willReturn(aResponse().withStatus(404).withHeader("X-Error-Code", "RevisionNotFound")));
        assertThat(client.exists(REPO, Revision.MAIN)).isFalse();
        hub.stubFor(get(urlEqualTo(Stubs.INFO)).willReturn(okJson("{}")));
        assertThat(client.exists(REPO, Revision.MAIN)).isTrue();
    }
}
