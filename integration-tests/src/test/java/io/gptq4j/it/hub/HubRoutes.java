package io.gptq4j.it.hub;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Finds user, repository and route of a request to the hub. */
final class HubRoutes implements Connection.Handler {
    /** What may follow a repository's id, told apart from the second half of an id. */
    private static final Set<String> ROUTES = Set.of(
            "revision",
            "tree",
            "paths-info",
            "refs",
            "commits",
            "commit",
            "preupload",
            "branch",
            "tag",
            "settings",
            "auth-check",
            "resolve");

    private static final String INVALID_TOKEN = "Invalid credentials in Authorization header";

    private final HubState state;
    private final Storage storage;
    private final InfoRoutes info;
    private final ListRoutes lists;
    private final ResolveRoutes resolve;
    private final RepoRoutes repos;
    private final CommitRoutes commits;
    private final LfsRoutes lfs;

    HubRoutes(HubState state, Storage storage) {
        this.state = state;
        this.storage = storage;
        this.info = new InfoRoutes();
        this.lists = new ListRoutes(state);
        this.resolve = new ResolveRoutes(state);
        this.repos = new RepoRoutes(state);
        this.commits = new CommitRoutes(state);
        this.lfs = new LfsRoutes(state, storage);
    }

    @Override
    public Answer handle(Request request) throws IOException, InterruptedException {
        if (state.options().cdnSameHost() && Storage.owns(request.path())) {
            return storage.handle(request);
        }
        Answer answer;
        try {
            answer = route(request, request.segments());
        } catch (Moved e) {
            answer = Answer.redirect(307, e.location());
        } catch (HubError e) {
            answer = Answer.error(e);
        }
        boolean resolver =
                request.path().contains("/resolve/") || request.path().startsWith("/api/resolve-cache/");
        String bucket = resolver ? "\"resolvers\"" : "\"api\"";
        return answer.header("RateLimit", bucket + ";r=4990;t=120")
                .header("RateLimit-Policy", "\"fixed window\";" + bucket + ";q=5000;w=300");
    }

    private static Answer notFound() {
        return Answer.text(404, "Not Found");
    }

    private Answer route(Request request, List<String> segments) throws IOException, InterruptedException {
        User user = user(request);
        if (!segments.get(0).equals("api")) {
            return web(request, user, segments);
        }
        if (segments.size() < 2) {
            return notFound();
        }
        String word = segments.get(1);
        if (word.equals("resolve-cache") && segments.size() > 4) {
            return resolveCache(request, user, segments);
        }
        RepoType type = RepoType.ofPlural(word);
        if (type != null) {
            return segments.size() == 2
                    ? lists.search(request, user, type)
                    : api(request, user, type, segments.subList(2, segments.size()));
        }
        return switch (request.method() + " " + String.join("/", segments.subList(1, segments.size()))) {
            case "GET whoami-v2" -> info.whoami(user);
            case "POST validate-yaml" -> info.validateYaml(request);
            case "POST repos/create" -> repos.create(request, user);
            case "DELETE repos/delete" -> repos.delete(request, user);
            case "POST repos/move" -> repos.move(request, user);
            default -> notFound();
        };
    }

    private static @Nullable User user(Request request) {
        String header = request.headers().get("Authorization");
        if (header == null) {
            return null;
        }
        User user = header.startsWith("Bearer ") ? HubState.userOf(header.substring("Bearer ".length())) : null;
        if (user == null) {
            throw new HubError(401, null, INVALID_TOKEN);
        }
        return user;
    }

    /** The repository, if this user may know of it. */
    private FakeRepo repo(Request request, @Nullable User user, RepoType type, String id) {
        FakeRepo repo = state.find(type, id);
        boolean old = repo == null;
        if (repo == null) {
            repo = state.movedFrom(type, id);
        }
        if (repo == null || (repo.isPrivate() && (user == null || !user.owns(namespaceOf(repo.id()))))) {
            throw user == null ? HubError.notLoggedIn() : HubError.repoNotFound();
        }
        if (old) {
            String path = request.path();
            int at = path.indexOf("/" + id) + 1;
            String moved = path.substring(0, at) + repo.id() + path.substring(at + id.length());
            throw new Moved(request.query().isEmpty() ? moved : moved + "?" + request.query());
        }
        if (repo.isDisabled()) {
            throw new HubError(403, null, "Access to this resource is disabled.");
        }
        return repo;
    }

