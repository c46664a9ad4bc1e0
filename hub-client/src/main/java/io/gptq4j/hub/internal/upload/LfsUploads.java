package io.gptq4j.hub.internal.upload;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.internal.http.Patience;
import io.gptq4j.hub.internal.io.Workers;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import okhttp3.Headers;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Git LFS as the Hub speaks it (git-lfs "batch" and "basic transfers", with the Hub's own {@code multipart}):
 *
 * <ol>
 *   <li>The batch tells which objects are wanted and where each goes.
 *   <li>basic: one PUT. multipart: one PUT for each part, in order, then a POST of all their ETags to the completion address,
 *       which is its own credential and gets no token.
 *   <li>verify, if the batch names an address for it, with the token.
 * </ol>
 *
 * <p>Each step is repeated by itself. When a store refuses a signature, the batch is asked for a fresh one.
 */
final class LfsUploads {
    private static final Logger LOG = LoggerFactory.getLogger(LfsUploads.class);
    private static final int OBJECTS_PER_BATCH = 256;
    private static final int RENEWALS = 3;
    private static final MediaType LFS_JSON = MediaType.get("application/vnd.git-lfs+json");
    /** A store that says one of these knows the signature or the upload no more. */
    private static final Set<Integer> EXPIRED = Set.of(400, 401, 403, 404, 410);

    private final HubHttp http;
    private final Repo repo;
    private final @Nullable Revision revision;
    private final UploadRecords records;
    private final TransferListener listener;

    /**
     * Uploads to one repository.
     *
     * @param revision the branch that will name the objects, or null for a pull request, which readers may open, too
     */
    LfsUploads(HubHttp http, Repo repo, @Nullable Revision revision, UploadRecords records, TransferListener listener) {
        this.http = http;
        this.repo = repo;
        this.revision = revision;
        this.records = records;
        this.listener = listener;
    }

    /** Where an object goes, as the batch tells. */
    private record Action(JsonNode upload, @Nullable JsonNode verify) {}

    /** Uploads what the Hub does not have. */
    void upload(List<LocalContent> contents, int workers) throws IOException {
        Map<String, LocalContent> objects = new TreeMap<>();
        for (LocalContent content : contents) {
            objects.putIfAbsent(content.sha256(), content); // one content under two names goes once
        }
        List<LocalContent> distinct = List.copyOf(objects.values());
        Map<String, Action> actions = new HashMap<>();
        for (int from = 0; from < distinct.size(); from += OBJECTS_PER_BATCH) {
            actions.putAll(batch(distinct.subList(from, Math.min(distinct.size(), from + OBJECTS_PER_BATCH))));
        }
        for (LocalContent content : contents) {
            if (!actions.containsKey(content.sha256())) {
                isThere(content);
            }
        }
        List<LocalContent> wanted = new ArrayList<>();
        for (LocalContent content : distinct) {
            if (actions.containsKey(content.sha256())) {
                wanted.add(content);
            }
        }
        new Workers("upload", workers, http::cancelAll).run(wanted, content -> {
            Action action = actions.get(content.sha256());
            if (action != null) {
                upload(content, action);
            }
        });
        for (LocalContent content : contents) {
            if (actions.containsKey(content.sha256()) && !wanted.contains(content)) {
                isThere(content); // now, under its other name
            }
        }
    }

    private void isThere(LocalContent content) {
        listener.progressed(content.path(), content.size());
        listener.finished(content.path());
    }

    private Map<String, Action> batch(List<LocalContent> contents) throws IOException {
        ObjectNode body = Json.object().put("operation", "upload");
        body.putArray("transfers").add("basic").add("multipart");
        ArrayNode objects = body.putArray("objects");
        for (LocalContent content : contents) {
            objects.addObject().put("oid", content.sha256()).put("size", content.size());
        }
        body.put("hash_algo", "sha256");
        if (revision != null) {
            body.putObject("ref").put("name", revision.name());
        }
        String action = "ask where to upload " + contents.size() + " file(s) of " + repo;
        JsonNode answer =
                http.json(HubRequest.send("POST", action, http.endpoint().lfsBatch(repo), lfs(body))
                        .header("Accept", LFS_JSON.toString()));
        Map<String, Action> actions = new HashMap<>();
        Set<String> answered = new HashSet<>();
        for (JsonNode object : answer.path("objects")) {
            answered.add(object.path("oid").asText());
            JsonNode error = object.path("error");
            if (!error.isMissingNode()) {
                throw new HubHttpException(
                        "Cannot upload object " + object.path("oid").asText() + " to " + repo + ": "
                                + error.path("message").asText() + " (LFS error "
                                + error.path("code").asInt() + ")",
                        error.path("code").asInt(),
                        null);
            }
            JsonNode upload = object.path("actions").path("upload");
            if (!upload.isMissingNode()) {
                JsonNode verify = object.path("actions").path("verify");
                actions.put(object.path("oid").asText(), new Action(upload, verify.isMissingNode() ? null : verify));
            }
        }
        for (LocalContent content : contents) {
            if (!answered.contains(content.sha256())) {
                throw new HubException("Cannot upload '" + content.path() + "' to " + repo
                        + ": the Hub says neither that it has it nor where it goes");
            }
        }
        return actions;
    }

    /** How far the upload of one file is, as the listener was told; used by one thread. */
    private final class Gauge {
        private final String path;
        private long told;

        Gauge(LocalContent content) {
            path = content.path();
        }

        void set(long bytes) {
            listener.progressed(path, bytes - told);
            told = bytes;
        }
    }

    private void upload(LocalContent content, Action first) throws IOException {
        Gauge gauge = new Gauge(content);
        boolean complete = false;
        try {
            uploadOrRenew(content, first, gauge);
            complete = true;
        } finally {
            gauge.set(complete ? content.size() : 0);
        }
        records.delete(record(), content.sha256());
        listener.finished(content.path());
    }

    private void uploadOrRenew(LocalContent content, Action first, Gauge gauge) throws IOException {
        Action action = first;
        for (int renewals = 0; ; renewals++) {
            try {
                send(content, action, gauge, renewals > 0);
                return;
            } catch (HubHttpException e) {
                if (!EXPIRED.contains(e.status()) || renewals == RENEWALS) {
                    throw e;
                }
                LOG.info("{}; asking for a fresh address", e.getMessage());
                if (renewals > 0) {
                    records.delete(record(), content.sha256()); // it is not the signature that the store refuses
                }
                Action renewed = batch(List.of(content)).get(content.sha256());
                if (renewed == null) {
                    return; // it is there: an answer had got lost
                }
                action = renewed;
            }
        }
    }

    private void send(LocalContent content, Action action, Gauge gauge, boolean renewed) throws IOException {
        Optional<Multipart> multipart = multipart(content, action.upload());
        if (multipart.isPresent()) {
            sendParts(content, multipart.get(), gauge, renewed);
        } else {
            HubRequest request = put(content, href(action.upload()), 0, content.size(), gauge::set);
            http.callPatiently(withHeaders(request, action.upload())).close();
        }
        JsonNode verify = action.verify();
        if (verify != null) {
            ObjectNode body = Json.object().put("oid", content.sha256()).put("size", content.size());
            HubRequest request = HubRequest.send(
                    "POST",
                    "verify the upload of '" + content.path() + "'",
                    href(verify),
                    HubRequest.body(body, HubRequest.JSON));
            http.callPatiently(withHeaders(request, verify)).close();
        }
    }

    /** With the headers that the batch wants sent along. */
    private static HubRequest withHeaders(HubRequest request, JsonNode action) {
        HubRequest complete = request;
        for (Map.Entry<String, JsonNode> header : action.path("header").properties()) {
            complete = complete.header(header.getKey(), header.getValue().asText());
        }
        return complete;
    }

    /** The parts, if the batch wants the file in parts; which of the two it wants, it says for each object. */
    private static Optional<Multipart> multipart(LocalContent content, JsonNode upload) throws HubException {
        JsonNode header = upload.path("header");
        if (!header.hasNonNull("chunk_size")) {
            return Optional.empty();
        }
        Map<Integer, String> addresses = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : header.properties()) {
            if (entry.getKey().matches("\\d{1,9}")) {
                addresses.put(Integer.valueOf(entry.getKey()), entry.getValue().asText());
            }
        }
        Multipart multipart = new Multipart(
                upload.path("href").asText(), header.path("chunk_size").asLong(), addresses, Map.of());
        if (!multipart.fits(content.size())) {
            throw new HubException("Cannot upload '" + content.path() + "': the Hub wants its " + content.size()
                    + " bytes in parts of " + multipart.chunkSize() + ", but names " + addresses.size() + " addresses");
        }
        return Optional.of(multipart);
    }

    /**
     * Sends all parts, or goes on with an upload that an earlier process left.
     *
     * @param renewed whether the addresses known so far were refused just now
     */
    private void sendParts(LocalContent content, Multipart fresh, Gauge gauge, boolean renewed) throws IOException {
        Optional<Multipart> earlier = records.read(record(), content.sha256(), content.size());
        if (earlier.isPresent() && earlier.get().isSameUpload(fresh)) {
            sendRest(content, fresh.having(earlier.get().etags()), gauge);
        } else if (renewed || earlier.isEmpty() || !resume(content, earlier.get(), gauge)) {
            sendRest(content, fresh, gauge);
        }
    }

    private boolean resume(LocalContent content, Multipart earlier, Gauge gauge) throws IOException {
        long had = sentBytes(content, earlier);
        try {
            sendRest(content, earlier, gauge);
            return true;
        } catch (HubHttpException e) {
            if (!EXPIRED.contains(e.status())) {
                throw e;
            }
            LOG.info("{}; the upload begins anew, {} bytes of it are lost", e.getMessage(), had);
            records.delete(record(), content.sha256());
            return false;
        }
    }

    private void sendRest(LocalContent content, Multipart start, Gauge gauge) throws IOException {
        Multipart multipart = start;
        records.write(record(), content.sha256(), content.size(), multipart);
        gauge.set(sentBytes(content, multipart));
        for (Map.Entry<Integer, String> part : start.addresses().entrySet()) {
            int number = part.getKey();
            if (!multipart.etags().containsKey(number)) {
                String etag = sendPart(content, multipart, number, part.getValue(), gauge);
                multipart = multipart.with(number, etag);
                records.append(record(), content.sha256(), number, etag);
            }
        }
        complete(content, multipart);
    }

    private static long sentBytes(LocalContent content, Multipart multipart) {
        long bytes = 0;
        for (int part : multipart.etags().keySet()) {
            bytes += Math.min(multipart.chunkSize(), content.size() - (part - 1) * multipart.chunkSize());
        }
        return bytes;
    }

    private String sendPart(LocalContent content, Multipart multipart, int number, String address, Gauge gauge)
            throws IOException {
        long from = (number - 1) * multipart.chunkSize();
        long length = Math.min(multipart.chunkSize(), content.size() - from);
        long before = sentBytes(content, multipart);
        try (Response response =
                http.callPatiently(put(content, url(address), from, length, sent -> gauge.set(before + sent)))) {
            String etag = response.header("ETag");
            if (etag == null) {
                throw new HubException("Cannot upload '" + content.path() + "': the store answered part " + number
                        + " without an ETag, which the completion needs");
            }
            return etag;
        }
    }

    private void complete(LocalContent content, Multipart multipart) throws IOException {
        ObjectNode body = Json.object().put("oid", content.sha256());
        ArrayNode parts = body.putArray("parts");
        multipart
                .etags()
                .forEach((number, etag) ->
                        parts.addObject().put("partNumber", number).put("etag", etag));
        HubRequest request = HubRequest.send(
                        "POST", "complete the upload of '" + content.path() + "'", url(multipart.href()), lfs(body))
                .header("Accept", LFS_JSON.toString())
                .patience(Patience.COMPLETION)
                .withoutToken();
        try {
            http.callPatiently(request).close();
        } catch (HubHttpException e) {
            records.delete(record(), content.sha256()); // its parts are good for nothing
            throw e;
        }
    }

    private HubRequest put(LocalContent content, HttpUrl url, long from, long length, LongConsumer progress) {
        return new HubRequest(
                "upload '" + content.path() + "'",
                "PUT",
                url,
                Headers.EMPTY,
                new FileBody(content, from, length, progress),
                Patience.API,
                false);
    }

    private HttpUrl href(JsonNode action) throws HubException {
        return url(action.path("href").asText());
    }

    private HttpUrl url(String address) throws HubException {
        HttpUrl url = HttpUrl.parse(address);
        if (url == null) {
            throw new HubException("Cannot upload to " + repo + ": the Hub names an upload address that is none");
        }
        return http.endpoint().rewritten(url);
    }

    private String record() {
        return http.config().endpoint() + "/" + repo.webPath();
    }

    private static RequestBody lfs(ObjectNode body) {
        return HubRequest.body(body, LFS_JSON);
    }
}
