package io.gptq4j.hub.internal.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.internal.http.Endpoint;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.repo.Identity;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoInfo;
import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.RepoRefs;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.repo.SearchQuery;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import okhttp3.FormBody;
import okhttp3.HttpUrl;
import okhttp3.RequestBody;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;

/**
 * The Hub's JSON API. What only reads is tried again when the network or the server fails; what changes something is tried
 * again too, and "it is there already" or "it is gone already" then counts as done if an earlier answer got lost.
 *
 * <p>Safe for concurrent use.
 */
public final class HubApi {
    private static final int PATHS_PER_CALL = 500;
    private static final long MOST_BODY = 1 << 16;
    private static final Pattern NEXT_PAGE = Pattern.compile("<([^>]*)>\\s*;[^,]*\\brel=\"?next\"?");
    private static final String BUSY = "another conflicting operation is in progress";

    private final HubHttp http;
    private final Endpoint endpoint;

    /** Over a transport. */
    public HubApi(HubHttp http) {
        this.http = http;
        endpoint = http.endpoint();
    }

    /** Whose token this is. */
    public Identity whoami() throws IOException {
        String action = "ask whose token this is";
        if (http.config().token().isEmpty()) {
            throw new AuthenticationException("Cannot " + action + ": there is none; log in, or set HF_TOKEN");
        }
        return Answers.identity(http.json(HubRequest.get(action, endpoint.api("whoami-v2"))));
    }

    /** What the Hub tells about a repository at a revision. */
    public RepoInfo info(Repo repo, Revision revision) throws IOException {
        String action = "get the info of " + repo + " at revision '" + revision + "'";
        return Answers.info(http.json(HubRequest.get(action, endpoint.api(repo, "revision", revision.name()))));
    }

    /** The commit of a revision. */
    public String commitOf(Repo repo, Revision revision) throws IOException {
        String action = "find the commit of " + repo + " at revision '" + revision + "'";
        String commit = info(repo, revision).sha();
        if (commit == null) {
            throw new HubException("Cannot " + action + ": the Hub names no commit; is this the address of a Hub?");
        }
        try {
            return RepoPaths.requireName(commit);
        } catch (IllegalArgumentException e) {
            throw new HubException("Cannot " + action + ": the Hub's answer is refused: " + e.getMessage(), e);
        }
    }

    /**
     * Files and folders, all pages of them.
     *
     * @param folder where to look, or null for the root
     */
    public List<RepoEntry> tree(Repo repo, Revision revision, @Nullable String folder, boolean recursive)
            throws IOException {
        String action = "list the files of " + repo + " at revision '" + revision + "'";
        HttpUrl url = folder == null
                ? endpoint.api(repo, "tree", revision.name())
                : endpoint.api(repo, "tree", revision.name(), folder);
        List<RepoEntry> entries = new ArrayList<>();
        HttpUrl first = url.newBuilder()
                .addQueryParameter("recursive", String.valueOf(recursive))
                .addQueryParameter("expand", "false")
                .build();
        for (JsonNode entry : pages(action, first, Integer.MAX_VALUE)) {
            entries.add(Answers.entry(action, entry));
        }
        return entries;
    }

    /** All files of a commit. */
    public List<RepoFile> files(Repo repo, String commit) throws IOException {
        return tree(repo, new Revision(commit), null, true).stream()
                .filter(RepoFile.class::isInstance)
                .map(RepoFile.class::cast)
                .toList();
    }

    /** What is at some paths; those where nothing is are left out. */
    public List<RepoEntry> pathsInfo(Repo repo, Revision revision, List<String> paths) throws IOException {
        String action = "look at files of " + repo + " at revision '" + revision + "'";
        List<RepoEntry> entries = new ArrayList<>();
        for (int from = 0; from < paths.size(); from += PATHS_PER_CALL) {
            FormBody.Builder form = new FormBody.Builder(StandardCharsets.UTF_8);
            paths.subList(from, Math.min(paths.size(), from + PATHS_PER_CALL)).forEach(path -> form.add("paths", path));
            form.add("expand", "false");
            HttpUrl url = endpoint.api(repo, "paths-info", revision.name());
            for (JsonNode entry : http.json(HubRequest.send("POST", action, url, form.build()))) {
                entries.add(Answers.entry(action, entry));
            }
        }
        return entries;
    }

