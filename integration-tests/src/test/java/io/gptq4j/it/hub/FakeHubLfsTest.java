package io.gptq4j.it.hub;

import static io.gptq4j.it.hub.Asking.LFS;
import static io.gptq4j.it.hub.Asking.header;
import static io.gptq4j.it.hub.Asking.json;
import static io.gptq4j.it.hub.Asking.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The LFS batch, storage and completion of the fake. */
class FakeHubLfsTest {
    private static final byte[] WEIGHTS = new byte[2_500_000];

    static {
        new Random(3).nextBytes(WEIGHTS);
    }

    private static final String OID = Hex.sha256Of(WEIGHTS);
    private static final String BATCH = "/alice/m.git/info/lfs/objects/batch";

    private final FakeHub hub = FakeHub.inParts().start();
    private final Asking anonymous = new Asking(hub.url(), "");
    private final Asking alice = new Asking(hub.url(), FakeHub.WRITE_TOKEN);
    private final Asking bob = new Asking(hub.url(), FakeHub.READ_TOKEN);

    @AfterEach
    void stop() {
        hub.close();
    }

    private JsonNode batch(Asking asking, String oid, long size) throws Exception {
        String body =
                "{\"operation\": \"upload\", \"transfers\": [\"basic\", \"multipart\"], \"objects\": [{\"oid\": \""
                        + oid + "\", \"size\": " + size
                        + "}], \"hash_algo\": \"sha256\", \"ref\": {\"name\": \"main\"}}";
        HttpResponse<byte[]> response = asking.post(BATCH, body, "Accept", LFS, "Content-Type", LFS);
        assertThat(response.statusCode()).as(text(response)).isEqualTo(200);
        assertThat(header(response, "Content-Type")).isEqualTo(LFS);
        return json(response).path("objects").get(0);
    }

    @Test
    void storesAnObjectAtOnce() throws Exception {
        hub.repo("alice/m");
        byte[] small = "small".getBytes(StandardCharsets.UTF_8);
        String oid = Hex.sha256Of(small);
        JsonNode actions = batch(alice, oid, 5).path("actions");
        String href = actions.path("upload").path("href").asText();
        assertThat(href).startsWith(hub.cdnUrl() + "/_s3/").contains("?Signature=");
        assertThat(actions.path("upload").has("header")).isFalse();

        assertThat(alice.put(href, small).statusCode()).isEqualTo(400);
        assertThat(anonymous
                        .put(href.replaceAll("Signature=.*", "Signature=0"), small)
                        .statusCode())
                .isEqualTo(403);
        assertThat(anonymous.put(href, new byte[4]).statusCode()).isEqualTo(400);
        assertThat(anonymous.put(href, new byte[5]).statusCode()).isEqualTo(400);
        assertThat(anonymous
                        .send("PUT", href, BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(small)))
                        .statusCode())
                .isEqualTo(501);
        assertThat(batch(alice, oid, 5).has("actions")).isTrue();
        assertThat(anonymous.put(href, small).statusCode()).isEqualTo(200);
        assertThat(batch(alice, oid, 5).has("actions")).isFalse();

