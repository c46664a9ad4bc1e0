package io.gptq4j.it.hub;

import static io.gptq4j.it.hub.Asking.header;
import static io.gptq4j.it.hub.Asking.json;
import static io.gptq4j.it.hub.Asking.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What can be written to the fake, and what it refuses. */
class FakeHubWriteTest {
    private static final byte[] WEIGHTS = new byte[2_500_000];

    static {
        new Random(3).nextBytes(WEIGHTS);
    }

    private static final String OID = Hex.sha256Of(WEIGHTS);
    private static final String HEADER =
            "{\"key\": \"header\", \"value\": {\"summary\": \"s\", \"description\": \"d\"}}\n";

    private final FakeHub hub = FakeHub.inParts().start();
    private final Asking anonymous = new Asking(hub.url(), "");
    private final Asking alice = new Asking(hub.url(), FakeHub.WRITE_TOKEN);
    private final Asking bob = new Asking(hub.url(), FakeHub.READ_TOKEN);

    @AfterEach
    void stop() {
        hub.close();
    }

    private HttpResponse<byte[]> commit(Asking asking, String target, String... lines) throws Exception {
        return asking.post(target, String.join("", lines), "Content-Type", "application/x-ndjson");
    }

    private static String file(String path, String content) {
        String base64 = Base64.getEncoder().encodeToString(content.getBytes(StandardCharsets.UTF_8));
        return "{\"key\": \"file\", \"value\": {\"content\": \"" + base64 + "\", \"path\": \"" + path
                + "\", \"encoding\": \"base64\"}}\n";
    }

    private static String lfsFile(String path) {
        return "{\"key\": \"lfsFile\", \"value\": {\"path\": \"" + path + "\", \"algo\": \"sha256\", \"oid\": \"" + OID
                + "\", \"size\": 2500000}}\n";
    }

    private static String operation(String key, String path) {
        return "{\"key\": \"" + key + "\", \"value\": {\"path\": \"" + path + "\"}}\n";
    }

    @Test
    void createsMovesAndDeletesRepositories() throws Exception {
        HttpResponse<byte[]> created = alice.post(
                "/api/repos/create", "{\"name\": \"m\", \"organization\": \"alice\", \"visibility\": \"private\"}");
        assertThat(created.statusCode()).isEqualTo(200);
        assertThat(json(created).path("url").asText()).isEqualTo(hub.url() + "/alice/m");
        assertThat(json(created).path("name").asText()).isEqualTo("alice/m");
        FakeRepo repo = hub.repo("alice/m");
        assertThat(repo.isPrivate()).isTrue();
        assertThat(repo.files("main")).containsExactly(".gitattributes");
        assertThat(repo.commits("main")).extracting(FakeRepo.CommitInfo::title).containsExactly("initial commit");

        HttpResponse<byte[]> again = alice.post("/api/repos/create", "{\"name\": \"m\", \"organization\": null}");
        assertThat(again.statusCode()).isEqualTo(409);
        assertThat(text(again))
                .isEqualTo("{\"error\":\"You already created this model repo\",\"url\":\"" + hub.url() + "/alice/m\"}");
        HttpResponse<byte[]> foreign =
                alice.post("/api/repos/create", "{\"name\": \"x\", \"organization\": \"carol\"}");
        assertThat(foreign.statusCode()).isEqualTo(403);
        assertThat(header(foreign, "X-Error-Message"))
                .isEqualTo("You don't have the rights to create a model under the namespace \"carol\"");
        assertThat(bob.post("/api/repos/create", "{\"name\": \"x\"}").statusCode())
                .isEqualTo(403);

        assertThat(alice.post(
                                "/api/repos/move",
                                "{\"fromRepo\": \"alice/m\", \"toRepo\": \"acme/n\", \"type\": \"model\"}")
                        .statusCode())
                .isEqualTo(200);
        assertThat(header(alice.post("/api/models/alice/m/branch/dev", "{}"), "Location"))
                .isEqualTo("/api/models/acme/n/branch/dev");
        String delete = "{\"name\": \"n\", \"organization\": \"acme\"}";
        assertThat(alice.send("DELETE", "/api/repos/delete", BodyPublishers.ofString(delete))
                        .statusCode())
                .isEqualTo(200);
        assertThat(hub.hasRepo("model", "acme/n")).isFalse();
        assertThat(header(alice.send("DELETE", "/api/repos/delete", BodyPublishers.ofString(delete)), "X-Error-Code"))
                .isEqualTo("RepoNotFound");
    }

