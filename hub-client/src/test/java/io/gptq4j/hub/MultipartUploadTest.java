package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import mockwebserver3.SocketEffect;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Objects that the Hub wants in parts, and going on with them after a process has died. */
class MultipartUploadTest {
    private static final String CONTENT = "a".repeat(1000) + "b".repeat(1000) + "c".repeat(500);
    private static final String SHA256 = "5b0a939ca491d0a52118d3d0f3814d3c65992cc7e54eb08da6979f960b56d93d";
    private static final String BATCH = "POST /acme/m.git/info/lfs/objects/batch";
    private static final MockResponse THERE =
            json("{\"objects\":[{\"oid\":\"" + SHA256 + "\",\"size\":2500}]}").build();
    private static final MockResponse DIES = status(405).build();

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;
    private CommitRequest request;
    private final Progress progress = new Progress();

    @BeforeEach
    void prepare() throws IOException {
        desk = new Desk(home, hub.address()).token("hf_topsecret");
        Path file = Files.writeString(home.resolve("m.bin"), CONTENT);
        request = CommitRequest.of(REPO, List.of(new CommitOperation.Add("m.bin", file)), "Upload");
        hub.on(
                "POST /api/models/acme/m/preupload/main",
                json("{\"files\":[{\"path\":\"m.bin\"," + "\"uploadMode\":\"lfs\",\"shouldIgnore\":false}]}")
                        .build());
        hub.on(
                "POST /api/models/acme/m/commit/main",
                json("{\"commitOid\":\"" + COMMIT + "\"}").build());
        hub.on(
                "GET /api/models/acme/m/revision/main",
                json("{\"sha\":\"" + COMMIT + "\"}").build());
        hub.on(BATCH, parts("A", 1));
        hub.on("POST /api/complete_multipart", json("{}").build());
        for (int part = 1; part <= 3; part++) {
            hub.on("PUT /s3/" + part, taken(part));
        }
    }

    @AfterEach
    void close() {
        desk.close();
    }

    /** What the live Hub answers: the upload's id is in the query of all addresses. */
    private MockResponse parts(String upload, int signature) {
        StringBuilder addresses = new StringBuilder();
        for (int part = 1; part <= 3; part++) {
            addresses.append(String.format(
                    ",\"%05d\":\"%s/s3/%d?uploadId=%s&partNumber=%d&Signature=%d\"",
                    part, hub.address(), part, upload, part, signature));
        }
        return json("{\"objects\":[{\"oid\":\"" + SHA256 + "\",\"size\":2500,\"actions\":{\"upload\":{\"href\":\""
                        + "https://huggingface.co/api/complete_multipart?uploadId=" + upload + "&signature=" + signature
                        + "\",\"header\":{\"chunk_size\":\"1000\"" + addresses + "}}}}]}")
                .build();
    }

    private static MockResponse taken(int part) {
        return status(200).setHeader("ETag", "\"e" + part + "\"").build();
    }

    private HubClient client() throws IOException {
        return desk.client(HubClient.builder().listener(progress));
    }

    private void commit() throws IOException {
        assertThat(client().commit(request).commit()).isEqualTo(COMMIT);
        assertThat(progress.bytes().get("m.bin"))
                .isEqualTo(2500L * progress.finished().size());
        assertThat(records()).isEmpty();
    }

    /** The process ends while the third part is sent. */
    private void dieInTheThirdPart() throws IOException {
        hub.on("PUT /s3/3", DIES, taken(3));
        try (HubClient dying = desk.client()) {
            assertThatThrownBy(() -> dying.commit(request)).isInstanceOf(HubHttpException.class);
        }
        assertThat(records()).hasSize(1);
    }

    private Stream<Path> records() throws IOException {
        Path folder = home.resolve("gptq4j").resolve("uploads");
        if (!Files.isDirectory(folder)) {
            return Stream.empty();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList().stream();
        }
    }

    private List<String> puts() {
        return hub.requests("PUT").stream()
                .map(put -> put.getTarget().replaceFirst("/s3/", ""))
                .toList();
    }

    private List<RecordedRequest> completions() {
        return hub.requests("POST").stream()
                .filter(post -> post.getTarget().startsWith("/api/complete_multipart"))
                .toList();
    }

    @Test
    void partsGoInOrderAndTheirTagsVerbatimToTheCompletionWithoutAToken() throws IOException {
        commit();
        assertThat(puts())
                .containsExactly(
                        "1?uploadId=A&partNumber=1&Signature=1",
                        "2?uploadId=A&partNumber=2&Signature=1",
                        "3?uploadId=A&partNumber=3&Signature=1");
        assertThat(hub.requests("PUT"))
                .map(put -> put.getBody().utf8())
                .containsExactly("a".repeat(1000), "b".repeat(1000), "c".repeat(500));
        assertThat(hub.requests("PUT"))
                .allSatisfy(
                        put -> assertThat(put.getHeaders().get("Authorization")).isNull());
        RecordedRequest completion = completions().get(0);
        assertThat(completion.getTarget()).isEqualTo("/api/complete_multipart?uploadId=A&signature=1");
        assertThat(completion.getHeaders().get("Authorization")).isNull();
        assertThat(completion.getHeaders().get("Content-Type")).isEqualTo("application/vnd.git-lfs+json");
        assertThat(completion.getBody().utf8())
                .isEqualTo("{\"oid\":\"" + SHA256 + "\",\"parts\":[{\"partNumber\":1,\"etag\":\"\\\"e1\\\"\"},"
                        + "{\"partNumber\":2,\"etag\":\"\\\"e2\\\"\"},{\"partNumber\":3,\"etag\":\"\\\"e3\\\"\"}]}");
    }

