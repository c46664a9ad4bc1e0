package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Preupload and commit. */
final class CommitRoutes {
    private static final int MOST_FILES = 256;
    private static final int MOST_SAMPLE = 512;
    private static final String NDJSON = "application/x-ndjson";

    private final HubState state;

    CommitRoutes(HubState state) {
        this.state = state;
    }

    /** {@code preupload/revision}. */
    Answer preupload(Call call) throws IOException, InterruptedException {
        Commit head = call.repo().commitAt(call.rest(0));
        checkAuthor(call, call.rest(0));
        JsonNode body = call.request().json();
        JsonNode files = body.path("files");
        if (files.size() > MOST_FILES) {
            throw HubError.badRequest("At most " + MOST_FILES + " files a call, got " + files.size());
        }
        String ignore = Json.text(body, "gitIgnore");
        HubFile ownIgnore = head.files().get(".gitignore");
        if (ignore == null) {
            ignore = ownIgnore == null ? "" : FakeRepo.textOf(ownIgnore);
        }
        List<Map<String, Object>> answers = new ArrayList<>();
        for (JsonNode file : files) {
            String path = checkedPath(Json.requiredText(file, "path"));
            byte[] sample = base64(Json.requiredText(file, "sample"));
            long size = Json.requiredSize(file, "size");
            if (sample.length != Math.min(size, MOST_SAMPLE)) {
                throw HubError.badRequest(
                        "The sample of " + path + " must be its first " + Math.min(size, MOST_SAMPLE) + " bytes");
            }
            boolean lfs =
                    FakeRepo.lfsByName(head, path) || size > state.options().lfsThreshold() || isBinary(sample);
            Map<String, Object> answer = Json.map(
                    "path",
                    path,
                    "uploadMode",
                    lfs ? "lfs" : "regular",
                    "shouldIgnore",
                    GitPattern.isIgnored(ignore, path));
            HubFile now = head.files().get(path);
            if (now != null) {
                answer.put("oid", now.etag());
            }
            answers.add(answer);
        }
        return Answer.json(200, Json.map("files", answers, "commitOid", head.id()));
    }

    private static boolean isBinary(byte[] sample) {
        for (byte b : sample) {
            if (b == 0) {
                return true;
            }
        }
        return false;
    }

    /** With create_pr any account may; on a pull request's own ref its author may; else a writer. */
    private static User checkAuthor(Call call, String revision) {
        User user = call.loggedIn();
        Integer pull = FakeRepo.pullNumber(revision);
        boolean own = pull != null && call.repo().pullAuthor(pull).equals(user.name());
        return createsPull(call) || own ? user : call.writer();
    }

    private static boolean createsPull(Call call) {
        return call.request().flag("create_pr");
    }

    private static byte[] base64(String text) {
        try {
            return Base64.getDecoder().decode(text);
        } catch (IllegalArgumentException e) {
            throw HubError.badRequest("Not base64: " + e.getMessage());
        }
    }

    private static String checkedPath(String path) {
        for (String name : path.split("/", -1)) {
            if (name.isEmpty() || name.equals(".") || name.equals("..") || name.equals(".git")) {
                throw HubError.badRequest("Invalid path: " + path);
            }
        }
        return path;
    }

    /** {@code commit/revision}. */
    Answer commit(Call call) throws IOException, InterruptedException {
        String revision = call.rest(0);
        if (!NDJSON.equals(call.request().headers().get("Content-Type"))) {
            throw new HubError(415, null, "The Content-Type must be " + NDJSON);
        }
        FakeRepo repo = call.repo();
        User user = checkAuthor(call, revision);
        List<JsonNode> lines = lines(call.request().body().bytes());
        JsonNode header = header(lines);
        synchronized (repo) {
            Commit parent = parent(call, revision, Json.text(header, "parentCommit"));
            NavigableMap<String, HubFile> files = new TreeMap<>(parent.files());
            for (JsonNode line : lines.subList(1, lines.size())) {
                apply(repo, parent, files, Json.requiredText(line, "key"), line.path("value"));
            }
            checkFolders(files);
            String description = Json.text(header, "description");
            Commit commit = repo.newCommit(
                    parent,
                    Json.requiredText(header, "summary"),
                    description == null ? "" : description,
                    user.name(),
                    files);
            Map<String, Object> answer = Json.map(
                    "success",
                    true,
                    "commitOid",
                    commit.id(),
                    "commitUrl",
                    repo.url() + "/commit/" + commit.id(),
                    "hookOutput",
                    "");
            if (createsPull(call)) {
                answer.put("pullRequestUrl", repo.url() + "/discussions/" + repo.openPull(commit));
            } else {
                repo.moveRef(revision, commit);
            }
            return Answer.json(200, answer);
        }
    }

