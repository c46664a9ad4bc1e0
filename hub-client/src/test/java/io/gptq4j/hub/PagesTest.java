package io.gptq4j.hub;

import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.serverError;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.tomakehurst.wiremock.junit5.WireMockExtension;
import com.github.tomakehurst.wiremock.stubbing.Scenario;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoFolder;
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

/** Lists that come in pages. */
class PagesTest {
    private static final String TREE = "/api/models/acme/m/tree/main?recursive=true&expand=false";
    private static final String NEXT = TREE + "&limit=1000&cursor=a%3D%3D%26";

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

    private static String file(String path) {
        return "[{\"type\":\"file\",\"path\":\"" + path + "\",\"size\":5,\"oid\":\"" + Stubs.HELLO_ID + "\"}]";
    }

    private List<String> paths() throws IOException {
        return desk.client().tree(REPO, Revision.MAIN, null, true).stream()
                .map(RepoEntry::path)
                .toList();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<%s>; rel=\"next\"",
                "<%s>;rel=next",
                "<%s>; title=\"more\"; rel=\"next\"",
                "</first>; rel=\"first\", <%s>; rel=\"next\", </last>; rel=\"last\""
            })
    void theNextPageIsFollowedVerbatimHoweverTheLinkIsWritten(String link) throws IOException {
        for (String address : new String[] {NEXT, hub.baseUrl() + NEXT, "https://huggingface.co" + NEXT}) {
            hub.resetAll();
            hub.stubFor(get(urlEqualTo(TREE))
                    .willReturn(okJson(file("a")).withHeader("Link", String.format(link, address))));
            hub.stubFor(get(urlEqualTo(NEXT)).willReturn(okJson(file("b"))));
            assertThat(paths()).as(address).containsExactly("a", "b");
            assertThat(Stubs.calls(hub)).containsExactly("GET " + TREE, "GET " + NEXT);
        }
    }

    @Test
    void aLinkThatIsNoNextPageEndsTheList() throws IOException {
        hub.stubFor(
                get(urlEqualTo(TREE)).willReturn(okJson(file("a")).withHeader("Link", "<" + NEXT + ">; rel=\"prev\"")));
        assertThat(paths()).containsExactly("a");
    }

    @Test
    void aPageThatFailsIsAskedForAgainAndNothingIsListedTwice() throws IOException {
        hub.stubFor(
                get(urlEqualTo(TREE)).willReturn(okJson(file("a")).withHeader("Link", "<" + NEXT + ">; rel=\"next\"")));
        hub.stubFor(get(urlEqualTo(NEXT))
                .inScenario("flaky")
                .whenScenarioStateIs(Scenario.STARTED)
                .willReturn(serverError())
                .willSetStateTo("well"));
        hub.stubFor(get(urlEqualTo(NEXT))
                .inScenario("flaky")
                .whenScenarioStateIs("well")
                .willReturn(okJson(file("b"))));
        assertThat(paths()).containsExactly("a", "b");
        assertThat(desk.waits()).containsExactly(Duration.ofSeconds(1));
    }

    @Test
    void filesAndFoldersAreReadWithAllThatIsKnownOfThem() throws IOException {
        String sha256 = "eaee34640ca7ca9dcbe15c348da93446896de37ccbdaa560376d90b1c92652cd";
        hub.stubFor(get(urlEqualTo(TREE)).willReturn(okJson("""
                [{"type": "directory", "oid": "264894973194905f5776b135abf117cdad0bb2d1", "size": 0, "path": "sub"},
                 {"type": "file", "oid": "41be0a8b3f293fa3bbe29659ab8a5f733e79a287", "size": 132, "path": "m.safetensors",
                  "lfs": {"oid": "%s", "size": 3000000, "pointerSize": 132}, "xetHash": "ab", "later": {}}]
                """.formatted(sha256))));
        assertThat(desk.client().tree(REPO, Revision.MAIN, null, true))
                .containsExactly(
                        new RepoFolder("sub", "264894973194905f5776b135abf117cdad0bb2d1"),
                        new RepoFile(
                                "m.safetensors", 3000000, "41be0a8b3f293fa3bbe29659ab8a5f733e79a287", sha256, "ab"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"../evil", "/etc/passwd", "a/../../b", "C:/x", "a\\\\..\\\\b", ""})
    void aListingWithAPathThatLeavesTheFolderIsRefused(String path) throws IOException {
        hub.stubFor(get(urlEqualTo(TREE)).willReturn(okJson(file(path))));
        assertThatThrownBy(this::paths)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("the Hub's listing is refused")
                .hasMessageContaining("is not a path inside a repository");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../../evil", "", "a/b", ".hidden"})
    void aListingWithAHashThatCannotNameAFileIsRefused(String oid) throws IOException {
        hub.stubFor(get(urlEqualTo(TREE))
                .willReturn(okJson("[{\"type\":\"file\",\"path\":\"a\",\"size\":5,\"oid\":\"" + oid + "\"}]")));
        assertThatThrownBy(this::paths)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("the Hub's listing is refused");
    }

    @Test
    void anAnswerThatIsNoJsonAsksWhetherThisIsAHub() throws IOException {
        hub.stubFor(get(urlEqualTo(TREE)).willReturn(okJson("<html>Sign in</html>")));
        assertThatThrownBy(this::paths)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("is not JSON")
                .hasMessageContaining("is this the address of a Hub?");
    }

    @Test
    void pagesThatNameEachOtherAsTheNextAreGivenUp() {
        hub.stubFor(
                get(urlEqualTo(TREE)).willReturn(okJson(file("a")).withHeader("Link", "<" + NEXT + ">; rel=\"next\"")));
        hub.stubFor(
                get(urlEqualTo(NEXT)).willReturn(okJson(file("b")).withHeader("Link", "<" + TREE + ">; rel=\"next\"")));
        assertThatThrownBy(this::paths)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("its pages name each other as the next");
    }

    @Test
    void everyHeaderLinkIsLookedAt() throws IOException {
        hub.stubFor(get(urlEqualTo(TREE))
                .willReturn(okJson(file("a"))
                        .withHeader("Link", "<" + NEXT + ">; rel=\"next\"", "</style.css>; rel=\"preload\"")));
        hub.stubFor(get(urlEqualTo(NEXT)).willReturn(okJson(file("b"))));
        assertThat(paths()).containsExactly("a", "b");
    }
}
