package io.gptq4j.it;

import static io.gptq4j.it.HubBench.CONFIG;
import static io.gptq4j.it.HubBench.EMPTY_BLOB;
import static io.gptq4j.it.HubBench.ONE;
import static io.gptq4j.it.HubBench.TWO;
import static io.gptq4j.it.HubBench.files;
import static io.gptq4j.it.HubBench.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Downloads when all goes well, and what is refused; docs/hub-conformance.md lists the cases by number. */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class ConformanceDownloadIT extends HubBenchFixture {
    private static final String HEAD_CONFIG = "HEAD /acme/tiny-llama/resolve/main/config.json ";
    private static final String CACHED_CONFIG = " /api/resolve-cache/models/acme/tiny-llama/{commit}/config.json 200";

    private void assertDownloaded(Cli.Result result, String path) {
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.out()).isEqualTo(bench.pointer(path) + "\n");
        assertThat(bench.pointer(path)).hasBinaryContent(bench.llama().content("main", path));
    }

    private void assertRefused(Cli.Result result, String... words) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(1);
        assertThat(result.out()).isEmpty();
        assertThat(result.err()).startsWith("error: ").contains(words).hasLineCount(1);
        assertThat(bench.cached().resolve("snapshots")).doesNotExist();
    }

    @Test // 1
    void aSmallFileIsFoundThroughARelativeRedirectAndCachedUnderItsGitId() throws Exception {
        assertDownloaded(bench.download("config.json"), "config.json");
        assertThat(bench.asked()).containsExactly(HEAD_CONFIG + "307", "HEAD" + CACHED_CONFIG, "GET" + CACHED_CONFIG);
        assertThat(bench.hub().log())
                .extracting(asked -> asked.header("Accept-Encoding"))
                .containsOnly("identity");
        String blob = bench.llama().etag("main", "config.json");
        assertThat(blob).hasSize(40);
        assertThat(files(bench.home().resolve("hub")))
                .containsExactly(
                        "CACHEDIR.TAG",
                        "models--acme--tiny-llama/blobs/" + blob,
                        "models--acme--tiny-llama/refs/main",
                        "models--acme--tiny-llama/snapshots/" + bench.commit() + "/config.json -> ../../blobs/" + blob);
        assertThat(bench.cached().resolve("refs/main")).content().isEqualTo(bench.commit());
        assertThat(bench.home().resolve("hub/CACHEDIR.TAG"))
                .content()
                .startsWith("Signature: 8a477f597d28d172789f06886806bc55\n");
    }

    @Test // 2
    void aSmallFileMayAlsoBeAnsweredAtOnce() throws Exception {
        serve(FakeHub.builder().resolveStyle(FakeHub.ResolveStyle.DIRECT));
        assertDownloaded(bench.download("config.json"), "config.json");
        assertThat(bench.asked())
                .containsExactly(HEAD_CONFIG + "200", "GET /acme/tiny-llama/resolve/{commit}/config.json 200");
        assertThat(files(bench.cached()))
                .contains("snapshots/" + bench.commit() + "/config.json -> ../../blobs/"
                        + bench.llama().etag("main", "config.json"));
    }

    @Test // 3
    void theStoreOfALargeFileGetsNoToken() throws Exception {
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(bench.asked())
                .containsExactly("HEAD /acme/tiny-llama/resolve/main/" + ONE + " 302", "GET /_cdn/{" + ONE + "} 200");
        assertThat(bench.only("HEAD", "/resolve/").header("Authorization")).isEqualTo("Bearer " + FakeHub.WRITE_TOKEN);
        Exchange get = bench.only("GET", "/_cdn/");
        assertThat(get.listener()).isEqualTo("cdn");
        assertThat(get.header("Authorization")).isNull();
        String sha256 = bench.llama().etag("main", ONE);
        assertThat(sha256).hasSize(64);
        assertThat(bench.cached().resolve("blobs").resolve(sha256)).isRegularFile();
    }

    @Test // 4
    void aStoreBehindTheNameOfTheHubGetsNoTokenEither() throws Exception {
        serve(FakeHub.builder().cdnSameHost(true));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(bench.asked())
                .containsExactly("HEAD /acme/tiny-llama/resolve/main/" + ONE + " 302", "GET /_cdn/{" + ONE + "} 200");
        assertThat(bench.only("GET", "/_cdn/").header("Authorization")).isNull();
    }

    @Test // 5
    void aCachedFileOfABranchCostsNoGet() throws Exception {
        assertDownloaded(bench.download(ONE), ONE);
        assertDownloaded(bench.download("config.json"), "config.json");
        bench.hub().clearLog();
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(bench.asked()).containsExactly("HEAD /acme/tiny-llama/resolve/main/" + ONE + " 302");
        bench.hub().clearLog();
        assertDownloaded(bench.download("config.json"), "config.json");
        assertThat(bench.asked()).containsExactly(HEAD_CONFIG + "307", "HEAD" + CACHED_CONFIG);
    }

    @Test // 6
    void aCachedFileOfACommitCostsNoRequest() throws Exception {
        assertDownloaded(bench.download("config.json"), "config.json");
        bench.hub().clearLog();
        assertDownloaded(bench.download("config.json", "--revision", bench.commit()), "config.json");
        assertThat(bench.asked()).isEmpty();
    }

    @Test // 7
    void aFileInAFolderLinksOneLevelFurtherUp() throws Exception {
        assertDownloaded(bench.download("sub/notes.txt"), "sub/notes.txt");
        assertThat(Files.readSymbolicLink(bench.pointer("sub/notes.txt")))
                .isEqualTo(Path.of("../../../blobs/" + bench.llama().etag("main", "sub/notes.txt")));
    }

    @Test // 8
    void anEmptyFileIsMadeAndNotFetched() throws Exception {
        assertDownloaded(bench.download("empty.txt"), "empty.txt");
        assertThat(bench.hub().requests("GET", "")).isEmpty();
        assertThat(bench.cached().resolve("blobs").resolve(EMPTY_BLOB)).isEmptyFile();
    }

    @Test // 9
    void aMissingFileIsNamedAndRemembered() throws Exception {
        Cli.Result result = bench.download("nope.json");
        assertRefused(
                result, "nope.json", bench.hub().url() + "/acme/tiny-llama/resolve/main/nope.json", "no such file");
        assertThat(files(bench.cached())).containsExactly(".no_exist/" + bench.commit() + "/nope.json", "refs/main");
        assertThat(bench.cached().resolve(".no_exist").resolve(bench.commit()).resolve("nope.json"))
                .isEmptyFile();
        assertThat(bench.cached().resolve("refs/main")).content().isEqualTo(bench.commit());
    }

    @Test // 10
    void aMissingRevisionLeavesNothing() throws Exception {
        assertRefused(bench.download("config.json", "--revision", "nobranch"), "nobranch", "no such revision");
        assertThat(files(bench.cached())).isEmpty();
    }

    @Test // 11
    void withoutATokenAMissingRepositoryMayBePrivate() throws Exception {
        Cli.Result result = bench.anonymous().run("download", "acme/nothing", "config.json");
        assertRefused(result, "acme/nothing", "not found", "private", "no token was sent", "HF_TOKEN");
    }

    @Test // 12
    void withATokenAMissingRepositoryIsMissing() throws Exception {
        Cli.Result result = bench.bob().run("download", "acme/nothing", "config.json");
        assertRefused(result, "acme/nothing", "not found", "the environment variable HF_TOKEN");
        assertThat(bench.only("HEAD", "acme/nothing").status()).isEqualTo(404);
    }

    @Test // 13
    void aGatedRepositorySaysWhetherATokenOrAPermissionIsMissing() throws Exception {
        Cli.Result anonymous = bench.anonymous().run("download", "acme/gated-llama", "config.json");
        assertRefused(anonymous, "restricted", "no token was sent", "HTTP 401");
        Cli.Result bob = bench.bob().run("download", "acme/gated-llama", "config.json");
        assertRefused(bob, "restricted", "has not been granted", "HTTP 403");
        bench.hub().repo("acme/gated-llama").authorise("bob");
        Cli.Result authorised = bench.bob().run("download", "acme/gated-llama", "config.json");
        assertThat(authorised.exitCode()).as(authorised.err()).isZero();
        assertThat(text(Path.of(authorised.out().strip()))).isEqualTo("{}");
    }

    @Test // 14
    void aTokenThatTheHubDoesNotKnowIsNamedByItsSource() throws Exception {
        Cli.Result result =
                bench.anonymous().with("HF_TOKEN", "hf_garbage").run("download", "acme/tiny-llama", "config.json");
        assertRefused(result, "does not accept the token", "the environment variable HF_TOKEN", "Invalid credentials");
        assertThat(result.err()).doesNotContain("hf_garbage");
    }

    @Test // 15
    void aDisabledRepositoryIsCalledSo() throws Exception {
        bench.llama().disable();
        assertRefused(bench.download("config.json"), "disabled", "Access to this resource is disabled.");
    }

    @Test // 35
    void offlineACompleteSnapshotIsGivenAndAnIncompleteOneIsNot() throws Exception {
        assertThat(bench.download("-q").exitCode()).isZero();
        bench.hub().clearLog();
        Cli offline = bench.alice().with("HF_HUB_OFFLINE", "1");
        Cli.Result complete = offline.run("download", "acme/tiny-llama");
        assertThat(complete.exitCode()).as(complete.err()).isZero();
        assertThat(complete.out()).isEqualTo(bench.pointer("") + "\n");
        assertThat(complete.err()).isEmpty();

        Files.delete(bench.pointer("sub/notes.txt"));
        Cli.Result incomplete = offline.run("download", "acme/tiny-llama");
        assertThat(incomplete.exitCode()).isEqualTo(1);
        assertThat(incomplete.err()).contains("sub/notes.txt");
        Cli.Result partly = offline.run("download", "acme/tiny-llama", "--include", "*.json");
        assertThat(partly.exitCode()).as(partly.err()).isZero();
        Cli.Result unknown = offline.run("download", "acme/many");
        assertThat(unknown.exitCode()).isEqualTo(1);
        assertThat(unknown.err()).contains("acme/many", "HF_HUB_OFFLINE");
        assertThat(bench.asked()).isEmpty();
    }

    @Test // 36
    void aSnapshotFollowsThePagesOfTheListing() throws Exception {
        serve(FakeHub.builder().pageSize(5));
        Cli.Result result = bench.download();
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.out()).isEqualTo(bench.pointer("") + "\n");
        assertThat(bench.hub().requests("GET", "/tree/")).hasSize(2);
        List<String> paths = bench.llama().files("main");
        assertThat(paths).hasSize(8);
        for (String path : paths) {
            assertThat(bench.pointer(path)).hasBinaryContent(bench.llama().content("main", path));
        }
        JsonNode tree =
                new ObjectMapper().readTree(text(bench.cached().resolve("trees").resolve(bench.commit() + ".json")));
        assertThat(tree.path("format_version").asInt()).isEqualTo(1);
        assertThat(tree.path("files").propertyStream().map(Map.Entry::getKey)).containsExactlyElementsOf(paths);
        assertThat(tree.path("files").path("config.json"))
                .isEqualTo(new ObjectMapper()
                        .createObjectNode()
                        .put("size", CONFIG.length())
                        .put("blob_id", bench.llama().etag("main", "config.json")));
        assertThat(tree.path("files").path(TWO).path("lfs_sha256").asText())
                .isEqualTo(bench.llama().etag("main", TWO));
        assertThat(tree.path("files").path(TWO).path("lfs_size").asInt()).isEqualTo(1_000_001);
    }

    @Test // 37
    void patternsChooseTheFilesOfASnapshot() throws Exception {
        Cli.Result result = bench.download("--include", "*.json", "--include", "sub/", "--exclude", "tok*");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(files(bench.pointer("")))
                .extracting(file -> file.replaceFirst(" ->.*", ""))
                .containsExactly("config.json", "sub/notes.txt");
    }

    @Test // 38
    void withoutLinksTheFileItselfIsInTheSnapshot() throws Exception {
        Cli.Result result =
                bench.alice().with("HF_HUB_DISABLE_SYMLINKS", "1").run("download", "acme/tiny-llama", "tokenizer.json");
        assertDownloaded(result, "tokenizer.json");
        assertThat(bench.pointer("tokenizer.json")).isRegularFile();
        assertThat(Files.isSymbolicLink(bench.pointer("tokenizer.json"))).isFalse();
        assertThat(bench.cached().resolve("blobs")).isEmptyDirectory();
    }

    @Test // 40
    void aLocalFolderIsKeptInStepWithTheHub() throws Exception {
        Path out = directory.resolve("out");
        Cli.Result first = bench.download("--local-dir", "out");
        assertThat(first.exitCode()).as(first.err()).isZero();
        assertThat(first.out()).isEqualTo(out + "\n");
        Path notes = out.resolve(".cache/huggingface/download");
        String etag = bench.llama().etag("main", "config.json");
        assertThat(text(notes.resolve("config.json.metadata")))
                .matches(bench.commit() + "\n" + etag + "\n\\d+\\.\\d+\n");

        bench.hub().clearLog();
        assertThat(bench.download("--local-dir", "out").exitCode()).isZero();
        assertThat(bench.asked()).containsExactly("GET /api/models/acme/tiny-llama/revision/main 200");

        Files.writeString(out.resolve("config.json"), "edited");
        Files.delete(notes.resolve(ONE + ".metadata"));
        bench.hub().clearLog();
        assertThat(bench.download("--local-dir", "out").exitCode()).isZero();
        assertThat(bench.hub().requests("GET", "/_cdn/")).isEmpty();
        assertThat(bench.hub().requests("GET", "/config.json")).isNotEmpty();
        assertThat(out.resolve("config.json")).content().isEqualTo(CONFIG);
        assertThat(text(notes.resolve(ONE + ".metadata")))
                .startsWith(bench.commit() + "\n" + bench.llama().etag("main", ONE) + "\n");
        assertThat(files(out)).doesNotContain("config.json.incomplete");
        assertThat(files(bench.cached().resolve("blobs"))).isEmpty();
    }

    @Test // 53
    void aRepositoryThatHasMovedIsFoundUnderItsOldName() throws Exception {
        bench.llama().rename("acme/renamed");
        assertDownloaded(bench.download("config.json"), "config.json");
        assertThat(bench.asked())
                .startsWith(HEAD_CONFIG + "307", "HEAD /acme/renamed/resolve/main/config.json 307")
                .last()
                .asString()
                .startsWith("GET /")
                .endsWith("/config.json 200");
        Cli.Result info = bench.alice().run("info", "acme/tiny-llama", "--json");
        assertThat(info.exitCode()).as(info.err()).isZero();
        assertThat(new ObjectMapper().readTree(info.out()).path("id").asText()).isEqualTo("acme/renamed");
    }

    @Test // 54
    void whatIsSaidAboutXetIsPassedOver() throws Exception {
        serve(FakeHub.builder().xet(true));
        assertDownloaded(bench.download(ONE), ONE);
        assertThat(bench.only("HEAD", ONE).responseHeaders().get("X-Xet-Hash")).isNotNull();
        assertThat(bench.hub().requests("*", "xet-read-token")).isEmpty();
        assertThat(bench.only("GET", "/_cdn/").header("Authorization")).isNull();
    }
}
