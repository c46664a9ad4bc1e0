package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Who one is, what a repository is, and whether a card is well-formed. */
final class InfoRoutes {
    private static final Set<String> EXPANDABLE = Set.of(
            "author",
            "baseModels",
            "cardData",
            "childrenModelCount",
            "config",
            "createdAt",
            "disabled",
            "downloads",
            "downloadsAllTime",
            "evalResults",
            "gated",
            "gguf",
            "inference",
            "inferenceProviderMapping",
            "lastModified",
            "library_name",
            "likes",
            "mask_token",
            "model-index",
            "pipeline_tag",
            "private",
            "resourceGroup",
            "safetensors",
            "sha",
            "siblings",
            "spaces",
            "tags",
            "transformersInfo",
            "trendingScore",
            "usedStorage",
            "widgetData");

    Answer whoami(@Nullable User user) {
        if (user == null) {
            throw HubError.notLoggedIn();
        }
        return Answer.json(200, user.whoami());
    }

    Answer info(Call call, String revision) {
        Commit commit = call.repo().commitAt(revision);
        List<String> expand = call.request().params("expand");
        boolean blobs = call.request().flag("blobs");
        if (!expand.isEmpty() && blobs) {
            throw HubError.badRequest("\"expand\" cannot be combined with \"blobs\"");
        }
        return Answer.json(200, expanded(full(call.repo(), commit, blobs), expand));
    }

    /** Only what was asked for, besides the ids. */
    static Map<String, Object> expanded(Map<String, Object> info, List<String> expand) {
        if (expand.isEmpty()) {
            return info;
        }
        Map<String, Object> some = new LinkedHashMap<>();
        some.put("_id", info.getOrDefault("_id", ""));
        some.put("id", info.getOrDefault("id", ""));
        for (String name : expand) {
            if (!EXPANDABLE.contains(name)) {
                throw HubError.badRequest("\"expand\" must not contain \"" + name + "\"");
            }
            if (info.containsKey(name)) {
                some.put(name, info.get(name));
            }
        }
        return some;
    }

    /** What a search lists. */
    static Map<String, Object> basic(FakeRepo repo, Commit commit) {
        Map<String, Object> card = card(commit);
        String id = repo.id();
        Map<String, Object> info = Json.map(
                "_id", Hex.id("repo " + repo.type() + " " + id, 24),
                "id", id,
                "private", repo.isPrivate(),
                "tags", tags(card),
                "downloads", 0,
                "likes", 0,
                "author", id.contains("/") ? id.substring(0, id.indexOf('/')) : id,
                "sha", commit.id(),
                "lastModified", date(commit.date()),
                "gated", repo.gate().isEmpty() ? (Object) false : repo.gate(),
                "disabled", repo.isDisabled(),
                "createdAt", date(repo.created()));
        if (repo.repoType() == RepoType.MODEL) {
            info.put("modelId", id);
        }
        for (String key : List.of("pipeline_tag", "library_name")) {
            if (card.containsKey(key)) {
                info.put(key, card.get(key));
            }
        }
        return info;
    }

    static Map<String, Object> full(FakeRepo repo, Commit commit, boolean blobs) {
        Map<String, Object> info = basic(repo, commit);
        List<Map<String, Object>> siblings = new ArrayList<>();
        commit.files().forEach((path, file) -> siblings.add(file.sibling(path, blobs)));
        info.put("siblings", siblings);
        info.put("spaces", List.of());
        info.put(
                "usedStorage",
                commit.files().values().stream().mapToLong(HubFile::size).sum());
        Map<String, Object> card = card(commit);
        if (!card.isEmpty()) {
            info.put("cardData", card);
        }
        JsonNode config = config(commit);
        if (config != null) {
            info.put("config", config);
        }
        return info;
    }

    static String date(Instant date) {
        return date.toString().replace("Z", ".000Z");
    }

    private static Map<String, Object> card(Commit commit) {
        HubFile readme = commit.files().get("README.md");
        try {
            return readme == null || readme.isLfs() ? Map.of() : CardYaml.parse(FakeRepo.textOf(readme));
        } catch (CardYaml.Broken e) {
            return Map.of();
        }
    }

    private static @Nullable JsonNode config(Commit commit) {
        HubFile config = commit.files().get("config.json");
        if (config == null || config.isLfs()) {
            return null;
        }
        try {
            return Json.object(config.content().read());
        } catch (IOException | HubError e) {
            return null;
        }
    }

    private static List<String> tags(Map<String, Object> card) {
        List<String> tags = new ArrayList<>(texts(card.get("tags")));
        texts(card.get("license")).forEach(license -> tags.add("license:" + license));
        String relation = String.valueOf(card.getOrDefault("base_model_relation", "finetune"));
        for (String base : texts(card.get("base_model"))) {
            tags.add("base_model:" + base);
            tags.add("base_model:" + relation + ":" + base);
        }
        tags.add("region:us");
        return tags;
    }

    private static List<String> texts(@Nullable Object value) {
        if (value instanceof List<?> list) {
            return list.stream().map(String::valueOf).toList();
        }
        return value == null ? List.of() : List.of(String.valueOf(value));
    }

    /** {@code auth-check} and {@code auth-check/write}. */
    Answer authCheck(Call call) {
        call.checkGate();
        if (call.path(0).equals("write")) {
            call.writer();
        }
        return Answer.text(200, "OK");
    }

    Answer validateYaml(Request request) throws IOException, InterruptedException {
        JsonNode body = request.json();
        RepoType.ofWord(Json.text(body, "repoType"));
        try {
            CardYaml.parse(Json.requiredText(body, "content"));
        } catch (CardYaml.Broken e) {
            Map<String, Object> error = Json.map("message", String.valueOf(e.getMessage()), "line", e.line());
            return Answer.json(
                    400, Json.map("errors", List.of(error), "warnings", List.of(), "error", "Invalid metadata"));
        }
        return Answer.json(200, Json.map("errors", List.of(), "warnings", List.of()));
    }
}
