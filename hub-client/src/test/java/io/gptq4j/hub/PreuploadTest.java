package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What comes before anything is sent: front matter, what the Hub says of each file, and what is copied. */
class PreuploadTest extends UploadFixture {
    @Test
    void manyFilesAreAskedAboutInGroupsOf256() throws IOException {
        hub.on(BATCH, request -> objects(request, ""));
        List<CommitOperation> adds = new ArrayList<>();
        for (int i : IntStream.range(0, 300).toArray()) {
            adds.add(add("f" + i, "content " + i));
        }
        commit(adds.toArray(CommitOperation[]::new));
        assertThat(to(PREUPLOAD))
                .map(UploadFixture::body)
                .map(text -> PATH.matcher(text).results().count())
                .containsExactly(256L, 44L);
        assertThat(to(BATCH))
                .map(UploadFixture::body)
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
}
