package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static java.time.Duration.ofSeconds;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import mockwebserver3.MockResponse;
import mockwebserver3.SocketEffect;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The one request that must not be made twice: what is done when its answer gets lost. */
class CommitTest {
    private static final String HEAD = "1111111111111111111111111111111111111111";
    private static final String POST = "/api/models/acme/m/commit/main";
    private static final MockResponse MADE = json("{\"success\":true,\"commitOid\":\"" + COMMIT
                    + "\",\"commitUrl\":\"https://huggingface.co/acme/m/commit/" + COMMIT + "\"}")
            .build();
    private static final MockResponse LOST =
            status(200).onResponseStart(new SocketEffect.CloseSocket()).build();

    private static final String LATER = "4444444444444444444444444444444444444444";

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;
    private CommitRequest request;

    @BeforeEach
    void prepare() throws IOException {
        desk = new Desk(home, hub.address());
        Path file = Files.writeString(home.resolve("a.txt"), "hello");
        request = CommitRequest.of(REPO, List.of(new CommitOperation.Add("a.txt", file)), "Add a");
        hub.on(
                "POST /api/models/acme/m/preupload/main",
                json("{\"files\":[{\"path\":\"a.txt\"," + "\"uploadMode\":\"regular\",\"shouldIgnore\":false}]}")
                        .build());
        hub.on("GET " + INFO, json("{\"sha\":\"" + HEAD + "\"}").build());
    }

    @AfterEach
    void close() {
        desk.close();
    }

    /** What was committed after {@link Stubs#HEAD}: at each look a commit of this title, or nothing. */
    private void since(String... titles) {
        MockResponse[] answers = new MockResponse[titles.length];
        for (int i = 0; i < titles.length; i++) {
            String later = titles[i].isEmpty() ? "" : "{\"id\":\"" + LATER + "\",\"title\":\"" + titles[i] + "\"},";
            answers[i] = json("[" + later + "{\"id\":\"" + HEAD + "\",\"title\":\"before\"}]")
                    .build();
        }
        hub.on("GET /api/models/acme/m/commits/main", answers);
    }

    /** What that commit holds at the path. */
    private void laterHolds(String id) {
        holds(LATER, id);
    }

    private void holds(String commit, String id) {
        hub.on(
                "POST /api/models/acme/m/paths-info/" + commit,
                json(id.isEmpty() ? "[]" : "[{\"type\":\"file\",\"path\":\"a.txt\",\"size\":5,\"oid\":\"" + id + "\"}]")
                        .build());
    }

    private List<String> commits() {
        return hub.requests("POST").stream()
                .filter(call -> call.getTarget().startsWith(POST))
                .map(call -> call.getBody() == null ? "" : call.getBody().utf8())
                .toList();
    }

    private static String body(String parent) {
        String condition = parent.isEmpty() ? "" : ",\"parentCommit\":\"" + parent + "\"";
        return "{\"key\":\"header\",\"value\":{\"summary\":\"Add a\",\"description\":\"\"" + condition + "}}\n"
                + "{\"key\":\"file\",\"value\":{\"content\":\"aGVsbG8=\",\"path\":\"a.txt\",\"encoding\":\"base64\"}}\n";
    }

    @Test
    void aCommitIsOneLinePerChangeAndOneRequest() throws IOException {
        hub.on("POST " + POST, MADE);
        CommitResult result = desk.client().commit(request);
        assertThat(result)
                .isEqualTo(new CommitResult(COMMIT, "https://huggingface.co/acme/m/commit/" + COMMIT, null, true));
        assertThat(commits()).containsExactly(body(HEAD));
        var call = hub.requests("POST").get(1);
        assertThat(call.getHeaders().get("Content-Type")).isEqualTo("application/x-ndjson");
        assertThat(call.getHeaders().get("Content-Length"))
                .isEqualTo(String.valueOf(body(HEAD).length()));
    }

    @Test
    void ifTheAnswerIsLostAndTheHeadHoldsTheChangeNothingIsSentAgain() throws IOException {
        hub.on("POST " + POST, LOST);
        since("Add a");
        laterHolds(HELLO_ID);
        CommitResult result = desk.client().commit(request);
        assertThat(result).isEqualTo(new CommitResult(LATER, hub.address() + "/acme/m/commit/" + LATER, null, true));
        assertThat(commits()).hasSize(1);
    }

