package io.gptq4j.it.hub;

import static io.gptq4j.it.hub.Asking.header;
import static io.gptq4j.it.hub.Asking.json;
import static io.gptq4j.it.hub.Asking.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What can be read from the fake, in the shapes that real exchanges show. */
class FakeHubTest {
    private static final String CONFIG = "{\"model_type\": \"llama\", \"hidden_size\": 64}\n";
    private static final byte[] WEIGHTS = new byte[3_000_000];

    static {
        new Random(1).nextBytes(WEIGHTS);
    }

    private final FakeHub hub = FakeHub.builder().pageSize(3).start();
    private final Asking anonymous = new Asking(hub.url(), "");
    private final Asking alice = new Asking(hub.url(), FakeHub.WRITE_TOKEN);
    private final Asking bob = new Asking(hub.url(), FakeHub.READ_TOKEN);
    private final FakeRepo repo = hub.repo("acme/tiny-llama")
            .commit(
                    "main",
                    "seed",
                    Map.of(
                            "README.md", "---\nlicense: apache-2.0\ntags:\n- llama\n---\n# tiny\n",
                            "config.json", CONFIG,
                            "model.safetensors", WEIGHTS,
                            "sub/notes.txt", "notes",
                            "empty.txt", ""));

    @AfterEach
    void stop() {
        hub.close();
    }

    @Test
    void aSmallFileRedirectsToTheResolveCache() throws Exception {
        HttpResponse<byte[]> first = anonymous.head("/acme/tiny-llama/resolve/main/config.json");
        assertThat(first.statusCode()).isEqualTo(307);
        String target = "/api/resolve-cache/models/acme/tiny-llama/" + repo.head("main")
                + "/config.json?%2Facme%2Ftiny-llama%2Fresolve%2Fmain%2Fconfig.json=&etag=%22"
                + repo.etag("main", "config.json") + "%22";
        assertThat(header(first, "Location")).isEqualTo(target);
        assertThat(header(first, "X-Repo-Commit")).isEqualTo(repo.head("main"));
        assertThat(header(first, "Content-Length"))
                .isEqualTo(String.valueOf(("Temporary Redirect. Redirecting to " + target).length()));
        assertThat(header(first, "RateLimit")).isEqualTo("\"resolvers\";r=4990;t=120");
        assertThat(header(first, "RateLimit-Policy")).isEqualTo("\"fixed window\";\"resolvers\";q=5000;w=300");
        assertThat(header(first, "X-Request-Id")).isEqualTo("Root=1-fake-00000001");

        HttpResponse<byte[]> second = anonymous.get(target);
        assertThat(second.statusCode()).isEqualTo(200);
        assertThat(header(second, "ETag")).isEqualTo("\"" + repo.etag("main", "config.json") + "\"");
        assertThat(header(second, "X-Repo-Commit")).isEqualTo(repo.head("main"));
        assertThat(text(second)).isEqualTo(CONFIG);
    }

    @Test
    void oddNamesSurviveTheRedirect() throws Exception {
        repo.commit("main", "odd", Map.of("a b/c+d%#\u00e9.txt", "odd"));
        HttpResponse<byte[]> first = anonymous.get("/acme/tiny-llama/resolve/main/a%20b/c+d%25%23%C3%A9.txt");
        assertThat(header(first, "Location")).contains("/a%20b/c%2Bd%25%23%C3%A9.txt?");
        assertThat(text(anonymous.get(header(first, "Location")))).isEqualTo("odd");
    }

    @Test
    void aLargeFileRedirectsToStorageWhereNoTokenIsWanted() throws Exception {
        HttpResponse<byte[]> first = alice.head("/acme/tiny-llama/resolve/main/model.safetensors");
        String sha256 = Hex.sha256Of(WEIGHTS);
        assertThat(first.statusCode()).isEqualTo(302);
        assertThat(header(first, "Location"))
                .startsWith(hub.cdnUrl() + "/_cdn/" + sha256
                        + "?response-content-disposition=inline%3B+filename%3D%22model.safetensors%22%3B"
                        + "&Expires=3600&Signature=");
        assertThat(header(first, "X-Linked-Size")).isEqualTo("3000000");
        assertThat(header(first, "X-Linked-ETag")).isEqualTo("\"" + sha256 + "\"");
        assertThat(header(first, "X-Xet-Hash")).isEmpty();

        assertThat(alice.get(header(first, "Location")).statusCode()).isEqualTo(400);
        HttpResponse<byte[]> content = anonymous.get(header(first, "Location"));
        assertThat(content.statusCode()).isEqualTo(200);
        assertThat(header(content, "ETag")).isEqualTo("\"" + sha256.substring(0, 32) + "\"");
        assertThat(content.body()).isEqualTo(WEIGHTS);

        hub.expireSignatures();
        assertThat(anonymous.get(header(first, "Location")).statusCode()).isEqualTo(403);
        assertThat(anonymous.get(hub.cdnUrl() + "/_cdn/" + sha256).statusCode()).isEqualTo(403);
    }

