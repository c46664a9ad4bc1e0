package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.HELLO_ID;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.Test;

/** Objects in one piece, which go to their store before a commit names them. */
class UploadTest extends UploadFixture {
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
