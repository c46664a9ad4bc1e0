package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Listings, in pages where they can be long. */
final class ListRoutes {
    private static final int EXPANDED_PAGE = 50;
    private static final int MOST_PATHS = 1000;

    private final HubState state;

    ListRoutes(HubState state) {
        this.state = state;
    }

    /** {@code tree/revision[/folder]}. */
    Answer tree(Call call) {
        Commit commit = call.repo().commitAt(call.rest(0));
        String folder = call.path(1);
        boolean recursive = call.request().flag("recursive");
        boolean expand = call.request().flag("expand");
        String prefix = folder.isEmpty() ? "" : folder + "/";
        if (!folder.isEmpty() && !commit.folders().containsKey(folder)) {
            throw HubError.entryNotFound(commit.id());
        }
        List<String> paths = new ArrayList<>();
        for (String path : everyPath(commit)) {
            boolean below = path.startsWith(prefix);
            if (below && (recursive || path.indexOf('/', prefix.length()) < 0)) {
                paths.add(path);
            }
        }
        int size = expand
                ? Math.min(EXPANDED_PAGE, state.options().pageSize())
                : state.options().pageSize();
        return page(call.request(), paths, size, path -> entry(commit, path, expand));
    }

    private static NavigableSet<String> everyPath(Commit commit) {
        NavigableSet<String> paths = new TreeSet<>(commit.files().keySet());
        paths.addAll(commit.folders().keySet());
        return paths;
    }

    private Map<String, Object> entry(Commit commit, String path, boolean expand) {
        HubFile file = commit.files().get(path);
        Map<String, Object> entry = file != null
                ? file.treeEntry(path, state.options().xet())
                : Json.map(
                        "type", "directory", "oid", commit.folders().getOrDefault(path, ""), "size", 0, "path", path);
        if (expand) {
            Commit last = commit.lastChangeOf(path);
            entry.put(
                    "lastCommit",
                    Json.map("id", last.id(), "title", last.title(), "date", InfoRoutes.date(last.date())));
            if (file != null) {
                entry.put("securityFileStatus", Json.map("status", "safe"));
            }
        }
        return entry;
    }

    /** {@code paths-info/revision}; the body is form-encoded or JSON. */
    Answer pathsInfo(Call call) throws IOException, InterruptedException {
        Commit commit = call.repo().commitAt(call.rest(0));
        String type = String.valueOf(call.request().headers().get("Content-Type"));
        byte[] body = call.request().body().bytes();
        List<String> paths = new ArrayList<>();
        boolean expand;
        if (type.startsWith("application/json")) {
            JsonNode json = Json.object(body);
            json.path("paths").forEach(path -> paths.add(path.asText()));
            expand = json.path("expand").asBoolean();
        } else if (type.startsWith("application/x-www-form-urlencoded")) {
            String form = new String(body, StandardCharsets.UTF_8);
            paths.addAll(Request.params(form, "paths"));
            expand = Request.params(form, "expand").contains("true");
        } else {
            throw new HubError(415, null, "Unsupported Media Type: " + type);
        }
        if (paths.size() > MOST_PATHS) {
            throw new HubError(413, null, "At most " + MOST_PATHS + " paths can be asked for");
        }
        NavigableSet<String> known = everyPath(commit);
        return Answer.json(
                200,
                paths.stream()
                        .filter(known::contains)
                        .map(path -> entry(commit, path, expand))
                        .toList());
    }

    Answer refs(Call call) {
        FakeRepo repo = call.repo();
        Map<String, Object> refs = Json.map(
                "branches", refs("refs/heads/", repo.branches()),
                "converts", List.of(),
                "tags", refs("refs/tags/", repo.tags()));
        if (call.request().flag("include_prs")) {
            refs.put(
                    "pullRequests",
                    repo.pullRequests().stream()
                            .map(pull -> {
                                String ref = "refs/pr/" + pull.number();
                                return Json.map("name", ref, "ref", ref, "targetCommit", pull.head());
                            })
                            .toList());
        }
        return Answer.json(200, refs);
    }

    private static List<Map<String, Object>> refs(String prefix, Map<String, String> heads) {
        List<Map<String, Object>> refs = new ArrayList<>();
        heads.forEach((name, id) -> refs.add(Json.map("name", name, "ref", prefix + name, "targetCommit", id)));
        return refs;
    }