    /** Branches, tags and pull requests. */
    public RepoRefs refs(Repo repo) throws IOException {
        HttpUrl url = endpoint.api(repo, "refs")
                .newBuilder()
                .addQueryParameter("include_prs", "1")
                .build();
        return Answers.refs(http.json(HubRequest.get("list the refs of " + repo, url)));
    }

    /** The newest commits of a revision, newest first. */
    public List<Commit> commits(Repo repo, Revision revision) throws IOException {
        String action = "list the commits of " + repo + " at revision '" + revision + "'";
        List<Commit> commits = new ArrayList<>();
        for (JsonNode commit : http.json(HubRequest.get(action, endpoint.api(repo, "commits", revision.name())))) {
            commits.add(
                    new Commit(commit.path("id").asText(), commit.path("title").asText()));
        }
        return commits;
    }

    /**
     * A commit in a list.
     *
     * @param hash its hash
     * @param title the first line of its message
     */
    public record Commit(String hash, String title) {}

    /** Repositories that fit, best first as the Hub sees it. */
    public List<RepoInfo> search(SearchQuery query) throws IOException {
        HttpUrl.Builder url = endpoint.api(query.type().plural()).newBuilder();
        if (query.search() != null) {
            url.addQueryParameter("search", query.search());
        }
        if (query.author() != null) {
            url.addQueryParameter("author", query.author());
        }
        query.filters().forEach(filter -> url.addQueryParameter("filter", filter));
        if (query.sort() != null) {
            url.addQueryParameter("sort", query.sort());
        }
        url.addQueryParameter("limit", String.valueOf(query.limit()));
        String action = "search for " + query.type().plural();
        return pages(action, url.build(), query.limit()).stream()
                .map(Answers::info)
                .toList();
    }

    /** Whether a repository is there, as far as the token may see; one with restricted access is. */
    public boolean exists(Repo repo) throws IOException {
        try {
            http.json(HubRequest.get("look for " + repo, endpoint.api(repo)));
            return true;
        } catch (GatedRepositoryException e) {
            return true;
        } catch (RepositoryNotFoundException e) {
            return false;
        }
    }

    /** Whether a repository has a revision. */
    public boolean exists(Repo repo, Revision revision) throws IOException {
        try {
            info(repo, revision);
            return true;
        } catch (RepositoryNotFoundException | RevisionNotFoundException e) {
            return false;
        }
    }

    /**
     * Makes a repository.
     *
     * @param spaceSdk what a space runs, or null for other types
     * @param isPrivate whether others may not see it, or null for the namespace's default
     * @param existOk whether it is well if it is there already; nothing of it is changed then
     * @return the address of its page
     */
    public String create(Repo repo, @Nullable String spaceSdk, @Nullable Boolean isPrivate, boolean existOk)
            throws IOException {
        ObjectNode body = Json.object()
                .put("name", repo.id().name())
                .put("organization", repo.id().namespace());
        if (isPrivate != null) {
            body.put("visibility", isPrivate ? "private" : "public");
        }
        if (repo.type() != RepoType.MODEL) {
            body.put("type", repo.type().singular());
        }
        if (spaceSdk != null) {
            body.put("sdk", spaceSdk);
        }
        String page = endpoint.page(repo).toString();
        HubRequest request = json("POST", "create " + repo, endpoint.api("repos", "create"), body);
        try {
            return change(request, existOk, Set.of(409))
                    .map(HttpUrl::parse) // private hubs may give a relative one
                    .map(url -> endpoint.rewritten(url).toString())
                    .orElse(page);
        } catch (HubHttpException | AuthenticationException | RepositoryNotFoundException e) {
            // Who may push to a repository that is there need not be allowed to make one in its namespace.
            if (existOk && mayNotCreate(e) && exists(repo)) {
                return page;
            }
            throw e;
        }
    }

    private static boolean mayNotCreate(HubException e) {
        return !(e instanceof HubHttpException http) || http.status() == 403 || http.status() == 402;
    }

    /** Removes a repository for good. */
    public void delete(Repo repo, boolean missingOk) throws IOException {
        ObjectNode body = Json.object()
                .put("name", repo.id().name())
                .put("organization", repo.id().namespace());
        if (repo.type() != RepoType.MODEL) {
            body.put("type", repo.type().singular());
        }
        change(json("DELETE", "delete " + repo, endpoint.api("repos", "delete"), body), missingOk, Set.of(404));
    }

