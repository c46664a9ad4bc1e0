package io.gptq4j.hub.internal.upload;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.internal.api.HubApi;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.internal.http.Patience;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoRefs;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import okhttp3.HttpUrl;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends a commit, and never makes two of it. When the answer gets lost, the Hub may have made the commit or not, or may be
 * about to. So:
 *
 * <ol>
 *   <li>The head of the branch is asked for before, and the commit is sent on the condition that it still is the head
 *       ({@code parentCommit}). Sent however often, it can come through once.
 *   <li>After a lost answer the commits made since are looked at. One that has our message and holds what ours was to change
 *       is ours.
 *   <li>Otherwise it is sent again, on the same condition.
 *   <li>If the branch has moved on and nothing was lost, the new head is taken, unless the user named the parent.
 * </ol>
 *
 * <p>A pull request has no head to make conditions on, so it is looked for among those that are open, and not sent again.
 */
final class Commits {
    private static final Logger LOG = LoggerFactory.getLogger(Commits.class);
    private static final int PRECONDITION_FAILED = 412;
    private static final int NEWEST_PULL_REQUESTS = 5;
    private static final int MOST_CONFLICTS = 5;

    private final HubHttp http;
    private final HubApi api;
    private final CommitRequest request;
    private final Changes changes;

    Commits(HubHttp http, HubApi api, CommitRequest request, Changes changes) {
        this.http = http;
        this.api = api;
        this.request = request;
        this.changes = changes;
    }

    CommitResult make() throws IOException {
        Retry.Budget budget = http.retry().budget();
        @Nullable String parent = request.parentCommit();
        boolean lost = false;
        int conflicts = 0;
        while (true) {
            if (parent == null && !request.createPullRequest()) {
                parent = api.commitOf(request.repo(), request.revision());
            }
            try {
                return send(parent);
            } catch (HubException e) {
                boolean conflict = e instanceof HubHttpException http && http.status() == PRECONDITION_FAILED;
                if (conflict && !lost && request.parentCommit() == null && conflicts++ < MOST_CONFLICTS) {
                    parent = null; // somebody else was faster
                } else if (Retry.isAmbiguous(e) || (conflict && lost)) {
                    lost = true;
                    CommitResult made = look(e, parent);
                    if (made != null) {
                        LOG.info("The answer was lost, but the commit was made: {}", made.url());
                        return made;
                    }
                    budget.failed(e);
                } else {
                    budget.failed(e); // certainly not made; waits if it may be later
                }
            }
        }
    }

    /** Looks for the commit whose answer was lost; null if it was not made. */
    private @Nullable CommitResult look(HubException failure, @Nullable String parent) throws IOException {
        try {
            return request.createPullRequest() ? lookForPullRequest() : lookForCommit(parent);
        } catch (HubException e) {
            HubException unknown = new HubException(
                    failure.getMessage() + "; whether the commit was made could not be found out: look at "
                            + http.endpoint().page(request.repo()) + " before trying again",
                    failure);
            unknown.addSuppressed(e);
            throw unknown;
        }
    }

    private @Nullable CommitResult lookForCommit(@Nullable String parent) throws IOException {
        String title = request.summary().lines().findFirst().orElse("").strip();
        for (HubApi.Commit commit : api.commits(request.repo(), request.revision())) {
            if (parent != null && commit.hash().startsWith(parent)) {
                break;
            }
            if (commit.title().strip().equals(title) && isApplied(commit.hash())) {
                return result(commit.hash(), null);
            }
        }
        return null;
    }

    private CommitResult lookForPullRequest() throws IOException {
        List<RepoRefs.Ref> newest = new ArrayList<>(api.refs(request.repo()).pullRequests());
        newest.sort((a, b) -> Integer.compare(number(b), number(a)));
        for (RepoRefs.Ref ref : newest.subList(0, Math.min(NEWEST_PULL_REQUESTS, newest.size()))) {
            if (isApplied(ref.targetCommit())) {
                String page = http.endpoint().page(request.repo()) + "/discussions/" + number(ref);
                return result(ref.targetCommit(), page);
            }
        }
        throw new HubException("No pull request of " + request.repo() + " holds these changes");
    }

