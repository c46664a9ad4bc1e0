package io.gptq4j.it;

import static io.gptq4j.it.HubBench.files;
import static io.gptq4j.it.HubBench.random;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.FakeRepo;
import io.gptq4j.it.hub.Fault;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Repositories and uploads; docs/hub-conformance.md lists the cases by number. */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class ConformanceUploadIT extends HubBenchFixture {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String LFS = "application/vnd.git-lfs+json";
    private static final String README = "---\nlicense: apache-2.0\n---\n# Tiny\n";
    private static final byte[] BASIC = random(11, 1_500_000);
    private static final byte[] PARTS = random(12, 3_500_001);

    @Override
    FakeHub.Builder settings() {
        return FakeHub.inParts();
    }

    private void folder() throws Exception {
        HubBench.write(
                directory.resolve("up"),
                Map.of(
                        "README.md", README,
                        "config.json", "{\"a\": 1}",
                        "empty.bin", "",
                        "small.safetensors", BASIC,
                        "large.safetensors", PARTS,
                        "sub/a.txt", "a\n",
                        ".git/HEAD", "x",
                        ".cache/huggingface/note", "x"));
    }

    private Cli.Result upload(String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("upload", "alice/m"));
        arguments.addAll(List.of(more));
        return bench.alice().run(arguments.toArray(String[]::new));
    }

    private void assertUploaded(Cli.Result result) {
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.out()).isEqualTo(bench.hub().url() + "/alice/m/commit/" + repo().head("main") + "\n");
    }

    private FakeRepo repo() {
        return bench.hub().repo("alice/m");
    }

    private static String sha256(byte[] content) throws Exception {
        return HubBench.hex(MessageDigest.getInstance("SHA-256").digest(content));
    }

    private static JsonNode json(Exchange exchange) throws Exception {
        return JSON.readTree(Objects.requireNonNull(exchange.bodyText()));
    }

    private List<String> parts() {
        return bench.hub().requests("PUT", "/_s3/").stream()
                .filter(put -> put.query().contains("partNumber="))
                .map(put -> put.query().replaceAll("partNumber=(\\d+).*", "$1") + ":" + put.status())
                .toList();
    }

    @Test // 42
    void aRepositoryIsMadeOnce() throws Exception {
        Cli.Result first = bench.alice().run("repo", "create", "alice/new", "--private");
        assertThat(first.exitCode()).as(first.err()).isZero();
        assertThat(first.out())
                .contains("repo_id: alice/new", "url: " + bench.hub().url() + "/alice/new");
        assertThat(json(bench.only("POST", "/api/repos/create")))
                .isEqualTo(
                        JSON.readTree("{\"name\": \"new\", \"organization\": \"alice\", \"visibility\": \"private\"}"));
        assertThat(bench.hub().repo("alice/new").isPrivate()).isTrue();
        Cli.Result again = bench.alice().run("repo", "create", "alice/new");
        assertThat(again.exitCode()).isEqualTo(1);
        assertThat(again.out()).isEmpty();
        assertThat(again.err()).startsWith("error: ").contains("alice/new", "already", "HTTP 409");
        Cli.Result existOk = bench.alice().run("repo", "create", "alice/new", "--exist-ok");
        assertThat(existOk.exitCode()).as(existOk.err()).isZero();
        assertThat(existOk.out()).isEqualTo(first.out());
        assertThat(bench.hub().requests("POST", "/api/repos/create"))
                .extracting(Exchange::status)
                .containsExactly(200, 409, 409);
    }

    @Test // 43
    void aFolderGoesUpInOneCommit() throws Exception {
        folder();
        assertUploaded(upload("up", "--commit-message", "all of it"));
        assertThat(bench.asked())
                .startsWith(
                        "POST /api/validate-yaml 200",
                        "POST /api/repos/create 200",
                        "POST /api/models/alice/m/preupload/main 200",
                        "POST /alice/m.git/info/lfs/objects/batch 200")
                .endsWith("GET /api/models/alice/m/revision/main 200", "POST /api/models/alice/m/commit/main 200")
                .hasSize(14);
        assertThat(json(bench.only("POST", "/api/validate-yaml")))
                .isEqualTo(JSON.createObjectNode().put("content", README).put("repoType", "model"));
        assertPreupload(json(bench.only("POST", "/preupload/")));
        assertBatch(bench.only("POST", "/objects/batch"));
        assertStored();
        assertCommitted(bench.only("POST", "/commit/main"));
        assertThat(repo().commits("main"))
                .extracting(FakeRepo.CommitInfo::title)
                .containsExactly("all of it", "initial commit");
        assertThat(repo().files("main"))
                .containsExactly(
                        ".gitattributes",
                        "README.md",
                        "config.json",
                        "empty.bin",
                        "large.safetensors",
                        "small.safetensors",
                        "sub/a.txt");
        assertThat(repo().content("main", "large.safetensors")).isEqualTo(PARTS);
        assertThat(repo().isLfs("main", "empty.bin")).isFalse();
        assertThat(files(bench.home())).isEmpty(); // no record of an upload that is done
    }

    private static void assertPreupload(JsonNode body) {
        assertThat(body.path("files"))
                .extracting(file -> file.path("path").asText())
                .containsExactly(
                        "README.md", "config.json", "empty.bin", "large.safetensors", "small.safetensors", "sub/a.txt");
        for (JsonNode file : body.path("files")) {
            byte[] sample = Base64.getDecoder().decode(file.path("sample").asText());
            assertThat((long) sample.length)
                    .isEqualTo(Math.min(512, file.path("size").asLong()));
        }
        assertThat(Base64.getDecoder()
                        .decode(body.path("files").path(3).path("sample").asText()))
                .isEqualTo(Arrays.copyOf(PARTS, 512));
    }

    private static void assertBatch(Exchange batch) throws Exception {
        assertThat(batch.header("Content-Type")).isEqualTo(LFS);
        assertThat(batch.header("Accept")).isEqualTo(LFS);
        assertThat(batch.header("Authorization")).isNotNull();
        JsonNode body = json(batch);
        assertThat(body.path("operation").asText()).isEqualTo("upload");
        assertThat(body.path("transfers")).extracting(JsonNode::asText).containsExactly("basic", "multipart");
        assertThat(body.path("hash_algo").asText()).isEqualTo("sha256");
        assertThat(body.path("ref").path("name").asText()).isEqualTo("main");
        assertThat(body.path("objects"))
                .containsExactlyInAnyOrder(
                        JSON.createObjectNode().put("oid", sha256(BASIC)).put("size", BASIC.length),
                        JSON.createObjectNode().put("oid", sha256(PARTS)).put("size", PARTS.length));
    }

    private void assertStored() throws Exception {
        List<Exchange> puts = bench.hub().requests("PUT", "/_s3/");
        assertThat(puts).hasSize(5).allSatisfy(put -> {
            assertThat(put.header("Authorization")).isNull();
            assertThat(put.header("Transfer-Encoding")).isNull();
            assertThat(put.header("Content-Length")).isEqualTo(String.valueOf(put.bodySize()));
        });
        assertThat(puts).extracting(Exchange::bodySha256).contains(sha256(BASIC));
        assertThat(parts()).containsExactly("1:200", "2:200", "3:200", "4:200");
        Exchange completion = bench.only("POST", "/info/lfs/complete/");
        assertThat(completion.header("Authorization")).isNull();
        assertThat(completion.header("Content-Type")).isEqualTo(LFS);
        JsonNode body = json(completion);
        assertThat(body.path("oid").asText()).isEqualTo(sha256(PARTS));
        assertThat(body.path("parts"))
                .extracting(part -> part.path("partNumber").asInt())
                .containsExactly(1, 2, 3, 4);
        assertThat(body.path("parts"))
                .allSatisfy(part -> assertThat(part.path("etag").asText()).matches("\"[0-9a-f]{32}\""));
        assertThat(bench.hub().requests("POST", "/info/lfs/verify"))
                .hasSize(2)
                .allSatisfy(verify ->
                        assertThat(verify.header("Authorization")).isEqualTo("Bearer " + FakeHub.WRITE_TOKEN));
    }

    private void assertCommitted(Exchange commit) throws Exception {
        assertThat(commit.header("Content-Type")).isEqualTo("application/x-ndjson");
        List<String> lines = Objects.requireNonNull(commit.bodyText()).lines().toList();
        assertThat(lines).hasSize(7);
        assertThat(commit.bodyText()).endsWith("}\n");
        String before = repo().commits("main").get(1).id();
        assertThat(JSON.readTree(lines.get(0)))
                .isEqualTo(JSON.readTree(
                        "{\"key\": \"header\", \"value\": {\"summary\": \"all of it\", \"description\": \"\","
                                + " \"parentCommit\": \"" + before + "\"}}"));
        List<JsonNode> rest = new ArrayList<>();
        for (String line : lines.subList(1, 7)) {
            rest.add(JSON.readTree(line));
        }
        assertThat(rest)
                .contains(
                        file("empty.bin", ""),
                        file("README.md", README),
                        lfsFile("small.safetensors", BASIC),
                        lfsFile("large.safetensors", PARTS));
    }

    private static JsonNode file(String path, String content) {
        return line(
                "file",
                Map.of(
                        "path",
                        path,
                        "encoding",
                        "base64",
                        "content",
                        Base64.getEncoder().encodeToString(content.getBytes(StandardCharsets.UTF_8))));
    }

    private static JsonNode lfsFile(String path, byte[] content) throws Exception {
        return line("lfsFile", Map.of("path", path, "algo", "sha256", "oid", sha256(content), "size", content.length));
    }

    private static JsonNode line(String key, Map<String, Object> value) {
        return JSON.valueToTree(Map.of("key", key, "value", value));
    }

    @Test // 44
    void whatIsThereAlreadyIsNotSentAgain() throws Exception {
        folder();
        assertUploaded(upload("up"));
        bench.hub().clearLog();
        Cli.Result again = upload("up");
        assertUploaded(again);
        assertThat(again.err()).contains("Nothing has changed");
        assertThat(bench.hub().requests("PUT", "")).isEmpty();
        assertThat(bench.hub().requests("POST", "/commit/")).isEmpty();
        assertThat(repo().commits("main")).hasSize(2);
    }

    /** A step fails; given are its method and route, and how often it is then seen. */
    @ParameterizedTest(name = "{0}") // 45
    @CsvSource({
        "part, PUT, /_s3/, partNumber=2, 500, 1",
        "part that is cut off, PUT, /_s3/, partNumber=2, 0, 1",
        "completion, POST, /info/lfs/complete/, '', 504, 1",
        "verification, POST, /info/lfs/verify, '', 500, 1",
        "preupload, POST, /preupload/, '', 503, 2",
        "batch, POST, /objects/batch, '', 429, 1"
    })
    void aStepOfAnUploadThatFailsIsDoneAgainAndNoOther(
            String name, String method, String path, String query, int status, int times) throws Exception {
        HubBench.write(directory.resolve("up"), Map.of("large.safetensors", PARTS));
        Fault fault = Fault.on(method, path).query(query).times(times);
        bench.hub().fault(status == 0 ? fault.refuse() : fault.status(status));
        Cli.Result result = upload("up");
        assertThat(result.exitCode()).as(name + ": " + result.err()).isZero();
        assertThat(bench.hub().pendingFaults()).isEmpty();
        List<String> asked = bench.asked().stream()
                .map(line -> line.replaceFirst("(/_s3/|complete/)[0-9a-f]+", "$1{upload}"))
                .toList();
        List<String> expected = new ArrayList<>(List.of(
                "POST /api/repos/create 200",
                "POST /api/models/alice/m/preupload/main 200",
                "POST /alice/m.git/info/lfs/objects/batch 200",
                "PUT /_s3/{upload}/1 200",
                "PUT /_s3/{upload}/2 200",
                "PUT /_s3/{upload}/3 200",
                "PUT /_s3/{upload}/4 200",
                "POST /alice/m.git/info/lfs/complete/{upload} 200",
                "POST /alice/m.git/info/lfs/verify 200",
                "GET /api/models/alice/m/revision/main 200",
                "POST /api/models/alice/m/commit/main 200"));
        String failing = path.equals("/_s3/") ? "/_s3/{upload}/2" : path;
        int at = 0;
        while (!expected.get(at).contains(failing)) {
            at++;
        }
        for (int i = 0; i < times; i++) {
            expected.add(at, expected.get(at + i).replaceFirst("200$", String.valueOf(status)));
        }
        assertThat(asked).containsExactlyElementsOf(expected);
        assertThat(repo().content("main", "large.safetensors")).isEqualTo(PARTS);
        assertThat(repo().commits("main")).hasSize(2);
    }

    @Test // 48
    void aCommitOnTopOfWhatIsNoMoreTheHeadIsRefused() throws Exception {
        FakeRepo repo = repo();
        String old = repo.head("main");
        repo.commit("main", "in between", Map.of("x.txt", "x"));
        HubBench.write(directory.resolve("up"), Map.of("a.txt", "a"));
        Cli.Result result = upload("up", "--parent-commit", old);
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .startsWith("error: ")
                .contains("The branch was updated since you opened this page", "HTTP 412");
        assertThat(bench.only("POST", "/commit/").bodyText()).contains("\"parentCommit\":\"" + old + "\"");
        assertThat(repo.commits("main")).hasSize(2);
        Cli.Result onHead = upload("up", "--parent-commit", repo.head("main"));
        assertUploaded(onHead);
    }

    @Test // 49
    void aReaderMayOpenAPullRequestAndNoMore() throws Exception {
        String head = repo().head("main");
        HubBench.write(directory.resolve("up"), Map.of("large.safetensors", PARTS));
        Cli.Result refused = bench.bob().run("upload", "alice/m", "up");
        assertThat(refused.exitCode()).isEqualTo(1);
        assertThat(refused.err()).startsWith("error: ").contains("HTTP 403");
        bench.hub().clearLog();
        Cli.Result opened = bench.bob().run("upload", "alice/m", "up", "--create-pr");
        assertThat(opened.exitCode()).as(opened.err()).isZero();
        assertThat(opened.out()).isEqualTo(repo().url() + "/discussions/1\n");
        assertThat(bench.only("POST", "/preupload/").query()).isEqualTo("create_pr=1");
        assertThat(bench.only("POST", "/commit/").query()).isEqualTo("create_pr=1");
        assertThat(json(bench.only("POST", "/objects/batch")).has("ref")).isFalse();
        assertThat(repo().head("main")).isEqualTo(head);
        assertThat(repo().content("refs/pr/1", "large.safetensors")).isEqualTo(PARTS);
    }

    @Test // 50
    void aReadmeThatTheHubRefusesStopsAnUploadAtOnce() throws Exception {
        folder();
        Files.writeString(directory.resolve("up/README.md"), "---\nlicense: [unclosed\n---\n");
        Cli.Result result = upload("up");
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.out()).isEmpty();
        assertThat(result.err()).startsWith("error: ").contains("front matter", "README.md");
        assertThat(bench.asked()).containsExactly("POST /api/validate-yaml 400");
        assertThat(bench.hub().hasRepo("model", "alice/m")).isFalse();
    }

    @Test // 52
    void aBranchThatIsMissingIsMadeFirst() throws Exception {
        repo();
        HubBench.write(directory.resolve("up"), Map.of("a.txt", "a"));
        Cli.Result result = upload("up", "--revision", "newbranch");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.out()).isEqualTo(repo().url() + "/commit/" + repo().head("newbranch") + "\n");
        assertThat(result.err()).contains("Branch 'newbranch' not found");
        assertThat(bench.asked())
                .containsExactly(
                        "POST /api/repos/create 409",
                        "GET /api/models/alice/m/revision/newbranch 404",
                        "POST /api/models/alice/m/branch/newbranch 200",
                        "POST /api/models/alice/m/preupload/newbranch 200",
                        "GET /api/models/alice/m/revision/newbranch 200",
                        "POST /api/models/alice/m/commit/newbranch 200");
        assertThat(repo().commits("main")).hasSize(1);
        assertThat(repo().text("newbranch", "a.txt")).isEqualTo("a");
    }
}