    @Test
    void branchesTagsAndSettings() throws Exception {
        FakeRepo repo = hub.repo("alice/m");
        assertThat(alice.post("/api/models/alice/m/branch/exp%2Fone", "{}").statusCode())
                .isEqualTo(200);
        assertThat(alice.post("/api/models/alice/m/branch/exp%2Fone", "{}").statusCode())
                .isEqualTo(409);
        assertThat(alice.post("/api/models/alice/m/tag/exp%2Fone", "{\"tag\": \"v2\"}")
                        .statusCode())
                .isEqualTo(200);
        assertThat(alice.post("/api/models/alice/m/tag/main", "{\"tag\": \"v2\"}")
                        .statusCode())
                .isEqualTo(409);
        assertThat(text(anonymous.get("/api/models/alice/m/refs?include_prs=1")).replace(repo.head("main"), "HEAD"))
                .isEqualTo(
                        "{\"branches\":[{\"name\":\"exp/one\",\"ref\":\"refs/heads/exp/one\",\"targetCommit\":\"HEAD\"},"
                                + "{\"name\":\"main\",\"ref\":\"refs/heads/main\",\"targetCommit\":\"HEAD\"}],"
                                + "\"converts\":[],"
                                + "\"tags\":[{\"name\":\"v2\",\"ref\":\"refs/tags/v2\",\"targetCommit\":\"HEAD\"}],"
                                + "\"pullRequests\":[]}");
        assertThat(alice.send("DELETE", "/api/models/alice/m/branch/main", BodyPublishers.noBody())
                        .statusCode())
                .isEqualTo(403);
        assertThat(alice.send("DELETE", "/api/models/alice/m/branch/exp%2Fone", BodyPublishers.noBody())
                        .statusCode())
                .isEqualTo(200);
        assertThat(alice.send("DELETE", "/api/models/alice/m/tag/v2", BodyPublishers.noBody())
                        .statusCode())
                .isEqualTo(200);
        assertThat(bob.post("/api/models/alice/m/branch/x", "{}").statusCode()).isEqualTo(403);

        String settings = "{\"gated\":\"auto\",\"visibility\":\"private\"}";
        assertThat(text(alice.send("PUT", "/api/models/alice/m/settings", BodyPublishers.ofString(settings))))
                .isEqualTo(settings);
        assertThat(repo.gate()).isEqualTo("auto");
        assertThat(repo.isPrivate()).isTrue();
    }

    @Test
    void saysHowEachFileIsToBeUploaded() throws Exception {
        hub.repo("alice/m").commit("main", "seed", Map.of("old.txt", "old"));
        String target = "/api/models/alice/m/preupload/main";
        String body = "{\"files\": [{\"path\": \"old.txt\", \"sample\": \"b2xk\", \"size\": 3},"
                + "{\"path\": \"w.safetensors\", \"sample\": \"YQ==\", \"size\": 1},"
                + "{\"path\": \"binary\", \"sample\": \"AAA=\", \"size\": 2},"
                + "{\"path\": \"logs/a.log\", \"sample\": \"\", \"size\": 0}], \"gitIgnore\": \"logs/\\n\"}";
        HttpResponse<byte[]> response = alice.post(target, body);
        assertThat(text(response))
                .isEqualTo("{\"files\":[{\"path\":\"old.txt\",\"uploadMode\":\"regular\",\"shouldIgnore\":false,"
                        + "\"oid\":\"489ce0f857e7634a0eb9f328265a3e91fad49f61\"},"
                        + "{\"path\":\"w.safetensors\",\"uploadMode\":\"lfs\",\"shouldIgnore\":false},"
                        + "{\"path\":\"binary\",\"uploadMode\":\"lfs\",\"shouldIgnore\":false},"
                        + "{\"path\":\"logs/a.log\",\"uploadMode\":\"regular\",\"shouldIgnore\":true}],"
                        + "\"commitOid\":\"" + hub.repo("alice/m").head("main") + "\"}");

        String one = "{\"path\": \"a\", \"sample\": \"YQ==\", \"size\": 1}";
        String tooMany = "{\"files\": [" + String.join(",", Collections.nCopies(257, one)) + "]}";
        assertThat(alice.post(target, tooMany).statusCode()).isEqualTo(400);
        assertThat(alice.post(target, "{\"files\": [" + one.replace("\"size\": 1", "\"size\": 2") + "]}")
                        .statusCode())
                .isEqualTo(400);
        assertThat(bob.post(target, "{\"files\": []}").statusCode()).isEqualTo(403);
        assertThat(bob.post(target + "?create_pr=1", "{\"files\": []}").statusCode())
                .isEqualTo(200);
        assertThat(header(alice.post("/api/models/alice/m/preupload/nobranch", "{\"files\": []}"), "X-Error-Code"))
                .isEqualTo("RevisionNotFound");
    }

