package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.DisabledRepositoryException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.repo.SearchQuery;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which exception an answer becomes, and what its message says. All over plain HTTP. */
class ErrorModelTest {
    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private HubException failure(ResponseDefinitionBuilder answer, boolean withToken) throws IOException {
        hub.resetAll();
        hub.stubFor(any(anyUrl()).willReturn(answer.withHeader("X-Request-Id", "Root=1-abc")));
        try (Desk desk = new Desk(home, hub.baseUrl())) {
            if (withToken) {
                desk.token("hf_topsecret1234");
            }
            HubClient client = desk.client();
            HubException failure =
                    catchThrowableOfType(HubException.class, () -> client.tree(REPO, Revision.MAIN, null, true));
            assertThat(failure)
                    .hasMessageStartingWith("Cannot list the files of model 'acme/m' at revision 'main': ")
                    .hasMessageContaining(hub.baseUrl() + "/api/models/acme/m/tree/main")
                    .hasMessageContaining("request Root=1-abc");
            assertThat(failure.getMessage())
                    .doesNotContain("recursive")
                    .doesNotContain("topsecret")
                    .doesNotContain("\n");
            return failure;
        }
    }

    private static ResponseDefinitionBuilder answer(int status, String code, String message) {
        ResponseDefinitionBuilder answer = aResponse().withStatus(status);
        if (!code.isEmpty()) {
            answer.withHeader("X-Error-Code", code);
        }
        return message.isEmpty() ? answer : answer.withHeader("X-Error-Message", message);
    }

    @Test
    void aRevisionThatIsMissing() throws IOException {
        assertThat(failure(answer(404, "RevisionNotFound", "Invalid rev id: main"), false))
                .isExactlyInstanceOf(RevisionNotFoundException.class)
                .hasMessageContaining("the repository has no such revision");
    }

    @Test
    void anEntryThatIsMissing() throws IOException {
        assertThat(failure(answer(404, "EntryNotFound", "Entry not found"), false))
                .isExactlyInstanceOf(EntryNotFoundException.class)
                .hasMessageContaining("the revision has no such file or folder");
    }

    @Test
    void restrictedAccessWithoutAToken() throws IOException {
        String said = "Access to model acme/m is restricted. You must have access to it and be authenticated.";
        assertThat(failure(answer(401, "GatedRepo", said), false))
                .isExactlyInstanceOf(GatedRepositoryException.class)
                .hasMessageContaining("no token was sent; ask for access on its page, then log in")
                .hasMessageContaining(said);
    }

    @Test
    void restrictedAccessForAnAccountThatIsNotOnTheList() throws IOException {
        String said = "Access to model acme/m is restricted and you are not in the authorized list.";
        assertThat(failure(answer(403, "GatedRepo", said), true))
                .isExactlyInstanceOf(GatedRepositoryException.class)
                .hasMessageContaining("the token from the environment variable HF_TOKEN has not been granted it")
                .hasMessageContaining(said);
    }

    @Test
    void aRepositoryThatTheHubHasBlocked() throws IOException {
        assertThat(failure(answer(403, "", "Access to this resource is disabled."), true))
                .isExactlyInstanceOf(DisabledRepositoryException.class)
                .hasMessageContaining("the Hub has disabled the repository");
    }

    @Test
    void aRepositoryThatTheTokenMayNotSee() throws IOException {
        assertThat(failure(answer(404, "RepoNotFound", "Repository not found"), true))
                .isExactlyInstanceOf(RepositoryNotFoundException.class)
                .hasMessageContaining("it does not exist, or it is private and the token from the environment variable"
                        + " HF_TOKEN was sent, which may not see it");
    }

    @Test
    void anAnonymous401WithoutACodeMeansMissingOrPrivate() throws IOException {
        assertThat(failure(answer(401, "", "Invalid username or password."), false))
                .isExactlyInstanceOf(RepositoryNotFoundException.class)
                .hasMessageContaining(
                        "it does not exist, or it is private and no token was sent (log in, or set HF_TOKEN)");
    }