    @Test
    void ifTheAnswerIsLostAndTheHeadDoesNotHoldTheChangeItIsSentAgainOnThisHead() throws IOException {
        hub.on("POST " + POST, LOST, MADE);
        since("");
        assertThat(desk.client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(commits()).containsExactly(body(HEAD), body(HEAD));
        assertThat(desk.waits()).containsExactly(ofSeconds(1));
    }

    @Test
    void ifTheFirstOneComesThroughAfterAllTheRefusalOfTheSecondIsUnderstood() throws IOException {
        hub.on("POST " + POST, LOST, status(412).build());
        since("", "Add a");
        laterHolds(HELLO_ID);
        assertThat(desk.client().commit(request).commit()).isEqualTo(LATER);
        assertThat(commits()).hasSize(2);
    }

    @Test
    void ifSomebodyElseCommitsMeanwhileTheConflictIsToldAndNothingForced() throws IOException {
        hub.on(
                "POST " + POST,
                LOST,
                status(412).body("{\"error\":\"The branch was updated\"}").build());
        since("", "Something else");
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request))
                .isInstanceOf(HubHttpException.class)
                .hasMessageContaining("The branch was updated");
        assertThat(commits()).hasSize(2);
    }

    @Test
    void aConflictWithoutALossIsToldAtOnce() throws IOException {
        hub.on(
                "POST " + POST,
                status(412).body("{\"error\":\"The branch was updated\"}").build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request.onTopOf("1234567")))
                .isInstanceOfSatisfying(
                        HubHttpException.class, e -> assertThat(e.status()).isEqualTo(412));
        assertThat(commits()).containsExactly(body("1234567"));
        assertThat(desk.waits()).isEmpty();
    }

    @Test
    void whoeverWasFasterIsBuiltUponUnlessAParentIsNamed() throws IOException {
        hub.on("POST " + POST, status(412).build(), MADE);
        hub.on(
                "GET " + INFO,
                json("{\"sha\":\"" + HEAD + "\"}").build(),
                json("{\"sha\":\"" + LATER + "\"}").build());
        assertThat(desk.client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(commits()).containsExactly(body(HEAD), body(LATER));
        assertThat(desk.waits()).isEmpty();
    }

    @Test
    void aCommitOfTheSameNameThatHoldsSomethingElseIsNotOurs() throws IOException {
        hub.on("POST " + POST, LOST, MADE);
        since("Add a");
        laterHolds("5555555555555555555555555555555555555555");
        assertThat(desk.client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(commits()).hasSize(2);
    }

    @Test
    void ifNobodyCanTellWhetherItWasMadeTheUserIsToldWhereToLook() throws IOException {
        hub.on("POST " + POST, LOST);
        hub.on("GET /api/models/acme/m/commits/main", status(404).build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("whether the commit was made could not be found out: look at " + hub.address());
        assertThat(commits()).hasSize(1);
    }

    @Test
    void theWishedParentStaysTheConditionWhenItIsSentAgain() throws IOException {
        hub.on("POST " + POST, LOST, MADE);
        since("");
        desk.client().commit(request.onTopOf("1234567"));
        assertThat(commits()).containsExactly(body("1234567"), body("1234567"));
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 500, 502, 503, 504})
    void anErrorOfTheServerMayHideACommit(int status) throws IOException {
        hub.on("POST " + POST, status(status).setHeader("Retry-After", 0).build());
        since("Add a");
        laterHolds(HELLO_ID);
        assertThat(desk.client().commit(request).commit()).isEqualTo(LATER);
        assertThat(commits()).hasSize(1);
    }

    @Test
    void aRateLimitHidesNone() throws IOException {
        hub.on("POST " + POST, status(429).setHeader("Retry-After", 3).build(), MADE);
        assertThat(desk.client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(commits()).containsExactly(body(HEAD), body(HEAD));
        assertThat(desk.waits()).containsExactly(ofSeconds(4));
        assertThat(hub.requests("GET")).hasSize(1);
    }

    @Test
    void aRefusalIsFinal() throws IOException {
        hub.on("POST " + POST, status(403).build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request)).isInstanceOf(HubHttpException.class);
        assertThat(commits()).hasSize(1);
    }

    @Test
    void aConnectionThatWasIdleAndIsGoneDoesNotRepeatThePost() throws IOException {
        hub.on(
                "GET " + INFO,
                json("{\"sha\":\"" + HEAD + "\"}")
                        .onResponseEnd(SocketEffect.ShutdownConnection.INSTANCE)
                        .build(),
                json("{\"sha\":\"" + HEAD + "\"}").build());
        hub.on("POST " + POST, LOST);
        since("Add a");
        laterHolds(HELLO_ID);
        HubClient client = desk.client();
        client.info(REPO, Revision.MAIN);
        client.commit(request);
        assertThat(commits()).hasSize(1);
    }

    @Test
    void aServerThatStaysSilentIsGivenUpAfterSixTimes() throws IOException {
        hub.on("POST " + POST, LOST);
        since("");
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request)).isInstanceOf(HubException.class);
        assertThat(commits()).hasSize(6);
    }

    @Test
    void aRenamedRepositoryGetsTheWholeBody() throws IOException {
        hub.on(
                "POST " + POST,
                status(307)
                        .setHeader("Location", "/api/models/acme/new/commit/main")
                        .build());
        hub.on("POST /api/models/acme/new/commit/main", MADE);
        assertThat(desk.client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(hub.requests("POST").get(2).getBody().utf8()).isEqualTo(body(HEAD));
    }

    @Test
    void aPullRequestIsAskedForTwiceAndItsPageGiven() throws IOException {
        hub.on(
                "POST " + POST,
                json("{\"commitOid\":\"" + COMMIT + "\",\"commitUrl\":\"u\",\"pullRequestUrl\":\"p\"}")
                        .build());
        CommitResult result = desk.client().commit(request.asPullRequest(true));
        assertThat(result).isEqualTo(new CommitResult(COMMIT, "u", "p", true));
        assertThat(hub.calls())
                .containsExactly("POST /api/models/acme/m/preupload/main?create_pr=1", "POST " + POST + "?create_pr=1");
    }

    @Test
    void aLostPullRequestIsLookedForAmongTheNewest() throws IOException {
        hub.on("POST " + POST, LOST);
        hub.on(
                "GET /api/models/acme/m/refs",
                json("{\"pullRequests\":["
                                + "{\"ref\":\"refs/pr/2\",\"targetCommit\":\"2222222222222222222222222222222222222222\"},"
                                + "{\"ref\":\"refs/pr/10\",\"targetCommit\":\"" + HEAD + "\"}]}")
                        .build());
        holds(HEAD, HELLO_ID);
        CommitResult result = desk.client().commit(request.asPullRequest(true));
        assertThat(result.pullRequestUrl()).isEqualTo(hub.address() + "/acme/m/discussions/10");
        assertThat(result.commit()).isEqualTo(HEAD);
        assertThat(commits()).hasSize(1);
    }

    @Test
    void aLostPullRequestThatIsNotFoundIsNotOpenedTwice() throws IOException {
        hub.on("POST " + POST, LOST);
        hub.on("GET /api/models/acme/m/refs", json("{\"pullRequests\":[]}").build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request.asPullRequest(true)))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("whether the commit was made could not be found out: look at " + hub.address()
                        + "/acme/m before trying again");
        assertThat(commits()).hasSize(1);
    }

    @Test
    void deletionsAreLookedForToo() throws IOException {
        hub.on("POST " + POST, LOST, MADE);
        CommitRequest deletion = CommitRequest.of(
                REPO, List.of(CommitOperation.Delete.of("a.txt"), CommitOperation.Delete.of("old/")), "Remove");
        since("Remove");
        laterHolds(HELLO_ID);
        desk.client().commit(deletion);
        assertThat(commits().get(1))
                .isEqualTo("{\"key\":\"header\",\"value\":{\"summary\":\"Remove\",\"description\":\"\","
                        + "\"parentCommit\":\"" + HEAD + "\"}}\n"
                        + "{\"key\":\"deletedFile\",\"value\":{\"path\":\"a.txt\"}}\n"
                        + "{\"key\":\"deletedFolder\",\"value\":{\"path\":\"old\"}}\n");
        hub.on("POST " + POST, LOST);
        laterHolds("");
        assertThat(desk.client().commit(deletion).commit()).isEqualTo(LATER);
    }

    @Test
    void anAnswerThatNamesNoCommitIsNotBelieved() throws IOException {
        hub.on("POST " + POST, json("{\"success\":true}").build());
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.commit(request))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("names no commit");
    }
}
