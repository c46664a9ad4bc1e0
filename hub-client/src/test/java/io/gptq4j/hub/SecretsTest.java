package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.http.Fault;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.assertj.core.api.Assertions;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The token is in no message, no stack trace, no text of an object and no line of the log. */
class SecretsTest {
    private static final String SECRET = "hf_sesamoeffnedich";

    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private static String trace(Throwable failure) {
        StringWriter text = new StringWriter();
        failure.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    @Test
    void whateverGoesWrongTheTokenIsNotTold() throws IOException {
        Path file = Files.writeString(home.resolve("a.txt"), "hello");
        List<ResponseDefinitionBuilder> answers = List.of(
                aResponse().withStatus(400).withBody("{\"error\":\"bad token " + SECRET + "\"}"),
                aResponse()
                        .withStatus(401)
                        .withHeader("X-Error-Message", "Invalid credentials in Authorization header"),
                aResponse().withStatus(401),
                aResponse().withStatus(403).withHeader("X-Error-Code", "GatedRepo"),
                aResponse().withStatus(404).withHeader("X-Error-Code", "RepoNotFound"),
                aResponse().withStatus(500).withBody("you sent Bearer " + SECRET),
                aResponse().withStatus(307).withHeader("Location", "mailto:x"),
                aResponse().withFault(Fault.EMPTY_RESPONSE),
                aResponse().withFault(Fault.RANDOM_DATA_THEN_CLOSE),
                okJson("[broken"));
        CapturedLog.clear();
        try (Desk desk = new Desk(home, hub.baseUrl()).token(SECRET)) {
            assertThat(desk.config().token().orElseThrow().toString())
                    .isEqualTo("token hf_****dich from the environment variable HF_TOKEN");
            for (ResponseDefinitionBuilder answer : answers) {
                hub.stubFor(any(anyUrl()).willReturn(answer));
                HubClient client = desk.client();
                CommitRequest commit =
                        CommitRequest.of(REPO, List.of(new CommitOperation.Add("a.txt", file)), "a commit");
                List<Throwable> failures = Stream.<ThrowingCallable>of(
                                client::whoami,
                                () -> client.file(REPO, Revision.MAIN, "a.txt"),
                                () -> client.createRepo(REPO, null, false),
                                () -> client.open(REPO, Revision.MAIN, "a.txt"),
                                () -> client.commit(commit))
                        .map(Assertions::catchThrowable)
                        .filter(Objects::nonNull)
                        .toList();
                assertThat(failures).hasSizeGreaterThan(2).allSatisfy(failure -> {
                    assertThat(failure).isInstanceOf(IOException.class);
                    assertThat(trace(failure)).doesNotContain(SECRET);
                });
            }
        }
        assertThat(Stubs.requests(hub))
                .anySatisfy(request ->
                        assertThat(request.getHeader("Authorization")).isEqualTo("Bearer " + SECRET));
        assertThat(CapturedLog.lines())
                .hasSizeGreaterThan(20)
                .noneMatch(line -> line.contains(SECRET))
                .noneMatch(line -> line.contains("?recursive"));
    }

    @Test
    void aWarningOfTheHubIsLoggedOncePerTopic() throws IOException {
        hub.stubFor(any(anyUrl())
                .willReturn(okJson("{}")
                        .withHeader("X-HF-Warning", "Deprecation; use the new route", "Quota; nearly full")));
        CapturedLog.clear();
        try (Desk desk = new Desk(home, hub.baseUrl())) {
            HubClient client = desk.client();
            client.info(REPO, Revision.MAIN);
            client.info(REPO, Revision.MAIN);
        }
        assertThat(CapturedLog.lines())
                .filteredOn(line -> line.startsWith("WARN"))
                .containsExactly("WARN The Hub says: use the new route", "WARN The Hub says: nearly full");
    }
}