    @Test
    void commitsFilesObjectsCopiesAndDeletions() throws Exception {
        FakeRepo repo = hub.repo("alice/m").commit("main", "seed", Map.of("w.bin", WEIGHTS, "d/x", "x", "old", "o"));
        String head = repo.head("main");
        String header = HEADER.replace("\"d\"", "\"d\", \"parentCommit\": \"" + head.substring(0, 7) + "\"");
        String copy = "{\"key\": \"copyFile\", \"value\": {\"path\": \"copy\", \"srcPath\": \"old\"}}\n";
        HttpResponse<byte[]> response = commit(
                alice,
                "/api/models/alice/m/commit/main",
                header,
                file("a/b.txt", "hello"),
                lfsFile("w2.safetensors"),
                copy,
                operation("deletedFile", "old"),
                operation("deletedFolder", "d"));
        String id = repo.head("main");
        assertThat(text(response))
                .isEqualTo("{\"success\":true,\"commitOid\":\"" + id + "\",\"commitUrl\":\"" + hub.url()
                        + "/alice/m/commit/" + id + "\",\"hookOutput\":\"\"}");
        assertThat(repo.files("main")).containsExactly(".gitattributes", "a/b.txt", "copy", "w.bin", "w2.safetensors");
        assertThat(repo.text("main", "a/b.txt")).isEqualTo("hello");
        assertThat(repo.isLfs("main", "w2.safetensors")).isTrue();
        assertThat(repo.content("main", "w2.safetensors")).isEqualTo(WEIGHTS);
        FakeRepo.CommitInfo last = repo.commits("main").get(0);
        assertThat(last.title()).isEqualTo("s");
        assertThat(last.message()).isEqualTo("d");
        assertThat(last.author()).isEqualTo("alice");
        assertThat(repo.files(head)).contains("old", "d/x");

        HttpResponse<byte[]> stale = commit(alice, "/api/models/alice/m/commit/main", header, file("z", "z"));
        assertThat(stale.statusCode()).isEqualTo(412);
        assertThat(header(stale, "X-Error-Message"))
                .isEqualTo("The branch was updated since you opened this page. Please refresh and try again.");
    }

    @Test
    void refusesCommitsThatAreNotInOrder() throws Exception {
        FakeRepo repo = hub.repo("alice/m");
        String target = "/api/models/alice/m/commit/main";
        assertThat(alice.post(target, HEADER + file("a", "a"), "Content-Type", "application/json")
                        .statusCode())
                .isEqualTo(415);
        assertThat(commit(alice, target, file("a", "a"), HEADER).statusCode()).isEqualTo(400);
        assertThat(commit(alice, target, HEADER, lfsFile("w.bin")).statusCode()).isEqualTo(400);
        assertThat(commit(alice, target, HEADER, file("w.bin", "not empty")).statusCode())
                .isEqualTo(400);
        assertThat(commit(alice, target, HEADER, file("../a", "a")).statusCode())
                .isEqualTo(400);
        assertThat(commit(alice, target, HEADER, file("a", "a"), file("a/b", "b"))
                        .statusCode())
                .isEqualTo(400);
        HttpResponse<byte[]> missing = commit(alice, target, HEADER, operation("deletedFile", "nope.txt"));
        assertThat(missing.statusCode()).isEqualTo(404);
        assertThat(header(missing, "X-Error-Code")).isEqualTo("EntryNotFound");
        assertThat(header(missing, "X-Error-Message")).isEqualTo("A file with this name doesn't exist");
        assertThat(commit(alice, "/api/models/alice/m/commit/nobranch", HEADER, file("a", "a"))
                        .statusCode())
                .isEqualTo(404);
        assertThat(commit(bob, target, HEADER, file("a", "a")).statusCode()).isEqualTo(403);
        assertThat(commit(anonymous, target, HEADER, file("a", "a")).statusCode())
                .isEqualTo(401);
        assertThat(repo.commits("main")).hasSize(1);
        assertThat(commit(alice, target, HEADER, file("w.bin", "")).statusCode())
                .isEqualTo(200);
    }

