package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.any;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.tomakehurst.wiremock.http.QueryParameter;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.verification.LoggedRequest;
import io.gptq4j.hub.repo.RepoInfo;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.repo.SearchQuery;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Finding repositories, and files by their paths. */
class SearchTest {
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

    @Test
    void everyWishIsAParameterAndFiltersRepeat() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(okJson("[{\"id\":\"acme/a\"}]")));
        SearchQuery query = new SearchQuery(
                RepoType.MODEL,
                "tiny llama",
                "acme",
                List.of("license:apache-2.0", "base_model:quantized:acme/m"),
                "downloads",
                3);
        assertThat(desk.client().search(query)).map(RepoInfo::id).containsExactly("acme/a");
        LoggedRequest request = Stubs.requests(hub).get(0);
        assertThat(request.getUrl()).startsWith("/api/models?");
        assertThat(request.getQueryParams().values())
                .map(QueryParameter::key, QueryParameter::values)
                .map(tuple -> tuple.toList().toString())
                .containsExactlyInAnyOrder(
                        "[search, [tiny llama]]",
                        "[author, [acme]]",
                        "[filter, [license:apache-2.0, base_model:quantized:acme/m]]",
                        "[sort, [downloads]]",
                        "[limit, [3]]");
    }

    @Test
    void noMoreThanTheLimitIsGivenAndNoPageMoreThanNeededIsAskedFor() throws IOException {
        hub.stubFor(any(anyUrl())
                .willReturn(okJson("[{\"id\":\"a/1\"},{\"id\":\"a/2\"}]")
                        .withHeader("Link", "</api/models?cursor=x>; rel=\"next\"")));
        assertThat(desk.client().search(SearchQuery.models("a", 3))).hasSize(3);
        assertThat(Stubs.calls(hub)).containsExactly("GET /api/models?search=a&limit=3", "GET /api/models?cursor=x");
    }

    @Test
    void pathsGoAsAFormInGroupsOf500() throws IOException {
        hub.stubFor(any(anyUrl()).willReturn(okJson("[]")));
        List<String> paths =
                IntStream.range(0, 1001).mapToObj(i -> "a b&" + i + "=é").toList();
        assertThat(desk.client().pathsInfo(REPO, new Revision("refs/pr/1"), paths))
                .isEmpty();
        List<LoggedRequest> requests = Stubs.requests(hub);
        assertThat(requests).hasSize(3);
        requests.forEach(request -> {
            assertThat(request.getUrl()).isEqualTo("/api/models/acme/m/paths-info/refs%2Fpr%2F1");
            assertThat(request.getHeader("Content-Type")).startsWith("application/x-www-form-urlencoded");
            assertThat(request.getBodyAsString()).startsWith("paths=a+b%26").endsWith("&expand=false");
        });
        assertThat(requests.get(0).getBodyAsString().split("paths=", -1)).hasSize(501);
        assertThat(requests.get(2).getBodyAsString()).isEqualTo("paths=a+b%261000%3D%C3%A9&expand=false");
    }

    @Test
    void noPathsAreNoRequest() throws IOException {
        assertThat(desk.client().pathsInfo(REPO, Revision.MAIN, List.of())).isEmpty();
        assertThat(Stubs.calls(hub)).isEmpty();
    }
}