    @Test
    void aTokenThatTheHubDoesNotKnow() throws IOException {
        assertThat(failure(answer(401, "", "Invalid credentials in Authorization header"), true))
                .isExactlyInstanceOf(AuthenticationException.class)
                .hasMessageContaining(
                        "the Hub does not accept the token from the environment variable HF_TOKEN" + " (hf_****1234)")
                .hasMessageContaining("remove it to read public repositories");
    }

    @Test
    void theFileOfABadTokenIsNamed() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(answer(401, "", "Invalid credentials in Authorization header")));
        Path file = java.nio.file.Files.writeString(home.resolve("token"), "hf_topsecret1234\n");
        try (Desk desk = new Desk(home, hub.baseUrl())) {
            HubClient client = desk.client();
            assertThat(catchThrowableOfType(HubException.class, client::whoami))
                    .hasMessageContaining("the token from the file " + file)
                    .message()
                    .doesNotContain("topsecret");
        }
    }

    @Test
    void a401ThatIsNotAboutARepositoryMeansNoToken() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(answer(401, "", "Invalid username or password.")));
        try (Desk desk = new Desk(home, hub.baseUrl())) {
            HubClient client = desk.client();
            assertThat(catchThrowableOfType(HubException.class, () -> client.search(SearchQuery.models("x", 1))))
                    .isExactlyInstanceOf(AuthenticationException.class)
                    .hasMessageContaining("a token is needed and there is none");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            400 | {"error":"Bad things"}                            | Bad things
            403 | {"error":["One","Two"]}                           | One; Two (does the token from the environment variable HF_TOKEN have the permission?)
            404 | {"error":"no","error_description":"not there"}    | no; not there
            409 | {"errors":[{"message":"a"},{"message":"b"}]}      | a; b
            412 | {"message":"The branch was updated"}              | The branch was updated
            416 | plain words                                       | plain words
            418 | <html><body>page</body></html>                    | the server answered 418
            422 | {broken                                           | {broken
            500 | ''                                                | the server answered 500
            507 | {"error":{"code":7}}                              | the server answered 507
            """)
    void whatTheServerSaysIsPassedOn(int status, String body, String words) throws IOException {
        HubException failure = failure(answer(status, "", "").withBody(body), true);
        assertThat(failure)
                .isExactlyInstanceOf(HubHttpException.class)
                .hasMessageContaining("at revision 'main': " + words)
                .hasMessageContaining("HTTP " + status);
        assertThat(((HubHttpException) failure).status()).isEqualTo(status);
    }

    @Test
    void whatTheServerSaysTwiceIsSaidOnceAndWithoutLineEnds() throws IOException {
        assertThat(failure(
                        answer(400, "", "Bad\tthings").withBody("{\"error\":\"Bad\\tthings\",\"message\":\"a\\nb\"}"),
                        false))
                .hasMessageContaining(": Bad things; a b (HTTP 400");
    }

    @Test
    void aLongAnswerIsCut() throws IOException {
        assertThat(failure(answer(400, "", "").withBody("x".repeat(100_000)), false)
                        .getMessage())
                .contains("x".repeat(500) + "...")
                .hasSizeLessThan(800);
    }

    @Test
    void a403WithoutATokenSaysSo() throws IOException {
        assertThat(failure(answer(403, "", "Forbidden"), false)).hasMessageContaining("Forbidden (no token was sent)");
    }

    @Test
    void otherRequestIdsWillDo() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(answer(404, "EntryNotFound", "").withHeader("X-Amz-Cf-Id", "cf-1")));
        try (Desk desk = new Desk(home, hub.baseUrl())) {
            HubClient client = desk.client();
            assertThat(catchThrowableOfType(HubException.class, () -> client.info(REPO, Revision.MAIN)))
                    .hasMessageEndingWith("(HTTP 404, " + hub.baseUrl() + INFO + ", request cf-1)");
        }
    }
}
