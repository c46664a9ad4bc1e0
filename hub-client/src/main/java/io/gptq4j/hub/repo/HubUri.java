package io.gptq4j.hub.repo;

import org.jspecify.annotations.Nullable;

/**
 * A repository, and perhaps a revision and a path in it, as one string: {@code ns/name}, or
 * {@code hf://[models/|datasets/|spaces/]ns/name[@revision][/path]}.
 *
 * @param repo the repository
 * @param revision the revision, or null if none is named
 * @param path the path, or null if none is named
 */
public record HubUri(
        Repo repo, @Nullable Revision revision, @Nullable String path) {
    private static final String SCHEME = "hf://";

    /** Whether the text begins with {@code hf://}. */
    public static boolean isUri(String text) {
        return text.startsWith(SCHEME);
    }

    /**
     * Reads the URI form.
     *
     * @throws IllegalArgumentException if it is not of that form
     */
    public static HubUri parse(String text) {
        if (!isUri(text)) {
            throw new IllegalArgumentException("'" + text + "' does not begin with " + SCHEME);
        }
        String rest = text.substring(SCHEME.length());
        RepoType type = RepoType.MODEL;
        for (RepoType candidate : RepoType.values()) {
            if (rest.startsWith(candidate.plural() + "/")) {
                type = candidate;
                rest = rest.substring(candidate.plural().length() + 1);
            }
        }
        int slash = rest.indexOf('/');
        int end = slash < 0 ? -1 : rest.indexOf('/', slash + 1);
        int at = rest.indexOf('@');
        if (end >= 0 && at > end) {
            at = -1; // it belongs to the path
        }
        // ns/name@refs/pr/1/path: a special ref keeps its slashes, any other revision ends at the first.
        if (at >= 0) {
            Repo repo = new Repo(type, RepoId.parse(rest.substring(0, at)));
            String tail = rest.substring(at + 1);
            int close = tail.indexOf('/');
            if (tail.startsWith("refs/")) {
                close = tail.indexOf('/', tail.indexOf('/', "refs/".length()) + 1);
            }
            String revision = (close < 0 ? tail : tail.substring(0, close)).replaceAll("%2[Ff]", "/");
            return new HubUri(repo, new Revision(revision), pathOrNull(close < 0 ? "" : tail.substring(close + 1)));
        }
        Repo repo = new Repo(type, RepoId.parse(end < 0 ? rest : rest.substring(0, end)));
        return new HubUri(repo, null, pathOrNull(end < 0 ? "" : rest.substring(end + 1)));
    }

    private static @Nullable String pathOrNull(String path) {
        return path.isEmpty() ? null : path;
    }
}
