package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What goes before a commit: front matter, preupload, and objects in one piece. */
class UploadTest {
    private static final String PREUPLOAD = "POST /api/models/acme/m/preupload/main";
    private static final String BATCH = "POST /acme/m.git/info/lfs/objects/batch";
    private static final String POST = "POST /api/models/acme/m/commit/main";
    private static final String HELLO_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    /** Of 1000 times x. */
    private static final String LARGE_SHA256 = "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f";

    private static final Pattern PATH = Pattern.compile("\"path\":\"([^\"]*)\"");
    private static final Pattern OID = Pattern.compile("\"oid\":\"([0-9a-f]{64})\",\"size\":(\\d+)");

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;
    private final Progress progress = new Progress();

    @BeforeEach
    void prepare() {
        desk = new Desk(home, hub.address()).token("hf_topsecret");
        hub.on(PREUPLOAD, request -> rulings(request, "lfs", ""));
        hub.on(BATCH, request -> objects(request, hub.address() + "/s3/"));
        hub.on(POST, json("{\"commitOid\":\"" + COMMIT + "\"}").build());
        for (String oid : List.of(HELLO_SHA256, LARGE_SHA256)) {
            hub.on("PUT /s3/" + oid, status(200).build());
        }
        hub.on("GET " + INFO, json("{\"sha\":\"" + COMMIT + "\"}").build());
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static String body(RecordedRequest request) {
        return request.getBody() == null ? "" : request.getBody().utf8();
    }

    private static MockResponse rulings(RecordedRequest request, String mode, String more) {
        List<String> files = new ArrayList<>();
        Matcher path = PATH.matcher(body(request));
        while (path.find()) {
            files.add("{\"path\":\"" + path.group(1) + "\",\"uploadMode\":\"" + mode + "\",\"shouldIgnore\":false"
                    + more + "}");
        }
        return json("{\"files\":[" + String.join(",", files) + "]}").build();
    }

    /** All objects are wanted, each in one piece; without an address, none is. */
    private static MockResponse objects(RecordedRequest request, String address) {
        List<String> objects = new ArrayList<>();
        Matcher object = OID.matcher(body(request));
        while (object.find()) {
            String actions = address.isEmpty()
                    ? ""
                    : ",\"actions\":{\"upload\":{\"href\":\"" + address + object.group(1) + "?Signature=1\"}}";
            objects.add("{\"oid\":\"" + object.group(1) + "\",\"size\":" + object.group(2) + actions + "}");
        }
        return json("{\"transfer\":\"basic\",\"objects\":[" + String.join(",", objects) + "]}")
                .build();
    }

    private CommitOperation add(String path, String content) throws IOException {
        Path file = home.resolve("up").resolve(path);
        Files.createDirectories(file.getParent());
        return new CommitOperation.Add(path, Files.writeString(file, content));
    }

    private CommitResult commit(CommitOperation... operations) throws IOException {
        return desk.client(HubClient.builder().listener(progress))
                .commit(CommitRequest.of(REPO, List.of(operations), "Upload"));
    }

    private List<RecordedRequest> to(String methodAndPath) {
        return hub.requests(methodAndPath.replaceFirst(" .*", "")).stream()
                .filter(request -> request.getTarget().startsWith(methodAndPath.replaceFirst(".* ", "")))
                .toList();
    }

    @Test
    void anObjectGoesToItsStoreInOnePieceAndIsNamedInTheCommit() throws IOException {
        assertThat(commit(add("m.bin", "hello")).commit()).isEqualTo(COMMIT);
        assertThat(hub.calls())
                .containsExactly(PREUPLOAD, BATCH, "PUT /s3/" + HELLO_SHA256 + "?Signature=1", "GET " + INFO, POST);
        assertThat(body(to(PREUPLOAD).get(0)))
                .isEqualTo("{\"files\":[{\"path\":\"m.bin\",\"sample\":\"aGVsbG8=\",\"size\":5}]}");
        RecordedRequest batch = to(BATCH).get(0);
        assertThat(body(batch))
                .isEqualTo("{\"operation\":\"upload\",\"transfers\":[\"basic\",\"multipart\"],\"objects\":[{\"oid\":\""
                        + HELLO_SHA256 + "\",\"size\":5}],\"hash_algo\":\"sha256\",\"ref\":{\"name\":\"main\"}}");
        assertThat(batch.getHeaders().get("Accept")).isEqualTo("application/vnd.git-lfs+json");
        assertThat(batch.getHeaders().get("Content-Type")).isEqualTo("application/vnd.git-lfs+json");
        assertThat(batch.getHeaders().get("Authorization")).isEqualTo("Bearer hf_topsecret");
        RecordedRequest put = to("PUT /s3").get(0);
        assertThat(body(put)).isEqualTo("hello");
        assertThat(put.getHeaders().get("Content-Length")).isEqualTo("5");
        assertThat(put.getHeaders().get("Content-Type")).isNull();
        assertThat(put.getHeaders().get("Transfer-Encoding")).isNull();
        assertThat(put.getHeaders().get("Authorization")).isNull();
        assertThat(body(to(POST).get(0)))
                .endsWith("{\"key\":\"lfsFile\",\"value\":{\"path\":\"m.bin\",\"algo\":\"sha256\",\"oid\":\""
                        + HELLO_SHA256 + "\",\"size\":5}}\n");
        assertThat(progress.bytes()).containsEntry("m.bin", 5L);
        assertThat(progress.finished()).containsExactly("m.bin");
    }

    @Test
    void theBranchIsNamedInTheBatchButNotForAPullRequest() throws IOException {
        hub.on("POST /api/models/acme/m/preupload/refs%2Fpr%2F1", request -> rulings(request, "lfs", ""));
        hub.on(
                "POST /api/models/acme/m/commit/refs%2Fpr%2F1",
                json("{\"commitOid\":\"" + COMMIT + "\"}").build());
        hub.on(
                "GET /api/models/acme/m/revision/refs%2Fpr%2F1",
                json("{\"sha\":\"" + COMMIT + "\"}").build());
        CommitRequest request = CommitRequest.of(REPO, List.of(add("m.bin", "hello")), "Upload");
        desk.client().commit(request.to(new Revision("refs/pr/1")));
        desk.client().commit(request.asPullRequest(true));
        assertThat(body(to(BATCH).get(0))).endsWith(",\"ref\":{\"name\":\"refs/pr/1\"}}");
        assertThat(body(to(BATCH).get(1))).endsWith("\"hash_algo\":\"sha256\"}");
    }

    @Test
    void whatTheBatchSaysAboutHeadersAndVerificationIsDone() throws IOException {
        hub.on(
                BATCH,
                json("{\"objects\":[{\"oid\":\"" + HELLO_SHA256 + "\",\"size\":5,\"actions\":{\"upload\":{\"href\":\""
                                + hub.address() + "/s3/" + HELLO_SHA256 + "\",\"header\":{\"x-amz-meta\":\"1\"}},"
                                + "\"verify\":{\"href\":\"https://huggingface.co/acme/m.git/info/lfs/verify\","
                                + "\"header\":{\"x-verify\":\"2\"}}}}]}")
                        .build());
        hub.on(
                "POST /acme/m.git/info/lfs/verify",
                status(500).build(),
                status(200).build());
        commit(add("m.bin", "hello"));
        assertThat(to("PUT /s3").get(0).getHeaders().get("x-amz-meta")).isEqualTo("1");
        assertThat(to("PUT /s3")).hasSize(1);
        List<RecordedRequest> verify = to("POST /acme/m.git/info/lfs/verify");
        assertThat(verify).hasSize(2);
        assertThat(body(verify.get(1))).isEqualTo("{\"oid\":\"" + HELLO_SHA256 + "\",\"size\":5}");
        assertThat(verify.get(1).getHeaders().get("x-verify")).isEqualTo("2");
        assertThat(verify.get(1).getHeaders().get("Authorization")).isEqualTo("Bearer hf_topsecret");
    }

    @Test
    void aPutThatFailsIsRepeatedAndItsBytesCountOnce() throws IOException {
        hub.on(
                "PUT /s3/" + HELLO_SHA256,
                status(500).build(),
                status(503).build(),
                status(200).build());
        commit(add("m.bin", "hello"));
        assertThat(to("PUT /s3"))
                .hasSize(3)
                .allSatisfy(put -> assertThat(body(put)).isEqualTo("hello"));
        assertThat(progress.bytes()).containsEntry("m.bin", 5L);
    }

    @Test
    void aSignatureThatHasExpiredIsRenewed() throws IOException {
        hub.on("PUT /s3/" + HELLO_SHA256, status(403).build(), status(200).build());
        commit(add("m.bin", "hello"));
        assertThat(to(BATCH)).hasSize(2);
        assertThat(progress.bytes()).containsEntry("m.bin", 5L);
    }

    @Test
    void aSignatureIsNotRenewedForEver() throws IOException {
        hub.on("PUT /s3/" + HELLO_SHA256, status(403).build());
        CommitOperation add = add("m.bin", "hello");
        assertThatThrownBy(() -> commit(add))
                .isInstanceOfSatisfying(
                        HubHttpException.class, e -> assertThat(e.status()).isEqualTo(403));
        assertThat(to(BATCH)).hasSize(4);
        assertThat(to(POST)).isEmpty();
        assertThat(progress.bytes()).containsEntry("m.bin", 0L);
    }

    @Test
    void anObjectThatIsThereIsNotSentAndCountsAsDone() throws IOException {
        hub.on(BATCH, request -> objects(request, ""));
        commit(add("m.bin", "hello"));
        assertThat(to("PUT /")).isEmpty();
        assertThat(to(POST)).hasSize(1);
        assertThat(progress.bytes()).containsEntry("m.bin", 5L);
        assertThat(progress.finished()).containsExactly("m.bin");
    }

    @Test
    void oneContentUnderTwoNamesGoesOnceAndCountsTwice() throws IOException {
        commit(add("a.bin", "hello"), add("b/c.bin", "hello"));
        assertThat(to("PUT /s3")).hasSize(1);
        assertThat(body(to(POST).get(0))).contains("\"path\":\"a.bin\"").contains("\"path\":\"b/c.bin\"");
        assertThat(progress.plannedFiles()).isEqualTo(2);
        assertThat(progress.bytes()).containsEntry("a.bin", 5L).containsEntry("b/c.bin", 5L);
        assertThat(progress.finished()).containsExactlyInAnyOrder("a.bin", "b/c.bin");
    }

    @Test
    void anObjectThatTheHubRefusesIsNamed() throws IOException {
        hub.on(
                BATCH,
                json("{\"objects\":[{\"oid\":\"" + HELLO_SHA256
                                + "\",\"error\":{\"code\":422,\"message\":\"too large\"}}]}")
                        .build());
        CommitOperation add = add("m.bin", "hello");
        assertThatThrownBy(() -> commit(add))
                .isInstanceOf(HubHttpException.class)
                .hasMessageContaining("too large (LFS error 422)");
        assertThat(to(POST)).isEmpty();
    }

    @Test
    void anObjectThatTheAnswerLeavesOutIsNotTakenAsThere() throws IOException {
        hub.on(BATCH, json("{\"objects\":[]}").build());
        CommitOperation add = add("m.bin", "hello");
        assertThatThrownBy(() -> commit(add)).isInstanceOf(HubException.class).hasMessageContaining("'m.bin'");
        assertThat(to(POST)).isEmpty();
    }

    @Test
    void manyFilesAreAskedAboutInGroupsOf256() throws IOException {
        hub.on(BATCH, request -> objects(request, ""));
        List<CommitOperation> adds = new ArrayList<>();
        for (int i : IntStream.range(0, 300).toArray()) {
            adds.add(add("f" + i, "content " + i));
        }
        commit(adds.toArray(CommitOperation[]::new));
        assertThat(to(PREUPLOAD))
                .map(UploadTest::body)
                .map(text -> PATH.matcher(text).results().count())
                .containsExactly(256L, 44L);
        assertThat(to(BATCH))
                .map(UploadTest::body)
                .map(text -> OID.matcher(text).results().count())
                .containsExactly(256L, 44L);
        assertThat(body(to(POST).get(0)).lines()).hasSize(301);
    }

    @Test
    void onlyABeginningIsShownAndAnEmptyFileIsNeverAnObject() throws IOException {
        commit(add("large.bin", "x".repeat(1000)), add("empty.bin", ""));
        String sample = Base64.getEncoder().encodeToString("x".repeat(512).getBytes(UTF_8));
        assertThat(body(to(PREUPLOAD).get(0)))
                .contains("\"sample\":\"" + sample + "\",\"size\":1000")
                .contains("\"path\":\"empty.bin\",\"sample\":\"\",\"size\":0");
        assertThat(OID.matcher(body(to(BATCH).get(0))).results()).hasSize(1);
        assertThat(body(to(POST).get(0)))
                .contains(
                        "{\"key\":\"file\",\"value\":{\"content\":\"\",\"path\":\"empty.bin\",\"encoding\":\"base64\"}}");
    }

    @Test
    void filesThatHaveNotChangedDropOutAndNothingLeftIsNoCommit() throws IOException {
        hub.on(PREUPLOAD, request -> rulings(request, "regular", ",\"oid\":\"" + HELLO_ID + "\""));
        CommitResult result = commit(add("a.txt", "hello"));
        assertThat(result).isEqualTo(new CommitResult(COMMIT, hub.address() + "/acme/m/commit/" + COMMIT, null, false));
        hub.on(PREUPLOAD, request -> rulings(request, "lfs", ",\"oid\":\"" + HELLO_SHA256 + "\""));
        assertThat(commit(add("a.txt", "hello")).changed()).isFalse();
        assertThat(to(POST)).isEmpty();
    }

    @Test
    void filesThatTheHubIgnoresAreLeftOut() throws IOException {
        hub.on(
                PREUPLOAD,
                json("{\"files\":[{\"path\":\"a.log\",\"uploadMode\":\"regular\",\"shouldIgnore\":true},"
                                + "{\"path\":\".gitignore\",\"uploadMode\":\"regular\",\"shouldIgnore\":false}]}")
                        .build());
        commit(add("a.log", "x"), add(".gitignore", "*.log\n"));
        assertThat(body(to(PREUPLOAD).get(0))).endsWith("],\"gitIgnore\":\"*.log\\n\"}");
        assertThat(body(to(POST).get(0))).contains(".gitignore").doesNotContain("a.log");
    }

    @Test
    void aFileThatTheHubSaysNothingAboutIsAnError() throws IOException {
        hub.on(PREUPLOAD, json("{\"files\":[]}").build());
        CommitOperation add = add("a.txt", "x");
        assertThatThrownBy(() -> commit(add)).hasMessageContaining("'a.txt': the Hub did not say where to");
    }

    @Test
    void brokenFrontMatterStopsEverything() throws IOException {
        hub.on(
                "POST /api/validate-yaml",
                status(400)
                        .body("{\"errors\":[{\"message\":\"\\\"license\\\" must be one of these\"}]}")
                        .build());
        CommitOperation readme = add("README.md", "---\nlicense: 1\n---\nText – über alles\n");
        CommitOperation other = add("m.bin", "hello");
        assertThatThrownBy(() -> commit(other, readme))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("\"license\" must be one of these")
                .hasMessageContaining(home.resolve("up").resolve("README.md").toString());
        assertThat(hub.calls()).containsExactly("POST /api/validate-yaml");
        assertThat(body(to("POST /api/validate-yaml").get(0)))
                .isEqualTo("{\"content\":\"---\\nlicense: 1\\n---\\nText – über alles\\n\",\"repoType\":\"model\"}");
    }

    @Test
    void aTokenThatIsRefusedIsNotTakenForBrokenFrontMatter() throws IOException {
        hub.on(
                "POST /api/validate-yaml",
                status(401)
                        .setHeader("X-Error-Message", "Invalid credentials in Authorization header")
                        .build());
        CommitOperation readme = add("README.md", "text");
        assertThatThrownBy(() -> commit(readme)).isInstanceOf(AuthenticationException.class);
    }

    @Test
    void aHubWithoutACheckOfFrontMatterIsNoObstacle() throws IOException {
        hub.on("POST /api/validate-yaml", status(404).build());
        hub.on(PREUPLOAD, request -> rulings(request, "regular", ""));
        commit(add("README.md", "text"));
        assertThat(to(POST)).hasSize(1);
    }

    @Test
    void onlyTheReadmeHasToBeUtf8() throws IOException {
        hub.on(
                "POST /api/validate-yaml",
                json("{\"errors\":[],\"warnings\":[{\"message\":\"no license\"}]}")
                        .build());
        hub.on(PREUPLOAD, request -> rulings(request, "regular", ""));
        Path ignore = Files.write(home.resolve(".gitignore"), new byte[] {'b', (byte) 0xe9});
        CapturedLog.clear();
        commit(add("README.md", "text"), new CommitOperation.Add(".gitignore", ignore));
        assertThat(to(POST)).hasSize(1);
        assertThat(CapturedLog.lines()).contains("WARN README.md: no license");

        Path readme = Files.write(home.resolve("README.md"), new byte[] {'a', (byte) 0xe9});
        assertThatThrownBy(() -> commit(new CommitOperation.Add("README.md", readme)))
                .isInstanceOf(HubException.class)
                .hasMessageContaining(readme + " is not UTF-8 text");
    }

    @Test
    void copiesOfObjectsAreOnlyStatedAndSmallFilesSentAgain() throws IOException {
        String other = "2222222222222222222222222222222222222222";
        hub.on(
                "GET /api/models/acme/m/revision/v1",
                json("{\"sha\":\"" + other + "\"}").build());
        hub.on(
                "POST /api/models/acme/m/paths-info/" + COMMIT,
                json("[{\"type\":\"file\",\"path\":\"m.bin\",\"size\":5,"
                                + "\"oid\":\"41be0a8b3f293fa3bbe29659ab8a5f733e79a287\",\"lfs\":{\"oid\":\""
                                + HELLO_SHA256
                                + "\",\"size\":5,\"pointerSize\":132}}]")
                        .build());
        hub.on(
                "POST /api/models/acme/m/paths-info/" + other,
                json("[{\"type\":\"file\",\"path\":\"a.txt\",\"size\":5," + "\"oid\":\"" + HELLO_ID + "\"}]")
                        .build());
        hub.on(
                "HEAD /acme/m/resolve/" + other + "/a.txt",
                status(200)
                        .setHeader("X-Repo-Commit", other)
                        .setHeader("ETag", '"' + HELLO_ID + '"')
                        .setHeader("Content-Length", 5)
                        .build());
        hub.on(
                "GET /acme/m/resolve/" + other + "/a.txt",
                status(200).body("hello").build());
        commit(
                new CommitOperation.Copy("m.bin", null, "copy.bin"),
                new CommitOperation.Copy("a.txt", new Revision("v1"), "old.txt"));
        assertThat(body(to(POST).get(0)).lines().skip(1).collect(Collectors.toList()))
                .containsExactlyInAnyOrder(
                        "{\"key\":\"file\",\"value\":{\"content\":\"aGVsbG8=\",\"path\":\"old.txt\","
                                + "\"encoding\":\"base64\"}}",
                        "{\"key\":\"lfsFile\",\"value\":{\"path\":\"copy.bin\",\"algo\":\"sha256\",\"oid\":\""
                                + HELLO_SHA256 + "\"}}");
        assertThatThrownBy(() -> commit(new CommitOperation.Copy("nope", null, "x")))
                .isInstanceOf(EntryNotFoundException.class)
                .hasMessageContaining("Cannot copy 'nope' of model 'acme/m' at revision 'main'");
    }

    @Test
    void whatIsStagedIsUploadedOnceAndNamedByTheCommit() throws IOException {
        HubClient client = desk.client();
        CommitRequest request = CommitRequest.of(REPO, List.of(add("m.bin", "x".repeat(1000))), "it");
        CommitRequest staged = client.stage(request);
        assertThat(staged)
                .isEqualTo(request.changing(List.of(new CommitOperation.Staged("m.bin", LARGE_SHA256, 1000))));
        assertThat(hub.calls()).containsExactly(PREUPLOAD, BATCH, "PUT /s3/" + LARGE_SHA256 + "?Signature=1");

        Files.delete(home.resolve("up/m.bin"));
        hub.on("POST /api/models/acme/m/paths-info/main", json("[]").build());
        assertThat(client.commit(staged).changed()).isTrue();
        assertThat(hub.calls().subList(3, hub.calls().size()))
                .containsExactly("POST /api/models/acme/m/paths-info/main", "GET " + INFO, POST);
        List<RecordedRequest> posts = hub.requests("POST");
        assertThat(body(posts.get(posts.size() - 1)))
                .contains("{\"key\":\"lfsFile\",\"value\":{\"path\":\"m.bin\",\"algo\":\"sha256\",\"oid\":\""
                        + LARGE_SHA256 + "\",\"size\":1000}}");
    }

    @Test
    void nothingThatIsAtItsPathAlreadyIsStagedOrNamed() throws IOException {
        hub.on(PREUPLOAD, request -> rulings(request, "lfs", ",\"oid\":\"" + LARGE_SHA256 + "\""));
        hub.on(
                "POST /api/models/acme/m/paths-info/main",
                json("[{\"type\":\"file\",\"path\":\"m.bin\",\"size\":1000,\"oid\":\"" + HELLO_ID
                                + "\",\"lfs\":{\"oid\":\"" + LARGE_SHA256 + "\",\"size\":1000,\"pointerSize\":130}}]")
                        .build());
        HubClient client = desk.client();
        CommitRequest staged = client.stage(CommitRequest.of(REPO, List.of(add("m.bin", "x".repeat(1000))), "it"));
        assertThat(client.commit(staged).changed()).isFalse();
        assertThat(hub.calls()).containsExactly(PREUPLOAD, "POST /api/models/acme/m/paths-info/main", "GET " + INFO);
    }

    @Test
    void aFileThatTravelsWithTheCommitOrIsIgnoredIsNotStaged() throws IOException {
        CommitRequest request =
                CommitRequest.of(REPO, List.of(add("a.txt", "hello"), CommitOperation.Delete.of("b.txt")), "it");
        hub.on(PREUPLOAD, asked -> rulings(asked, "regular", ""));
        assertThat(desk.client().stage(request)).isEqualTo(request);
        hub.on(
                PREUPLOAD,
                asked -> json("{\"files\":[{\"path\":\"a.txt\",\"uploadMode\":\"lfs\",\"shouldIgnore\":true}]}")
                        .build());
        assertThat(desk.client().stage(request)).isEqualTo(request);
        assertThat(hub.calls()).containsExactly(PREUPLOAD, PREUPLOAD);
    }

    @Test
    void aStagedFileHasAHashAndASize() {
        assertThatThrownBy(() -> new CommitOperation.Staged("m.bin", "abc", 3))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("'m.bin' cannot have the sha256 'abc' and 3 bytes");
    }
}
