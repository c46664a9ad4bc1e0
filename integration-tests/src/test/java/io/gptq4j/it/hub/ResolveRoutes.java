package io.gptq4j.it.hub;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;

/** Where a file's content is, and the content of small files. */
final class ResolveRoutes {
    private final HubState state;

    ResolveRoutes(HubState state) {
        this.state = state;
    }

    /** {@code /ns/name/resolve/revision/path}. */
    Answer resolve(Call call) {
        call.checkGate();
        Commit commit = call.repo().commitAt(call.rest(0));
        String path = call.path(1);
        HubFile file = call.repo().file(commit, path);
        if (file.isLfs()) {
            return toStorage(call, commit, file, path);
        }
        if (state.options().resolveStyle() == FakeHub.ResolveStyle.DIRECT) {
            return content(call.request(), commit, file, path);
        }
        // The query's first name is the path that was asked for, as the real service has it.
        String location = "/api/resolve-cache/" + call.repo().repoType().plural() + "/"
                + call.repo().id() + "/"
                + commit.id() + "/" + encodedPath(path) + "?"
                + encoded(call.request().path()) + "=&etag="
                + encoded("\"" + file.etag() + "\"");
        return metadata(Answer.redirect(307, location), commit);
    }

    /** {@code /api/resolve-cache/models/ns/name/commit/path}. */
    Answer cached(Call call) {
        call.checkGate();
        Commit commit = call.repo().commitAt(call.rest(0));
        String path = call.path(1);
        return content(call.request(), commit, call.repo().file(commit, path), path);
    }

    private static Answer content(Request request, Commit commit, HubFile file, String path) {
        Answer whole = Answer.of(200, "text/plain; charset=utf-8", file.content())
                .header("ETag", "\"" + file.etag() + "\"")
                .header("Content-Disposition", disposition(path));
        return metadata(Ranges.apply(request, whole), commit);
    }

    private Answer toStorage(Call call, Commit commit, HubFile file, String path) {
        String resource = "/_cdn/" + file.etag();
        String location = state.storageUrl() + resource + "?response-content-disposition="
                + URLEncoder.encode(disposition(path), StandardCharsets.UTF_8) + "&Expires=3600&Signature="
                + state.signatures().sign(resource);
        Answer answer = metadata(Answer.redirect(302, location), commit)
                .header("X-Linked-Size", Long.toString(file.size()))
                .header("X-Linked-ETag", "\"" + file.etag() + "\"");
        if (state.options().xet()) {
            answer.header("X-Xet-Hash", file.xetHash())
                    .header(
                            "Link",
                            "<" + state.hubUrl() + "/api/"
                                    + call.repo().repoType().plural() + "/"
                                    + call.repo().id() + "/xet-read-token/" + commit.id() + ">; rel=\"xet-auth\"");
        }
        return answer;
    }

    private static Answer metadata(Answer answer, Commit commit) {
        return answer.header("X-Repo-Commit", commit.id()).header("Accept-Ranges", "bytes");
    }

    private static String disposition(String path) {
        return "inline; filename=\"" + path.substring(path.lastIndexOf('/') + 1) + "\";";
    }

    private static String encodedPath(String path) {
        return encoded(path).replace("%2F", "/");
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
