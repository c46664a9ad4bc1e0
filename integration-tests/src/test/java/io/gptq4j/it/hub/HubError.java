package io.gptq4j.it.hub;

import org.jspecify.annotations.Nullable;

/** An answer of the hub's error model: status, X-Error-Code if there is one, X-Error-Message. */
final class HubError extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;
    private final @Nullable String code;
    private final String text;
    private @Nullable String repoCommit;

    HubError(int status, @Nullable String code, String text) {
        super(text, null, false, false);
        this.status = status;
        this.code = code;
        this.text = text;
    }

    static HubError badRequest(String text) {
        return new HubError(400, null, text);
    }

    static HubError repoNotFound() {
        return new HubError(404, "RepoNotFound", "Repository not found");
    }

    static HubError revisionNotFound(String revision) {
        return new HubError(404, "RevisionNotFound", "Invalid rev id: " + revision);
    }

    static HubError entryNotFound(String commit) {
        HubError error = new HubError(404, "EntryNotFound", "Entry not found");
        error.repoCommit = commit;
        return error;
    }

    static HubError notLoggedIn() {
        return new HubError(401, null, "Invalid username or password.");
    }

    int status() {
        return status;
    }

    @Nullable
    String code() {
        return code;
    }

    String text() {
        return text;
    }

    @Nullable
    String repoCommit() {
        return repoCommit;
    }
}