        String verify = actions.path("verify").path("href").asText();
        assertThat(verify).isEqualTo(hub.url() + "/alice/m.git/info/lfs/verify");
        String body = "{\"oid\": \"" + oid + "\", \"size\": 5}";
        assertThat(text(alice.post(verify, body))).isEqualTo("{}");
        assertThat(anonymous.post(verify, body).statusCode()).isEqualTo(401);
        assertThat(alice.post(verify, body.replace("5}", "6}")).statusCode()).isEqualTo(422);
    }

    @Test
    void batchIsStrictAboutMediaTypesAndRights() throws Exception {
        hub.repo("alice/m");
        String body = "{\"operation\": \"upload\", \"objects\": [], \"ref\": {\"name\": \"main\"}}";
        assertThat(alice.post(BATCH, body, "Content-Type", LFS).statusCode()).isEqualTo(406);
        assertThat(alice.post(BATCH, body, "Accept", LFS, "Content-Type", LFS + "; charset=utf-8")
                        .statusCode())
                .isEqualTo(415);
        assertThat(bob.post(BATCH, body, "Accept", LFS, "Content-Type", LFS).statusCode())
                .isEqualTo(403);
        String withoutRef = "{\"operation\": \"upload\", \"objects\": []}";
        assertThat(bob.post(BATCH, withoutRef, "Accept", LFS, "Content-Type", LFS)
                        .statusCode())
                .isEqualTo(200);
        assertThat(anonymous
                        .post(BATCH, withoutRef, "Accept", LFS, "Content-Type", LFS)
                        .statusCode())
                .isEqualTo(401);
    }

    /** Puts every part of a multipart upload; gives the body of the completion. */
    private String putParts(JsonNode upload) throws Exception {
        List<String> etags = new ArrayList<>();
        for (int part = 1; part <= 3; part++) {
            byte[] slice = Arrays.copyOfRange(WEIGHTS, (part - 1) * 1_000_000, Math.min(part * 1_000_000, 2_500_000));
            String url = upload.path("header").path(String.format("%05d", part)).asText();
            assertThat(url).contains("?partNumber=" + part + "&Signature=");
            assertThat(anonymous.put(url, new byte[3]).statusCode()).isEqualTo(400);
            HttpResponse<byte[]> stored = anonymous.put(url, slice);
            assertThat(stored.statusCode()).isEqualTo(200);
            String etag = header(stored, "ETag").replace("\"", "\\\"");
            etags.add("{\"partNumber\": " + part + ", \"etag\": \"" + etag + "\"}");
        }
        return "{\"oid\": \"" + OID + "\", \"parts\": [" + String.join(",", etags) + "]}";
    }

    @Test
    void assemblesPartsWithoutAToken() throws Exception {
        hub.repo("alice/m");
        JsonNode upload = batch(alice, OID, 2_500_000).path("actions").path("upload");
        assertThat(upload.path("header").properties())
                .extracting(Map.Entry::getKey)
                .containsExactly("chunk_size", "00001", "00002", "00003");
        assertThat(upload.path("header").path("chunk_size").asText()).isEqualTo("1000000");
        String href = upload.path("href").asText();
        assertThat(href).startsWith(hub.url() + "/alice/m.git/info/lfs/complete/");
        JsonNode other = batch(alice, OID, 2_500_000).path("actions").path("upload");
        assertThat(other.path("href").asText()).isNotEqualTo(href);

        String completion = putParts(upload);
        HttpResponse<byte[]> wrong =
                anonymous.post(href, completion.replace("\"partNumber\": 2", "\"partNumber\": 3"), "Content-Type", LFS);
        assertThat(wrong.statusCode()).isEqualTo(400);
        assertThat(anonymous
                        .post(other.path("href").asText(), completion, "Content-Type", LFS)
                        .statusCode())
                .isEqualTo(400);
        for (int time = 0; time < 2; time++) {
            HttpResponse<byte[]> done = anonymous.post(href, completion, "Content-Type", LFS);
            assertThat(text(done)).isEqualTo("{\"success\":true}");
        }
        assertThat(batch(alice, OID, 2_500_000).has("actions")).isFalse();
    }

    @Test
    void expiredUploadsAreRefused() throws Exception {
        hub.repo("alice/m");
        JsonNode upload = batch(alice, OID, 2_500_000).path("actions").path("upload");
        String completion = putParts(upload);
        hub.expireSignatures();
        assertThat(anonymous
                        .put(upload.path("header").path("00001").asText(), new byte[1_000_000])
                        .statusCode())
                .isEqualTo(403);
        assertThat(anonymous
                        .post(upload.path("href").asText(), completion, "Content-Type", LFS)
                        .statusCode())
                .isEqualTo(403);
    }
}