    @Test
    void onlyThePartThatFailsIsRepeated() throws IOException {
        hub.on("PUT /s3/2", status(500).build(), status(502).build(), taken(2));
        commit();
        assertThat(puts()).map(put -> put.substring(0, 1)).containsExactly("1", "2", "2", "2", "3");
    }

    @Test
    void theNextProcessSendsTheRestToTheOldAddresses() throws IOException {
        dieInTheThirdPart();
        hub.on(BATCH, parts("B", 2));
        commit();
        assertThat(puts().subList(3, puts().size())).containsExactly("3?uploadId=A&partNumber=3&Signature=1");
        assertThat(completions()).hasSize(1).first().satisfies(completion -> {
            assertThat(completion.getTarget()).contains("uploadId=A");
            assertThat(completion.getBody().utf8()).contains("e1", "e2", "e3");
        });
    }

    @Test
    void freshSignaturesOfTheSameUploadAreUsed() throws IOException {
        dieInTheThirdPart();
        hub.on(BATCH, parts("A", 2));
        commit();
        assertThat(puts().subList(3, puts().size())).containsExactly("3?uploadId=A&partNumber=3&Signature=2");
        assertThat(completions().get(0).getTarget()).endsWith("uploadId=A&signature=2");
    }

    @ParameterizedTest
    @ValueSource(ints = {400, 403, 404})
    void anUploadThatTheStoreKnowsNoMoreBeginsAnew(int status) throws IOException {
        dieInTheThirdPart();
        hub.on("PUT /s3/3", status(status).build(), taken(3));
        hub.on(BATCH, parts("B", 2));
        commit();
        assertThat(puts().subList(3, puts().size()))
                .containsExactly(
                        "3?uploadId=A&partNumber=3&Signature=1",
                        "1?uploadId=B&partNumber=1&Signature=2",
                        "2?uploadId=B&partNumber=2&Signature=2",
                        "3?uploadId=B&partNumber=3&Signature=2");
        assertThat(completions()).hasSize(1);
    }

    @Test
    void aSignatureThatExpiresInTheMiddleIsRenewedAndNoPartIsLost() throws IOException {
        hub.on("PUT /s3/3", status(403).build(), taken(3));
        hub.on(BATCH, parts("A", 1), parts("A", 2));
        commit();
        assertThat(puts())
                .map(put -> put.replaceFirst("\\?.*Signature=", "/"))
                .containsExactly("1/1", "2/1", "3/1", "3/2");
    }

    @Test
    void anUploadThatIsReplacedInTheMiddleIsNotTriedOnceMore() throws IOException {
        hub.on("PUT /s3/3", status(403).build(), taken(3));
        hub.on(BATCH, parts("A", 1), parts("B", 2));
        commit();
        assertThat(puts())
                .map(put -> put.replaceFirst("\\?uploadId=", "").replaceFirst("&.*", ""))
                .containsExactly("1A", "2A", "3A", "1B", "2B", "3B");
    }

    @Test
    void anUploadWhosePartsTheStoreDoesNotAcceptBeginsAnew() throws IOException {
        hub.on(
                "POST /api/complete_multipart",
                status(400).body("InvalidPart").build(),
                json("{}").build());
        commit();
        assertThat(completions()).hasSize(2);

        hub.on(
                "POST /api/complete_multipart",
                status(400).body("InvalidPart").build(),
                status(400).body("InvalidPart").build(),
                json("{}").build());
        int before = puts().size();
        commit();
        assertThat(puts()).as("all parts each time").hasSize(before + 9);
    }

    @Test
    void aCompletionWhoseAnswerIsLostIsFoundOutToBeDone() throws IOException {
        hub.on(
                "POST /api/complete_multipart",
                status(200).onResponseStart(new SocketEffect.CloseSocket()).build(),
                status(404).body("NoSuchUpload").build());
        hub.on(BATCH, parts("A", 1), THERE);
        commit();
        assertThat(puts()).hasSize(3);
    }

    @Test
    void theRecordIsForItsOwnerOnlyAndNotForOtherContent() throws IOException {
        dieInTheThirdPart();
        assertThat(records())
                .allSatisfy(record -> assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(record)))
                        .isEqualTo("rw-------"));
        Path record = records().findFirst().orElseThrow();
        Files.writeString(record, "garbage\n");
        hub.on(BATCH, parts("B", 2));
        commit();
        assertThat(puts()).hasSize(6);
    }

    @Test
    void addressesThatDoNotFitTheSizeAreRefused() throws IOException {
        hub.on(
                BATCH,
                json("{\"objects\":[{\"oid\":\"" + SHA256 + "\",\"actions\":{\"upload\":{\"href\":\"" + hub.address()
                                + "/c\",\"header\":{\"chunk_size\":\"1000\",\"1\":\"" + hub.address() + "/s3/1\"}}}}]}")
                        .build());
        HubClient client = client();
        assertThatThrownBy(() -> client.commit(request))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("wants its 2500 bytes in parts of 1000, but names 1 addresses");
    }

    @Test
    void aStoreThatGivesNoTagIsRefused() throws IOException {
        hub.on("PUT /s3/1", status(200).build());
        HubClient client = client();
        assertThatThrownBy(() -> client.commit(request))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("the store answered part 1 without an ETag");
    }
}
