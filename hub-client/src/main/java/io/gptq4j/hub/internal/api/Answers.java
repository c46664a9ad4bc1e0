package io.gptq4j.hub.internal.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.repo.Identity;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoFolder;
import io.gptq4j.hub.repo.RepoInfo;
import io.gptq4j.hub.repo.RepoRefs;
import java.util.ArrayList;
import java.util.List;

/** The Hub's answers as values. Fields that are absent get the value that says least; what is needed must be there. */
final class Answers {
    private Answers() {}

    static RepoInfo info(JsonNode json) {
        JsonNode gated = json.path("gated");
        List<String> files = new ArrayList<>();
        json.path("siblings").forEach(file -> files.add(file.path("rfilename").asText()));
        return new RepoInfo(
                json.path("id").asText(json.path("modelId").asText()),
                Json.text(json, "sha"),
                json.path("private").asBoolean(),
                gated.isTextual() ? gated.asText() : gated.asBoolean() ? "auto" : null,
                json.path("disabled").asBoolean(),
                Json.text(json, "author"),
                Json.text(json, "lastModified"),
                json.path("downloads").asLong(),
                json.path("likes").asLong(),
                Json.text(json, "library_name"),
                Json.text(json, "pipeline_tag"),
                texts(json.path("tags")),
                files,
                json.toString());
    }

    /**
     * A file or folder of a tree.
     *
     * @throws HubException if its path would leave the folder it is put into, or something needed is missing
     */
    static RepoEntry entry(String action, JsonNode json) throws HubException {
        String path = json.path("path").asText();
        String oid = json.path("oid").asText();
        try {
            if (json.path("type").asText().equals("directory")) {
                return new RepoFolder(path, oid);
            }
            JsonNode lfs = json.path("lfs");
            JsonNode sha256 = lfs.hasNonNull("oid") ? lfs.path("oid") : lfs.path("sha256");
            return new RepoFile(
                    path,
                    lfs.path("size").asLong(json.path("size").asLong(-1)),
                    oid,
                    sha256.isTextual() ? sha256.asText().replaceFirst("^sha256:", "") : null,
                    Json.text(json, "xetHash"));
        } catch (IllegalArgumentException e) {
            throw new HubException("Cannot " + action + ": the Hub's listing is refused: " + e.getMessage(), e);
        }
    }

    static RepoRefs refs(JsonNode json) {
        return new RepoRefs(
                refs(json.path("branches"), "branches"),
                refs(json.path("tags"), "tags"),
                refs(json.path("converts"), "converts"),
                refs(json.path("pullRequests"), "pullRequests"));
    }

    private static List<RepoRefs.Ref> refs(JsonNode list, String kind) {
        List<RepoRefs.Ref> refs = new ArrayList<>();
        list.forEach(ref -> refs.add(new RepoRefs.Ref(
                ref.path("name").asText(kind),
                ref.path("ref").asText(),
                ref.path("targetCommit").asText())));
        return refs;
    }

    static Identity identity(JsonNode json) {
        List<String> organisations = new ArrayList<>();
        json.path("orgs").forEach(org -> organisations.add(org.path("name").asText()));
        JsonNode auth = json.path("auth");
        JsonNode token = auth.path("accessToken");
        return new Identity(
                json.path("name").asText(),
                json.path("type").asText("user"),
                Json.text(json, "fullname"),
                organisations,
                Json.text(token, "displayName"),
                Json.text(token, "role"));
    }

    static List<String> texts(JsonNode list) {
        List<String> texts = new ArrayList<>();
        list.forEach(text -> texts.add(text.asText()));
        return texts;
    }
}