    /** The head of a branch, as the result of a commit that has nothing to change. */
    static CommitResult head(HubHttp http, HubApi api, Repo repo, Revision revision) throws IOException {
        String head = api.commitOf(repo, revision);
        return new CommitResult(head, page(http, repo, head), null, false);
    }

    private CommitResult send(@Nullable String parent) throws IOException {
        CommitBody body = new CommitBody(request.summary(), request.description(), parent);
        changes.regular.forEach(body::file);
        changes.lfs.forEach(file -> body.lfsFile(file.path(), sha256(file), file.size()));
        changes.stored.forEach((path, content) -> body.lfsFile(path, content.sha256(), content.size()));
        changes.deletes.forEach(delete -> body.deleted(delete.path(), delete.isFolder()));
        HttpUrl.Builder url = http.endpoint()
                .api(request.repo(), "commit", request.revision().name())
                .newBuilder();
        if (request.createPullRequest()) {
            url.addQueryParameter("create_pr", "1");
        }
        HubRequest commit = HubRequest.send("POST", "commit to " + request.repo(), url.build(), body)
                .patience(Patience.COMPLETION);
        try (Response response = http.call(commit)) {
            JsonNode answer = HubHttp.json(commit, response);
            String hash = Json.text(answer, "commitOid");
            if (hash == null) {
                throw new HubException("Cannot " + commit.action()
                        + ": the Hub's answer names no commit; is this the address of a Hub?");
            }
            String page = Json.text(answer, "commitUrl");
            return new CommitResult(
                    hash,
                    page == null ? page(http, request.repo(), hash) : page,
                    Json.text(answer, "pullRequestUrl"),
                    true);
        }
    }

    private static String sha256(LocalContent file) {
        try {
            return file.sha256();
        } catch (IOException e) {
            throw new IllegalStateException("The hash of " + file.source() + " was known before", e);
        }
    }

    private static int number(RepoRefs.Ref ref) {
        String digits = ref.ref().replaceFirst(".*/", "");
        return digits.matches("\\d{1,9}") ? Integer.parseInt(digits) : 0;
    }

    private CommitResult result(String commit, @Nullable String pullRequest) {
        return new CommitResult(commit, page(http, request.repo(), commit), pullRequest, true);
    }

    /** Whether a commit holds all that was to be added and nothing that was to go. */
    private boolean isApplied(String commit) throws IOException {
        List<String> paths = new ArrayList<>(changes.stored.keySet());
        changes.regular.forEach(file -> paths.add(file.path()));
        changes.lfs.forEach(file -> paths.add(file.path()));
        changes.deletes.forEach(delete -> paths.add(delete.path()));
        Map<String, String> there = new HashMap<>();
        for (RepoEntry entry : api.pathsInfo(request.repo(), new Revision(commit), paths)) {
            there.put(entry.path(), entry instanceof RepoFile file ? file.etag() : "");
        }
        for (LocalContent file : changes.regular) {
            String etag = there.get(file.path());
            if (etag == null || !(etag.equals(file.gitId()) || etag.equals(file.sha256()))) {
                return false;
            }
        }
        for (LocalContent file : changes.lfs) {
            if (!file.sha256().equals(there.get(file.path()))) {
                return false;
            }
        }
        for (Map.Entry<String, Changes.Stored> content : changes.stored.entrySet()) {
            if (!content.getValue().sha256().equals(there.get(content.getKey()))) {
                return false;
            }
        }
        for (CommitOperation.Delete delete : changes.deletes) {
            if (there.containsKey(delete.path())) {
                return false;
            }
        }
        return true;
    }

    private static String page(HubHttp http, Repo repo, String commit) {
        return http.endpoint().page(repo) + "/commit/" + commit;
    }
}