    @Test
    void rangesAreServedAndRefused() throws Exception {
        String location = header(anonymous.head("/acme/tiny-llama/resolve/main/model.safetensors"), "Location");
        HttpResponse<byte[]> rest = anonymous.get(location, "Range", "bytes=2999990-");
        assertThat(rest.statusCode()).isEqualTo(206);
        assertThat(header(rest, "Content-Range")).isEqualTo("bytes 2999990-2999999/3000000");
        assertThat(rest.body()).isEqualTo(Arrays.copyOfRange(WEIGHTS, 2_999_990, 3_000_000));
        assertThat(anonymous.get(location, "Range", "bytes=0-0").body()).isEqualTo(Arrays.copyOf(WEIGHTS, 1));
        assertThat(anonymous.get(location, "Range", "bytes=-2").body())
                .isEqualTo(Arrays.copyOfRange(WEIGHTS, 2_999_998, 3_000_000));

        HttpResponse<byte[]> beyond = anonymous.get(location, "Range", "bytes=3000000-");
        assertThat(beyond.statusCode()).isEqualTo(416);
        assertThat(header(beyond, "Content-Range")).isEqualTo("bytes */3000000");

        String etag = header(rest, "ETag");
        assertThat(anonymous
                        .get(location, "Range", "bytes=5-", "If-Range", etag)
                        .statusCode())
                .isEqualTo(206);
        assertThat(anonymous
                        .get(location, "Range", "bytes=5-", "If-Range", "\"other\"")
                        .statusCode())
                .isEqualTo(200);
    }

    @Test
    void listsATreeInPages() throws Exception {
        String next = hub.url() + "/api/models/acme/tiny-llama/tree/main?recursive=true&expand=false";
        List<String> paths = new ArrayList<>();
        List<String> links = new ArrayList<>();
        while (!next.isEmpty()) {
            HttpResponse<byte[]> page = anonymous.get(next);
            json(page).forEach(entry -> paths.add(entry.path("path").asText()));
            String link = header(page, "Link");
            links.add(link);
            next = link.isEmpty() ? "" : link.substring(1, link.indexOf('>'));
        }
        assertThat(paths)
                .containsExactly(
                        ".gitattributes",
                        "README.md",
                        "config.json",
                        "empty.txt",
                        "model.safetensors",
                        "sub",
                        "sub/notes.txt");
        assertThat(links.get(0))
                .isEqualTo("<" + hub.url() + "/api/models/acme/tiny-llama/tree/main?recursive=true&expand=false"
                        + "&limit=3&cursor=Mw>; rel=\"next\"");
    }

    @Test
    void treeEntriesHaveGitIdsAndLfsPointers() throws Exception {
        JsonNode folder = json(anonymous.get("/api/models/acme/tiny-llama/tree/main/sub?recursive=false&expand=true"));
        assertThat(folder).hasSize(1);
        assertThat(folder.get(0).path("path").asText()).isEqualTo("sub/notes.txt");
        assertThat(folder.get(0).path("lastCommit").path("title").asText()).isEqualTo("seed");

        HttpResponse<byte[]> info = anonymous.send(
                "POST",
                "/api/models/acme/tiny-llama/paths-info/main",
                BodyPublishers.ofString(
                        "paths=model.safetensors&paths=nope&paths=sub&paths=.gitattributes&expand=false"),
                "Content-Type",
                "application/x-www-form-urlencoded");
        JsonNode entries = json(info);
        assertThat(entries).hasSize(3);
        JsonNode lfs = entries.get(0);
        assertThat(lfs.path("lfs").path("oid").asText()).isEqualTo(Hex.sha256Of(WEIGHTS));
        assertThat(lfs.path("lfs").path("size").asLong()).isEqualTo(3_000_000);
        assertThat(lfs.path("lfs").path("pointerSize").asInt()).isEqualTo(132);
        assertThat(entries.get(1).path("type").asText()).isEqualTo("directory");
        assertThat(entries.get(2).path("oid").asText()).isEqualTo("a6344aac8c09253b3b630fb776ae94478aa0275b");
        assertThat(entries.get(2).path("size").asInt()).isEqualTo(1519);
    }

