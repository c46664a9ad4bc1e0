package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static io.gptq4j.hub.Stubs.REPO;
import static java.time.Duration.ofSeconds;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.http.Fault;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.stubbing.Scenario;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is tried again, how often and after which wait. */
class RetriesTest {
    @RegisterExtension
    static final WireMockExtension hub = Stubs.server();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.baseUrl());
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static ResponseDefinitionBuilder status(int status) {
        return aResponse().withStatus(status);
    }

    /** Answers once like this, and well from then on. */
    private void once(ResponseDefinitionBuilder answer) throws IOException {
        hub.stubFor(any(anyUrl())
                .inScenario("once")
                .whenScenarioStateIs(Scenario.STARTED)
                .willReturn(answer)
                .willSetStateTo("well"));
        hub.stubFor(
                any(anyUrl()).inScenario("once").whenScenarioStateIs("well").willReturn(okJson("{\"id\":\"acme/m\"}")));
        assertThat(desk.client().info(REPO, Revision.MAIN).id()).isEqualTo("acme/m");
        assertThat(Stubs.calls(hub)).hasSize(2);
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 429, 500, 502, 503, 504})
    void whatMayPassIsTriedSixTimes(int status) throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(status(status)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN)).isInstanceOf(HubHttpException.class);
        assertThat(Stubs.calls(hub)).hasSize(6);
        assertThat(desk.waits()).containsExactly(ofSeconds(1), ofSeconds(2), ofSeconds(4), ofSeconds(8), ofSeconds(8));
    }

    @ParameterizedTest
    @ValueSource(ints = {400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 416, 422, 451, 501, 505, 507})
    void whatWillNotPassIsTriedOnce(int status) throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(status(status)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN)).isInstanceOf(HubException.class);
        assertThat(Stubs.calls(hub)).hasSize(1);
        assertThat(desk.waits()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = Fault.class,
            names = {"EMPTY_RESPONSE", "CONNECTION_RESET_BY_PEER", "RANDOM_DATA_THEN_CLOSE"})
    void aConnectionThatBreaksIsTriedAgain(Fault fault) throws IOException {
        once(aResponse().withFault(fault));
        assertThat(desk.waits()).containsExactly(ofSeconds(1));
    }

    @Test
    void aHostThatRefusesIsTriedSixTimesAndNamed() throws IOException {
        try (Desk nowhere = new Desk(home, "http://127.0.0.1:1")) {
            HubClient client = nowhere.client();
            assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                    .isInstanceOf(HubNetworkException.class)
                    .hasMessageContaining("127.0.0.1:1")
                    .hasMessageContaining("(http://127.0.0.1:1/api/models/acme/m/revision/main)");
            assertThat(nowhere.waits()).hasSize(5);
        }
    }

    @Test
    void anExhaustedRateLimitIsWaitedFor() throws IOException {
        once(status(429).withHeader("RateLimit", "\"api\";r=0;t=55").withHeader("Retry-After", "3"));
        assertThat(desk.waits()).containsExactly(ofSeconds(56));
    }

    @Test
    void aRateLimitThatIsNotExhaustedSaysNothing() throws IOException {
        once(status(429).withHeader("RateLimit", "\"api\";r=7;t=55"));
        assertThat(desk.waits()).containsExactly(ofSeconds(1));
    }

    @ParameterizedTest
    @ValueSource(ints = {429, 503})
    void retryAfterCountsInSeconds(int status) throws IOException {
        once(status(status).withHeader("Retry-After", "7"));
        assertThat(desk.waits()).containsExactly(ofSeconds(8));
    }

    @Test
    void retryAfterOfAnotherStatusDoesNotCount() throws IOException {
        once(status(500).withHeader("Retry-After", "7"));
        assertThat(desk.waits()).containsExactly(ofSeconds(1));
    }

    @Test
    void retryAfterMayBeADate() throws IOException {
        String soon = DateTimeFormatter.RFC_1123_DATE_TIME.format(
                Instant.now().plusSeconds(300).atOffset(ZoneOffset.UTC));
        once(status(429).withHeader("Retry-After", soon));
        Duration wait = desk.waits().get(0);
        assertThat(wait).isBetween(ofSeconds(2), ofSeconds(301));
    }

    @Test
    void aDateThatHasPassedIsNoWait() throws IOException {
        once(status(503).withHeader("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"));
        assertThat(desk.waits()).containsExactly(Duration.ZERO);
    }

    @Test
    void aRetryAfterThatSaysNothingUsefulIsPassedOver() throws IOException {
        once(status(429).withHeader("Retry-After", "soon"));
        assertThat(desk.waits()).containsExactly(ofSeconds(1));
    }

    @Test
    void aQuarterOfAnHourIsWaitedFor() throws IOException {
        once(status(429).withHeader("Retry-After", "899"));
        assertThat(desk.waits()).containsExactly(ofSeconds(900));
    }

    @ParameterizedTest
    @ValueSource(strings = {"900", "86400", "Fri, 31 Dec 2100 23:59:59 GMT"})
    void aWaitThatIsTooLongIsNotBegun(String retryAfter) throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(status(429).withHeader("Retry-After", retryAfter)));
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOf(HubHttpException.class)
                .hasMessageContaining("the rate limit is reached");
        assertThat(Stubs.calls(hub)).hasSize(1);
        assertThat(desk.waits()).isEmpty();
    }
}