    /** Makes a branch that starts at a revision, or with null at the head of main. */
    public void createBranch(Repo repo, String branch, @Nullable Revision from, boolean existOk) throws IOException {
        ObjectNode body = Json.object();
        if (from != null) {
            body.put("startingPoint", from.name());
        }
        HttpUrl url = endpoint.api(repo, "branch", new Revision(branch).name());
        change(json("POST", "create branch '" + branch + "' of " + repo, url, body), existOk, Set.of(409));
    }

    /** Removes a branch. */
    public void deleteBranch(Repo repo, String branch) throws IOException {
        deleteReference(repo, "branch", branch);
    }

    /** Makes a tag at a revision, with a message or, with null, without. */
    public void createTag(Repo repo, String tag, Revision at, @Nullable String message, boolean existOk)
            throws IOException {
        ObjectNode body = Json.object().put("tag", new Revision(tag).name());
        if (message != null) {
            body.put("message", message);
        }
        HttpUrl url = endpoint.api(repo, "tag", at.name());
        change(json("POST", "create tag '" + tag + "' of " + repo, url, body), existOk, Set.of(409));
    }

    /** Removes a tag. */
    public void deleteTag(Repo repo, String tag) throws IOException {
        deleteReference(repo, "tag", tag);
    }

    private void deleteReference(Repo repo, String kind, String name) throws IOException {
        HttpUrl url = endpoint.api(repo, kind, new Revision(name).name());
        String what = "delete " + kind + " '" + name + "' of " + repo;
        change(HubRequest.send("DELETE", what, url, RequestBody.EMPTY), false, Set.of(404));
    }

    /**
     * Sends a change until it is made. Once an answer has got lost, the change may be there already, and the statuses that
     * say so are good news.
     *
     * @param alreadyOk whether those statuses are good news in any case
     * @return the field "url" of the answer, if there is one
     */
    private Optional<String> change(HubRequest request, boolean alreadyOk, Set<Integer> already) throws IOException {
        Retry.Budget budget = http.retry().budget();
        boolean lost = false;
        while (true) {
            try (Response response = http.follow(request, redirect -> true)) {
                String text = beginning(request, response);
                if (already.contains(response.code()) && text.contains(BUSY)) {
                    budget.failed(new HubHttpException(
                            "Cannot " + request.action() + ": " + BUSY, 503, Duration.ofSeconds(1)));
                    continue;
                }
                if (!already.contains(response.code()) || !(alreadyOk || lost)) {
                    http.accept(request, response);
                }
                return Optional.ofNullable(url(text));
            } catch (HubException e) {
                lost |= Retry.isAmbiguous(e);
                budget.failed(e);
            }
        }
    }

    private static String beginning(HubRequest request, Response response) throws IOException {
        try {
            return response.peekBody(MOST_BODY).string();
        } catch (IOException e) {
            throw HubHttp.broken(request, e);
        }
    }

    /** The field "url" of an answer; the change is made, whatever else the answer looks like. */
    private static @Nullable String url(String answer) {
        try {
            return Json.text(Json.read(answer), "url");
        } catch (JsonProcessingException e) {
            return null;
        }
    }

    /** The elements of a list that comes in pages, each page naming the next in its header Link. */
    private List<JsonNode> pages(String action, HttpUrl first, int most) throws IOException {
        List<JsonNode> elements = new ArrayList<>();
        @Nullable HttpUrl next = first;
        Set<HttpUrl> seen = new HashSet<>();
        while (next != null && elements.size() < most) {
            HttpUrl url = next;
            if (!seen.add(url)) {
                throw new HubException("Cannot " + action + ": its pages name each other as the next, without an end");
            }
            HubRequest request = HubRequest.get(action, url);
            next = http.retry()
                    .<Optional<HttpUrl>>run(() -> {
                        try (Response response = http.call(request)) {
                            List<JsonNode> page = new ArrayList<>();
                            HubHttp.json(request, response).forEach(page::add);
                            elements.addAll(page);
                            return response.headers("Link").stream()
                                    .map(NEXT_PAGE::matcher)
                                    .filter(Matcher::find)
                                    .findFirst()
                                    .map(link -> url.resolve(link.group(1)));
                        }
                    })
                    .map(endpoint::rewritten)
                    .orElse(null);
        }
        return elements.subList(0, Math.min(most, elements.size()));
    }

    private static HubRequest json(String method, String action, HttpUrl url, ObjectNode body) {
        return HubRequest.send(method, action, url, HubRequest.body(body, HubRequest.JSON));
    }
}
