package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;

import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import mockwebserver3.MockResponse;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** A test of an upload, against a Hub that wants every file as an object in one piece. */
abstract class UploadFixture {
    static final String PREUPLOAD = "POST /api/models/acme/m/preupload/main";
    static final String BATCH = "POST /acme/m.git/info/lfs/objects/batch";
    static final String POST = "POST /api/models/acme/m/commit/main";
    static final String HELLO_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    /** Of 1000 times x. */
    static final String LARGE_SHA256 = "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f";

    static final Pattern PATH = Pattern.compile("\"path\":\"([^\"]*)\"");
    static final Pattern OID = Pattern.compile("\"oid\":\"([0-9a-f]{64})\",\"size\":(\\d+)");

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    Desk desk;
    final Progress progress = new Progress();

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

    static String body(RecordedRequest request) {
        return request.getBody() == null ? "" : request.getBody().utf8();
    }

    static MockResponse rulings(RecordedRequest request, String mode, String more) {
        List<String> files = new ArrayList<>();
        Matcher path = PATH.matcher(body(request));
        while (path.find()) {
            files.add("{\"path\":\"" + path.group(1) + "\",\"uploadMode\":\"" + mode + "\",\"shouldIgnore\":false"
                    + more + "}");
        }
        return json("{\"files\":[" + String.join(",", files) + "]}").build();
    }

    /** All objects are wanted, each in one piece; without an address, none is. */
    static MockResponse objects(RecordedRequest request, String address) {
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

    CommitOperation add(String path, String content) throws IOException {
        Path file = home.resolve("up").resolve(path);
        Files.createDirectories(file.getParent());
        return new CommitOperation.Add(path, Files.writeString(file, content));
    }

    CommitResult commit(CommitOperation... operations) throws IOException {
        return desk.client(HubClient.builder().listener(progress))
                .commit(CommitRequest.of(REPO, List.of(operations), "Upload"));
    }

    List<RecordedRequest> to(String methodAndPath) {
        return hub.requests(methodAndPath.replaceFirst(" .*", "")).stream()
                .filter(request -> request.getTarget().startsWith(methodAndPath.replaceFirst(".* ", "")))
                .toList();
    }
}