    /** The ids of the LFS pointers are those of a recorded listing, the others those of git 2.39. */
    @Test
    void idsAreWhatGitComputes() {
        assertThat(Git.blob(new byte[0])).isEqualTo("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assertThat(Git.blob(
                        Git.lfsPointer("eaee34640ca7ca9dcbe15c348da93446896de37ccbdaa560376d90b1c92652cd", 3_000_000)))
                .isEqualTo("41be0a8b3f293fa3bbe29659ab8a5f733e79a287");
        assertThat(Git.blob(
                        Git.lfsPointer("7284f2db4b77ffe80aef48bdf8f78001a1481ff9f1515b3e2b7aaf13c63ec428", 1_000_001)))
                .isEqualTo("12d01188851f7dcccc517d1f713dc9d9a10a2910");

        Commit commit = Commit.of(
                null,
                "title",
                "",
                "someone",
                Instant.ofEpochSecond(1_700_000_000),
                new TreeMap<>(Map.of(
                        "a.txt", HubFile.regular("a".getBytes(StandardCharsets.UTF_8)),
                        "a/b/c", HubFile.regular("c".getBytes(StandardCharsets.UTF_8)),
                        "a-b", HubFile.regular("d".getBytes(StandardCharsets.UTF_8)))));
        assertThat(commit.id()).isEqualTo("6dc8aac042aedf37585fa259c9880f9bc58853f0");
        assertThat(commit.folders())
                .containsEntry("a", "6324278faf7ef4be9a8aa8ed50ecff4c72653ebf")
                .containsEntry("a/b", "3ba36eaaa6a69c4d231647fa5138dbb3ec2fa87a");
    }

    @Test
    void infoTellsFilesTagsAndConfig() throws Exception {
        JsonNode info = json(anonymous.get("/api/models/acme/tiny-llama/revision/main?blobs=true"));
        assertThat(info.path("sha").asText()).isEqualTo(repo.head("main"));
        assertThat(info.path("tags").toString()).isEqualTo("[\"llama\",\"license:apache-2.0\",\"region:us\"]");
        assertThat(info.path("gated").isBoolean()).isTrue();
        assertThat(info.path("config").path("model_type").asText()).isEqualTo("llama");
        JsonNode sibling = info.path("siblings").get(4);
        assertThat(sibling.path("rfilename").asText()).isEqualTo("model.safetensors");
        assertThat(sibling.path("lfs").path("sha256").asText()).isEqualTo(Hex.sha256Of(WEIGHTS));

        JsonNode some = json(anonymous.get("/api/models/acme/tiny-llama?expand=sha&expand=gated"));
        assertThat(some.properties()).extracting(Map.Entry::getKey).containsExactly("_id", "id", "sha", "gated");
        assertThat(anonymous.get("/api/models/acme/tiny-llama?expand=nonsense").statusCode())
                .isEqualTo(400);
    }

    @Test
    void missingThingsAreToldApart() throws Exception {
        HttpResponse<byte[]> entry = anonymous.head("/acme/tiny-llama/resolve/main/nope.json");
        assertThat(entry.statusCode()).isEqualTo(404);
        assertThat(header(entry, "X-Error-Code")).isEqualTo("EntryNotFound");
        assertThat(header(entry, "X-Error-Message")).isEqualTo("Entry not found");
        assertThat(header(entry, "X-Repo-Commit")).isEqualTo(repo.head("main"));

        HttpResponse<byte[]> revision = bob.get("/api/models/acme/tiny-llama/revision/zz");
        assertThat(revision.statusCode()).isEqualTo(404);
        assertThat(header(revision, "X-Error-Code")).isEqualTo("RevisionNotFound");
        assertThat(text(revision)).isEqualTo("{\"error\":\"Invalid rev id: zz\"}");

        HttpResponse<byte[]> unknown = anonymous.head("/acme/nothing/resolve/main/config.json");
        assertThat(unknown.statusCode()).isEqualTo(401);
        assertThat(header(unknown, "X-Error-Code")).isEmpty();
        assertThat(header(unknown, "X-Error-Message")).isEqualTo("Invalid username or password.");

        HttpResponse<byte[]> known = bob.head("/acme/nothing/resolve/main/config.json");
        assertThat(known.statusCode()).isEqualTo(404);
        assertThat(header(known, "X-Error-Code")).isEqualTo("RepoNotFound");
    }

    @Test
    void accessIsCheckedInTheHubsOwnWords() throws Exception {
        HttpResponse<byte[]> stale = new Asking(hub.url(), "hf_garbage").get("/api/models/acme/tiny-llama");
        assertThat(stale.statusCode()).isEqualTo(401);
        assertThat(header(stale, "X-Error-Message")).isEqualTo("Invalid credentials in Authorization header");

        String file = "/acme/tiny-llama/resolve/main/config.json";
        repo.gate("manual");
        assertThat(anonymous.head(file).statusCode()).isEqualTo(401);
        assertThat(header(anonymous.head(file), "X-Error-Message"))
                .isEqualTo("Access to model acme/tiny-llama is restricted. You must have access to it and be"
                        + " authenticated to access it. Please log in.");
        assertThat(bob.head(file).statusCode()).isEqualTo(403);
        assertThat(header(bob.head(file), "X-Error-Code")).isEqualTo("GatedRepo");
        assertThat(bob.get("/api/models/acme/tiny-llama/auth-check").statusCode())
                .isEqualTo(403);
        assertThat(bob.get("/api/models/acme/tiny-llama").statusCode()).isEqualTo(200);
        repo.authorise("bob");
        assertThat(bob.head(file).statusCode()).isEqualTo(307);

        repo.ungate().makePrivate();
        assertThat(bob.head(file).statusCode()).isEqualTo(404);
        assertThat(alice.head(file).statusCode()).isEqualTo(307);

        repo.disable();
        HttpResponse<byte[]> disabled = alice.head(file);
        assertThat(disabled.statusCode()).isEqualTo(403);
        assertThat(header(disabled, "X-Error-Message")).isEqualTo("Access to this resource is disabled.");
    }

    @Test
    void whoamiKnowsTheTwoAccounts() throws Exception {
        JsonNode me = json(alice.get("/api/whoami-v2"));
        assertThat(me.path("name").asText()).isEqualTo("alice");
        assertThat(me.path("orgs").get(0).path("name").asText()).isEqualTo("acme");
        assertThat(me.path("auth").path("accessToken").path("displayName").asText())
                .isEqualTo("alice-token");
        assertThat(me.path("auth").path("accessToken").path("role").asText()).isEqualTo("write");
        assertThat(json(bob.get("/api/whoami-v2")).path("name").asText()).isEqualTo("bob");
        assertThat(anonymous.get("/api/whoami-v2").statusCode()).isEqualTo(401);
    }

    @Test
    void theOldNameOfARepositoryRedirectsOnEveryRoute() throws Exception {
        repo.rename("acme/renamed");
        HttpResponse<byte[]> file = anonymous.head("/acme/tiny-llama/resolve/main/config.json");
        assertThat(file.statusCode()).isEqualTo(307);
        assertThat(header(file, "Location")).isEqualTo("/acme/renamed/resolve/main/config.json");
        assertThat(header(anonymous.get("/api/models/acme/tiny-llama?blobs=true"), "Location"))
                .isEqualTo("/api/models/acme/renamed?blobs=true");
        hub.repo("gpt2").rename("openai-community/gpt2");
        assertThat(header(anonymous.get("/api/models/gpt2/tree/main"), "Location"))
                .isEqualTo("/api/models/openai-community/gpt2/tree/main");
        assertThat(header(anonymous.head("/gpt2/resolve/main/x"), "Location"))
                .isEqualTo("/openai-community/gpt2/resolve/main/x");
    }

    @Test
    void searchesByAuthorTextAndFilterInPages() throws Exception {
        hub.repo("acme/other-llama");
        hub.repo("alice/llama");
        hub.repo("acme/secret-llama").makePrivate();
        JsonNode found = json(anonymous.get("/api/models?author=acme&search=LLAMA"));
        assertThat(found)
                .extracting(model -> model.path("id").asText())
                .containsExactly("acme/other-llama", "acme/tiny-llama");
        assertThat(json(anonymous.get("/api/models?filter=license:apache-2.0"))).hasSize(1);
        assertThat(json(alice.get("/api/models?author=acme"))).hasSize(3);
        HttpResponse<byte[]> page = anonymous.get("/api/models?limit=1&sort=lastModified");
        assertThat(json(page)).hasSize(1);
        assertThat(header(page, "Link")).contains("sort=lastModified&limit=1&cursor=MQ>; rel=\"next\"");
    }

    @Test
    void directStyleSameHostAndXetAreOptions() throws Exception {
        try (FakeHub other = FakeHub.builder()
                .resolveStyle(FakeHub.ResolveStyle.DIRECT)
                .cdnSameHost(true)
                .xet(true)
                .start()) {
            other.repo("acme/m").commit("main", "seed", Map.of("a.json", "{}", "w.bin", new byte[9]));
            Asking asking = new Asking(other.url(), "");
            HttpResponse<byte[]> small = asking.get("/acme/m/resolve/main/a.json");
            assertThat(small.statusCode()).isEqualTo(200);
            assertThat(text(small)).isEqualTo("{}");
            HttpResponse<byte[]> large = asking.head("/acme/m/resolve/main/w.bin");
            assertThat(header(large, "Location")).startsWith(other.url() + "/_cdn/");
            assertThat(header(large, "X-Xet-Hash")).hasSize(64);
            assertThat(header(large, "Link")).endsWith(">; rel=\"xet-auth\"");
            assertThat(asking.get(header(large, "Location")).body()).isEqualTo(new byte[9]);
            assertThat(other.requests("GET", "/_cdn/").get(0).listener()).isEqualTo("cdn");
        }
    }
}