    Answer commits(Call call) {
        return page(
                call.request(),
                call.repo().commits(call.path(0)),
                state.options().pageSize(),
                commit -> Json.map(
                        "id", commit.id(),
                        "title", commit.title(),
                        "message", commit.message(),
                        "authors", List.of(Json.map("user", commit.author())),
                        "date", InfoRoutes.date(commit.date())));
    }

    Answer search(Request request, @Nullable User user, RepoType type) {
        if (!request.isRead()) {
            throw new HubError(404, null, "Not Found");
        }
        List<Map<String, Object>> found = new ArrayList<>();
        for (FakeRepo repo : state.all(type)) {
            boolean visible =
                    !repo.isPrivate() || (user != null && user.owns(repo.id().split("/", -1)[0]));
            Map<String, Object> info = InfoRoutes.full(repo, repo.commitAt("main"), false);
            if (visible && wanted(request, info)) {
                found.add(info);
            }
        }
        String sort = request.param("sort");
        if (sort != null) {
            found.sort(Comparator.comparing((Map<String, Object> info) -> String.valueOf(info.get(sort)))
                    .reversed());
        }
        boolean full = request.flag("full");
        List<String> expand = request.params("expand");
        return page(request, found, state.options().pageSize(), info -> {
            if (expand.isEmpty() && !full) {
                info.remove("siblings");
                info.remove("spaces");
                info.remove("usedStorage");
            }
            if (expand.isEmpty() && !request.flag("config")) {
                info.remove("config");
            }
            if (expand.isEmpty() && !request.flag("cardData")) {
                info.remove("cardData");
            }
            return InfoRoutes.expanded(info, expand);
        });
    }

    private static boolean wanted(Request request, Map<String, Object> info) {
        String author = request.param("author");
        String search = request.param("search");
        String pipeline = request.param("pipeline_tag");
        String gated = request.param("gated");
        List<String> tags = new ArrayList<>();
        if (info.get("tags") instanceof List<?> list) {
            list.forEach(tag -> tags.add(String.valueOf(tag)));
        }
        tags.add(String.valueOf(info.get("pipeline_tag")));
        tags.add(String.valueOf(info.get("library_name")));
        String id = String.valueOf(info.get("id")).toLowerCase(Locale.ROOT);
        return (author == null || author.equals(info.get("author")))
                && (search == null || id.contains(search.toLowerCase(Locale.ROOT)))
                && (pipeline == null || pipeline.equals(info.get("pipeline_tag")))
                && (gated == null || gated.equals("true") != Boolean.FALSE.equals(info.get("gated")))
                && tags.containsAll(request.params("filter"));
    }

    /** One page; the Link header names the next. The cursor is the offset in base64. */
    private <T> Answer page(Request request, List<T> all, int pageSize, Function<T, Map<String, Object>> entry) {
        int from = offset(request.param("cursor"));
        int limit = limit(request.param("limit"), pageSize);
        int to = Math.min(all.size(), from + limit);
        List<Map<String, Object>> page = from >= all.size()
                ? List.of()
                : all.subList(from, to).stream().map(entry).toList();
        Answer answer = Answer.json(200, page);
        if (to < all.size()) {
            StringBuilder query = new StringBuilder();
            for (String pair : request.query().split("&", -1)) {
                if (!pair.isEmpty() && !pair.startsWith("limit=") && !pair.startsWith("cursor=")) {
                    query.append(pair).append('&');
                }
            }
            String cursor = Base64.getUrlEncoder()
                    .withoutPadding()
                    .encodeToString(Integer.toString(to).getBytes(StandardCharsets.US_ASCII));
            query.append("limit=").append(limit).append("&cursor=").append(cursor);
            answer.header("Link", "<" + state.hubUrl() + request.path() + "?" + query + ">; rel=\"next\"");
        }
        return answer;
    }

    private static int limit(@Nullable String text, int pageSize) {
        if (text == null) {
            return pageSize;
        }
        if (!text.matches("[1-9][0-9]{0,6}")) {
            throw HubError.badRequest("\"limit\" must be a positive number");
        }
        return Math.min(pageSize, Integer.parseInt(text));
    }

    private static int offset(@Nullable String cursor) {
        try {
            return cursor == null
                    ? 0
                    : Integer.parseInt(new String(Base64.getUrlDecoder().decode(cursor), StandardCharsets.US_ASCII));
        } catch (IllegalArgumentException e) {
            throw HubError.badRequest("\"cursor\" is not one of ours");
        }
    }
}
