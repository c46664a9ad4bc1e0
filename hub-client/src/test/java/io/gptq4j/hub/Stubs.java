package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.head;
import static com.github.tomakehurst.wiremock.client.WireMock.ok;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.Options.ChunkedEncodingPolicy.NEVER;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.wireMockConfig;

import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.verification.LoggedRequest;
import io.gptq4j.hub.repo.Repo;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** What the tests with stubbed answers share. */
final class Stubs {
    static final Repo REPO = Repo.model("acme/m");
    static final String COMMIT = "3083c96c89e9393cc384b3f42b8ca68ae0d37582";
    /** Git's id of a blob that is {@code hello}. */
    static final String HELLO_ID = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";

    static final String INFO = "/api/models/acme/m/revision/main";

    private Stubs() {}

    /** A server that leaves the bodies and headers of its stubs alone. */
    static WireMockExtension server() {
        return WireMockExtension.newInstance()
                .options(wireMockConfig().dynamicPort().gzipDisabled(true).useChunkedTransferEncoding(NEVER))
                .build();
    }

    /** What a HEAD of a file tells that comes from the Hub itself. */
    static ResponseDefinitionBuilder metadata(String etag, long size) {
        return aResponse()
                .withStatus(200)
                .withHeader("X-Repo-Commit", COMMIT)
                .withHeader("ETag", '"' + etag + '"')
                .withHeader("Content-Length", String.valueOf(size));
    }

    /** A file that is {@code hello}, at its address on the Hub. */
    static void hello(WireMockExtension hub, String address) {
        hub.stubFor(head(urlEqualTo(address)).willReturn(metadata(HELLO_ID, 5)));
        hub.stubFor(get(urlEqualTo(address)).willReturn(ok("hello")));
    }

    /** All requests so far, oldest first. */
    static List<LoggedRequest> requests(WireMockExtension server) {
        List<LoggedRequest> requests = new ArrayList<>();
        server.getAllServeEvents().forEach(event -> requests.add(LoggedRequest.createFrom(event.getRequest())));
        Collections.reverse(requests);
        return requests;
    }

    /** All requests so far as {@code METHOD url}, oldest first. */
    static List<String> calls(WireMockExtension server) {
        return requests(server).stream()
                .map(request -> request.getMethod() + " " + request.getUrl())
                .toList();
    }
}