    private static String namespaceOf(String id) {
        return id.contains("/") ? id.substring(0, id.indexOf('/')) : id;
    }

    private Answer api(Request request, @Nullable User user, RepoType type, List<String> segments)
            throws IOException, InterruptedException {
        boolean single = segments.size() == 1
                || (ROUTES.contains(segments.get(1))
                        && state.find(type, segments.get(0) + "/" + segments.get(1)) == null);
        int idParts = single ? 1 : 2;
        FakeRepo repo = repo(request, user, type, String.join("/", segments.subList(0, idParts)));
        String word = segments.size() > idParts ? segments.get(idParts) : "";
        Call call = new Call(
                request, user, repo, segments.subList(Math.min(idParts + 1, segments.size()), segments.size()));
        return switch (request.method() + " " + word) {
            case "GET " -> info.info(call, "main");
            case "GET revision" -> info.info(call, call.rest(0));
            case "GET auth-check" -> info.authCheck(call);
            case "GET tree" -> lists.tree(call);
            case "POST paths-info" -> lists.pathsInfo(call);
            case "GET refs" -> lists.refs(call);
            case "GET commits" -> lists.commits(call);
            case "POST branch" -> repos.createBranch(call);
            case "DELETE branch" -> repos.deleteBranch(call);
            case "POST tag" -> repos.createTag(call);
            case "DELETE tag" -> repos.deleteTag(call);
            case "PUT settings" -> repos.settings(call);
            case "POST preupload" -> commits.preupload(call);
            case "POST commit" -> commits.commit(call);
            default -> notFound();
        };
    }

    private Answer resolveCache(Request request, @Nullable User user, List<String> segments) {
        RepoType type = RepoType.ofPlural(segments.get(2));
        if (type == null || !request.isRead()) {
            return notFound();
        }
        int end = segments.get(4).matches("[0-9a-f]{40}") ? 4 : 5;
        FakeRepo repo = repo(request, user, type, String.join("/", segments.subList(3, end)));
        return resolve.cached(new Call(request, user, repo, segments.subList(end, segments.size())));
    }

    /** Routes outside /api: file contents and LFS. */
    private Answer web(Request request, @Nullable User user, List<String> all)
            throws IOException, InterruptedException {
        RepoType prefixed = RepoType.ofPlural(all.get(0));
        RepoType type = prefixed == null ? RepoType.MODEL : prefixed;
        List<String> segments = prefixed == null ? all : all.subList(1, all.size());
        for (int i = 1; i <= 2 && i < segments.size(); i++) {
            List<String> rest = segments.subList(i + 1, segments.size());
            String id = String.join("/", segments.subList(0, i));
            if (segments.get(i).equals("resolve") && request.isRead() && rest.size() >= 2) {
                return resolve.resolve(new Call(request, user, repo(request, user, type, id), rest));
            }
            if (segments.get(i).equals("info")
                    && id.endsWith(".git")
                    && request.method().equals("POST")) {
                if (String.join("/", rest).startsWith("lfs/complete/")) { // its address is its credential
                    return lfs.complete(request, rest.get(2));
                }
                String bare = id.substring(0, id.length() - ".git".length());
                return lfs(new Call(request, user, repo(request, user, type, bare), rest));
            }
        }
        return notFound();
    }

    private Answer lfs(Call call) throws IOException, InterruptedException {
        String route = String.join("/", call.rest());
        if (route.equals("lfs/objects/batch")) {
            return lfs.batch(call);
        }
        if (route.equals("lfs/verify")) {
            return lfs.verify(call);
        }
        return notFound();
    }
}
