package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The LFS batch with its basic and multipart transfers. */
final class LfsRoutes {
    private static final String MEDIA_TYPE = "application/vnd.git-lfs+json";
    private static final int EXPIRES_SECONDS = 900;

    private final HubState state;
    private final Uploads uploads;

    LfsRoutes(HubState state, Storage storage) {
        this.state = state;
        this.uploads = storage.uploads();
    }

    Answer batch(Call call) throws IOException, InterruptedException {
        if (!isMediaType(call.request(), "Accept")) {
            throw new HubError(406, null, "The Accept header must be " + MEDIA_TYPE);
        }
        checkContentType(call.request());
        JsonNode body = call.request().json();
        String algorithm = Json.text(body, "hash_algo");
        if (algorithm != null && !algorithm.equals("sha256")) {
            throw new HubError(409, null, "The only hash algorithm is sha256, not " + algorithm);
        }
        boolean upload = Json.requiredText(body, "operation").equals("upload");
        if (upload) {
            checkUploader(call, body);
        } else {
            call.checkGate();
        }
        Set<String> transfers = new HashSet<>();
        body.path("transfers").forEach(transfer -> transfers.add(transfer.asText()));
        boolean mayBeMultipart = transfers.contains("multipart");
        List<Map<String, Object>> objects = new ArrayList<>();
        boolean multipart = false;
        for (JsonNode wanted : body.path("objects")) {
            String sha256 = Json.requiredText(wanted, "oid");
            long size = Json.requiredSize(wanted, "size");
            boolean inParts = mayBeMultipart && size > state.options().multipartThreshold();
            Map<String, Object> object = Json.map("oid", sha256, "size", size, "authenticated", true);
            Content stored = state.lfs().get(sha256);
            if (!sha256.matches("[0-9a-f]{64}") || (stored != null && stored.size() != size)) {
                object.put("error", Json.map("code", 422, "message", "Invalid oid or size"));
            } else if (!upload && stored == null) {
                object.put("error", Json.map("code", 404, "message", "Object does not exist"));
            } else if (!upload) {
                object.put("actions", Json.map("download", Json.map("href", signed("/_cdn/" + sha256))));
            } else if (stored == null) {
                multipart |= inParts;
                object.put("actions", uploadActions(call, sha256, size, inParts));
            }
            objects.add(object);
        }
        return Answer.lfsJson(200, Json.map("transfer", multipart ? "multipart" : "basic", "objects", objects));
    }

    /** A request without a ref is for a pull request, which any account may open. */
    private static void checkUploader(Call call, JsonNode body) {
        String ref = Json.text(body.path("ref"), "name");
        if (ref == null || ref.startsWith("refs/pr/")) {
            call.loggedIn();
        } else {
            call.writer();
            call.repo().commitAt(ref);
        }
    }

    private Map<String, Object> uploadActions(Call call, String sha256, long size, boolean inParts) {
        String lfs = call.repo().url() + ".git/info/lfs/";
        Map<String, Object> verify = Json.map("href", lfs + "verify", "header", Map.of());
        Uploads.Upload upload =
                uploads.open(state, sha256, size, inParts ? state.options().chunkSize() : 0);
        if (!inParts) {
            Map<String, Object> put = Json.map("href", signed("/_s3/" + upload.id()), "expires_in", EXPIRES_SECONDS);
            return Json.map("upload", put, "verify", verify);
        }
        Map<String, Object> header =
                Json.map("chunk_size", Long.toString(state.options().chunkSize()));
        for (int part = 1; part <= upload.parts(); part++) {
            String resource = "/_s3/" + upload.id() + "/" + part;
            header.put(
                    String.format(Locale.ROOT, "%05d", part),
                    state.storageUrl() + resource + "?partNumber=" + part + "&Signature="
                            + state.signatures().sign(resource));
        }
        return Json.map(
                "upload", Json.map("href", lfs + "complete/" + upload.id(), "header", header), "verify", verify);
    }

    private String signed(String resource) {
        return state.storageUrl() + resource + "?Signature="
                + state.signatures().sign(resource);
    }

    /** The URL is the credential. A second call for a finished upload is answered like the first. */
    Answer complete(Request request, String id) throws IOException, InterruptedException {
        checkContentType(request);
        JsonNode body = request.json();
        Uploads.Upload upload = uploads.get(id);
        if (upload == null || !upload.isMultipart()) {
            throw new HubError(404, null, "There is no such upload: " + id);
        }
        if (upload.generation() != state.signatures().generation()) {
            throw new HubError(403, null, "The upload has expired");
        }
        if (!Json.requiredText(body, "oid").equals(upload.sha256())) {
            throw HubError.badRequest("The upload is for " + upload.sha256());
        }
        checkParts(upload, body.path("parts"));
        if (upload.finish()) {
            Content assembled = Content.of(upload.file());
            String sha256 = Git.sha256(assembled);
            if (!sha256.equals(upload.sha256())) {
                upload.reopen();
                throw HubError.badRequest("The parts have sha256 " + sha256 + ", not " + upload.sha256());
            }
            state.lfs().keep(upload.file(), sha256);
        }
        return Answer.lfsJson(200, Json.map("success", true));
    }

    private static void checkParts(Uploads.Upload upload, JsonNode parts) {
        Map<Integer, String> received = upload.etags();
        if (parts.size() != upload.parts()) {
            throw HubError.badRequest("Expected " + upload.parts() + " parts, got " + parts.size());
        }
        int number = 0;
        for (JsonNode part : parts) {
            number++;
            String etag = received.get(number);
            if (Json.requiredSize(part, "partNumber") != number) {
                throw HubError.badRequest("The parts must be in ascending order, without gaps");
            }
            if (!Json.requiredText(part, "etag").equals(etag)) {
                throw HubError.badRequest("Part " + number + " has the ETag " + etag);
            }
        }
    }

    Answer verify(Call call) throws IOException, InterruptedException {
        call.loggedIn();
        JsonNode body = call.request().json();
        String sha256 = Json.requiredText(body, "oid");
        Content stored = state.lfs().get(sha256);
        if (stored == null) {
            throw new HubError(404, null, "Object does not exist: " + sha256);
        }
        if (stored.size() != Json.requiredSize(body, "size")) {
            throw new HubError(422, null, "The object has " + stored.size() + " bytes");
        }
        return Answer.lfsJson(200, Map.of());
    }

    private static void checkContentType(Request request) {
        if (!isMediaType(request, "Content-Type")) {
            throw new HubError(415, null, "The Content-Type must be " + MEDIA_TYPE);
        }
    }

    private static boolean isMediaType(Request request, String header) {
        @Nullable String value = request.headers().get(header);
        return MEDIA_TYPE.equals(value);
    }
}
