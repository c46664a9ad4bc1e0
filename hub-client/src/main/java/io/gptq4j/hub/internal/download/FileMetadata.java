package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.internal.api.HubApi;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Patience;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import okhttp3.HttpUrl;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a HEAD of a file tells: {@code X-Repo-Commit}, {@code X-Linked-ETag} or {@code ETag}, {@code X-Linked-Size} or
 * {@code Content-Length}.
 *
 * @param commit the commit that the revision is at
 * @param file path, size and hash
 * @param store where the content is, if not at the Hub's own address of the file
 */
record FileMetadata(String commit, RepoFile file, @Nullable HttpUrl store) {
    private static final Logger LOG = LoggerFactory.getLogger(FileMetadata.class);
    private static final Pattern HASH = Pattern.compile("[0-9a-f]{40}|[0-9a-f]{64}");

    /** Hears that a commit, which the answer names, has no such file. */
    @FunctionalInterface
    interface Absence {
        void at(String commit);
    }

    /**
     * Asks for it, once. Redirects are followed until one carries the metadata itself, which the Hub's to a store do: behind
     * them it would be lost. What a mirror leaves out is asked of the API.
     */
    static FileMetadata of(
            HubHttp http, HubApi api, Repo repo, Revision revision, String path, Patience patience, Absence absence)
            throws IOException {
        HttpUrl resolve = http.endpoint().resolve(repo, revision, path);
        HubRequest request = HubRequest.head(
                        "find '" + path + "' of " + repo + " at revision '" + revision + "'", resolve)
                .header("Accept-Encoding", "identity")
                .patience(patience);
        String[] commit = new String[1];
        Response end = http.follow(request, redirect -> {
            commit[0] = commit[0] == null ? redirect.header("X-Repo-Commit") : commit[0];
            boolean relative = !redirect.header("Location", "").matches("(?i)[a-z][a-z0-9+.-]*:.*|//.*");
            return relative || (redirect.header("X-Linked-ETag") == null && redirect.header("X-Linked-Size") == null);
        });
        try (Response response = end) {
            String header = commit[0] == null ? response.header("X-Repo-Commit") : commit[0];
            String said = header == null ? null : named(response, "X-Repo-Commit", header);
            if ("EntryNotFound".equals(response.header("X-Error-Code")) && said != null) {
                absence.at(said);
            }
            boolean redirected = HubHttp.isRedirect(response.code());
            HttpUrl target = redirected
                    ? response.request().url().resolve(response.header("Location", ""))
                    : response.request().url();
            HttpUrl store = target == null ? null : http.endpoint().rewritten(target);
            if (!redirected) {
                http.accept(request, response);
            }
            String etag = etag(response);
            long size = size(response, redirected);
            String known =
                    said != null ? said : revision.isCommitHash() ? revision.name() : api.commitOf(repo, revision);
            boolean complete = size >= 0 && HASH.matcher(etag).matches();
            RepoFile file =
                    complete ? of(request, path, size, etag) : asked(api, repo, known, path, size, etag, request);
            return new FileMetadata(known, file, resolve.equals(store) ? null : store);
        }
    }

    /** A file whose blob is named by its sha256 or by git's id. */
    private static RepoFile of(HubRequest request, String path, long size, String etag) throws HubException {
        try {
            return new RepoFile(path, size, etag, etag.length() == 64 ? etag : null, null);
        } catch (IllegalArgumentException e) {
            throw new HubException(
                    "Cannot " + request.action() + ": the Hub's answer is refused: " + e.getMessage(), e);
        }
    }

    /** What the API says, where a mirror leaves out what proves the content; without an API, what there is. */
    private static RepoFile asked(
            HubApi api, Repo repo, String commit, String path, long size, String etag, HubRequest request)
            throws IOException {
        try {
            for (RepoEntry entry : api.pathsInfo(repo, new Revision(commit), List.of(path))) {
                if (entry instanceof RepoFile file && file.path().equals(path)) {
                    return file;
                }
            }
        } catch (HubHttpException e) {
            if (size < 0 || etag.isEmpty()) {
                throw e;
            }
        }
        HttpUrl url = request.url();
        if (size < 0 || etag.isEmpty()) {
            throw new EntryNotFoundException("Cannot " + request.action() + ": "
                    + url.newBuilder().query(null).build()
                    + " answered without ETag or Content-Length, and the API knows no such file");
        }
        LOG.warn("{} names no hash of '{}', so its content cannot be checked", url.host(), path);
        return of(request, path, size, etag);
    }

    private static String etag(Response response) throws HubException {
        String etag = response.header("X-Linked-ETag", response.header("ETag", ""));
        String bare = etag.replaceFirst("^W/", "").replaceAll("^\"|\"$", "");
        if (bare.isEmpty()) {
            return "";
        }
        return named(
                response,
                "ETag",
                HASH.matcher(bare.toLowerCase(Locale.ROOT)).matches() ? bare.toLowerCase(Locale.ROOT) : bare);
    }

    private static String named(Response response, String header, String value) throws HubException {
        try {
            return RepoPaths.requireName(value);
        } catch (IllegalArgumentException e) {
            HttpUrl url = response.request().url().newBuilder().query(null).build();
            throw new HubException("The header " + header + " of " + url + " is refused: " + e.getMessage(), e);
        }
    }

    private static long size(Response response, boolean redirected) {
        // The length of a redirect is that of its own body.
        String size = response.header("X-Linked-Size", redirected ? "" : response.header("Content-Length", ""));
        return size.matches("\\d{1,18}") ? Long.parseLong(size) : -1;
    }
}