    private static List<JsonNode> lines(byte[] body) {
        List<JsonNode> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i <= body.length; i++) {
            if (i == body.length || body[i] == '\n') {
                if (i > start) {
                    lines.add(Json.object(Arrays.copyOfRange(body, start, i)));
                }
                start = i + 1;
            }
        }
        return lines;
    }

    private static JsonNode header(List<JsonNode> lines) {
        if (lines.isEmpty() || !"header".equals(Json.text(lines.get(0), "key"))) {
            throw HubError.badRequest("The first line must be the header");
        }
        JsonNode header = lines.get(0).path("value");
        if (Json.requiredText(header, "summary").isBlank()) {
            throw HubError.badRequest("The summary must not be empty");
        }
        return header;
    }

    private static Commit parent(Call call, String revision, @Nullable String wanted) {
        Commit head = call.repo().commitAt(revision);
        boolean ref =
                FakeRepo.pullNumber(revision) != null || call.repo().branches().containsKey(revision);
        if (!ref) {
            throw HubError.revisionNotFound(revision);
        }
        if (wanted == null) {
            return head;
        }
        if (!wanted.matches("[0-9a-f]{5,40}")) {
            throw HubError.badRequest("parentCommit must be 5 to 40 hexadecimal digits");
        }
        Commit at = head;
        while (createsPull(call) && at != null && !at.id().startsWith(wanted)) {
            at = at.parent();
        }
        if (at == null || !at.id().startsWith(wanted)) {
            throw new HubError(
                    412, null, "The branch was updated since you opened this page. Please refresh and try again.");
        }
        return at;
    }

    private void apply(FakeRepo repo, Commit parent, NavigableMap<String, HubFile> files, String key, JsonNode value) {
        String path = Json.requiredText(value, "path");
        switch (key) {
            case "file" -> files.put(checkedPath(path), regular(parent, path, value));
            case "lfsFile" -> files.put(checkedPath(path), lfs(path, value));
            case "deletedFile" -> {
                if (files.remove(path) == null) {
                    throw new HubError(404, "EntryNotFound", "A file with this name doesn't exist");
                }
            }
            case "deletedFolder" -> {
                String folder = path.endsWith("/") ? path : path + "/";
                if (!files.keySet().removeIf(file -> file.startsWith(folder))) {
                    throw new HubError(404, "EntryNotFound", "A folder with this name doesn't exist");
                }
            }
            case "copyFile" -> {
                String revision = Json.text(value, "srcRevision");
                Commit source = revision == null ? parent : repo.commitAt(revision);
                files.put(checkedPath(path), repo.file(source, Json.requiredText(value, "srcPath")));
            }
            default -> throw HubError.badRequest("Unknown operation: " + key);
        }
    }

    private HubFile regular(Commit parent, String path, JsonNode value) {
        if (!"base64".equals(Json.text(value, "encoding"))) {
            throw HubError.badRequest("The encoding of " + path + " must be base64");
        }
        byte[] content = base64(Json.requiredText(value, "content"));
        boolean belongsToLfs = content.length > 0 && FakeRepo.lfsByName(parent, path);
        if (belongsToLfs || content.length > state.options().lfsThreshold()) {
            throw HubError.badRequest("Your push was rejected because " + path + " has to be an LFS file");
        }
        return HubFile.regular(content);
    }

    private HubFile lfs(String path, JsonNode value) {
        String sha256 = Json.requiredText(value, "oid");
        Content stored = state.lfs().get(sha256);
        if (!"sha256".equals(Json.text(value, "algo"))) {
            throw HubError.badRequest("The algo of " + path + " must be sha256");
        }
        if (stored == null) {
            throw HubError.badRequest(
                    "Your push was rejected because an LFS pointer pointed to a file that does not exist. Offending"
                            + " file: " + path);
        }
        if (value.has("size") && Json.requiredSize(value, "size") != stored.size()) {
            throw HubError.badRequest("The size of " + path + " is " + stored.size());
        }
        return HubFile.lfs(sha256, stored);
    }

    /** No path can be a file and a folder at once. */
    private static void checkFolders(NavigableMap<String, HubFile> files) {
        for (String path : files.keySet()) {
            String below = files.higherKey(path + "/");
            if (below != null && below.startsWith(path + "/")) {
                throw HubError.badRequest("Invalid path: " + below + " is below the file " + path);
            }
        }
    }
}