    @Test
    void readersOpenPullRequestsAndPushToThem() throws Exception {
        FakeRepo repo = hub.repo("alice/m");
        String head = repo.head("main");
        JsonNode opened = json(commit(bob, "/api/models/alice/m/commit/main?create_pr=1", HEADER, file("a", "1")));
        assertThat(opened.path("pullRequestUrl").asText()).isEqualTo(hub.url() + "/alice/m/discussions/1");
        assertThat(repo.head("main")).isEqualTo(head);
        assertThat(commit(bob, "/api/models/alice/m/commit/refs%2Fpr%2F1", HEADER, file("a", "2"))
                        .statusCode())
                .isEqualTo(200);
        assertThat(repo.text("refs/pr/1", "a")).isEqualTo("2");
        assertThat(repo.pullRequests())
                .containsExactly(new FakeRepo.PullRequest(1, "s", "bob", repo.head("refs/pr/1")));
        assertThat(commit(alice, "/api/models/alice/m/commit/refs%2Fpr%2F2", HEADER, file("a", "2"))
                        .statusCode())
                .isEqualTo(404);
    }

    @Test
    void checksTheYamlOfACard() throws Exception {
        String good =
                "{\"content\": \"---\\nlicense: apache-2.0\\ntags:\\n- gptq\\n---\\n# x\\n\", \"repoType\": \"model\"}";
        assertThat(text(alice.post("/api/validate-yaml", good))).isEqualTo("{\"errors\":[],\"warnings\":[]}");
        HttpResponse<byte[]> broken = alice.post(
                "/api/validate-yaml", "{\"content\": \"---\\nlicense: [a\\n---\\n\", \"repoType\": \"model\"}");
        assertThat(broken.statusCode()).isEqualTo(400);
        assertThat(json(broken).path("errors").get(0).path("message").asText())
                .isEqualTo("YAML metadata error in repo card");
        assertThat(json(broken).path("errors").get(0).path("line").asInt()).isEqualTo(2);
    }

    @Test
    void servesADirectory(@TempDir Path data) throws Exception {
        Path directory = Files.createDirectories(data.resolve("models/acme/served"));
        Files.writeString(directory.resolve("a.txt"), "a");
        Files.write(Files.createDirectories(directory.resolve("sub")).resolve("w.bin"), WEIGHTS);
        try (FakeHub served = FakeHubMain.started(0, List.of("--page-size", "2", "--resolve-style", "direct"))) {
            FakeHubMain.seed(served, data);
            assertThat(served.repo("acme/served").files("main"))
                    .containsExactly(".gitattributes", "a.txt", "sub/w.bin");
            HttpResponse<byte[]> file = new Asking(served.url(), "").get("/acme/served/resolve/main/a.txt");
            assertThat(text(file)).isEqualTo("a");
            assertThat(served.repo("acme/served").etag("main", "sub/w.bin")).isEqualTo(OID);
        }
    }

    @Test
    void repeatedRunsGiveTheSameIds() throws IOException {
        try (FakeHub other = FakeHub.start()) {
            String first =
                    hub.repo("alice/m").commit("main", "seed", Map.of("a", "a")).head("main");
            assertThat(other.repo("alice/m")
                            .commit("main", "seed", Map.of("a", "a"))
                            .head("main"))
                    .isEqualTo(first);
        }
    }
}
