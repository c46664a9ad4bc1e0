package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The life of repositories, branches and tags. */
final class RepoRoutes {
    private final HubState state;

    RepoRoutes(HubState state) {
        this.state = state;
    }

    Answer create(Request request, @Nullable User user) throws IOException, InterruptedException {
        JsonNode body = request.json();
        if (user == null) {
            throw HubError.notLoggedIn();
        }
        RepoType type = RepoType.ofWord(Json.text(body, "type"));
        String organisation = Json.text(body, "organization");
        String namespace = organisation == null ? user.name() : organisation;
        String name = Json.requiredText(body, "name");
        if (!name.matches("[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")) {
            throw HubError.badRequest("Invalid repository name: " + name);
        }
        if (!user.mayWrite(namespace)) {
            throw noRights(type, namespace);
        }
        String id = namespace + "/" + name;
        FakeRepo repo = state.create(type, id);
        if (repo == null) {
            return Answer.json(
                    409,
                    Json.map(
                            "error",
                            "You already created this " + type.word() + " repo",
                            "url",
                            state.createOrGet(type, id).url()));
        }
        applyVisibility(repo, body);
        return Answer.json(
                200, Json.map("url", repo.url(), "name", id, "id", Hex.id("repo " + repo.type() + " " + id, 24)));
    }

    private static HubError noRights(RepoType type, String namespace) {
        return new HubError(
                403,
                null,
                "You don't have the rights to create a " + type.word() + " under the namespace \"" + namespace + "\"");
    }

    /** Takes the newer {@code visibility} and the older {@code private}. */
    private static void applyVisibility(FakeRepo repo, JsonNode body) {
        String visibility = Json.text(body, "visibility");
        if ("private".equals(visibility) || body.path("private").asBoolean(false)) {
            repo.makePrivate();
        } else if ("public".equals(visibility) || body.has("private")) {
            repo.makePublic();
        } else if (visibility != null) {
            throw HubError.badRequest("Invalid visibility: " + visibility);
        }
    }

    Answer delete(Request request, @Nullable User user) throws IOException, InterruptedException {
        JsonNode body = request.json();
        String organisation = Json.text(body, "organization");
        String id = (organisation == null ? user(user).name() : organisation) + "/" + Json.requiredText(body, "name");
        state.delete(writable(user, RepoType.ofWord(Json.text(body, "type")), id));
        return Answer.text(200, "OK");
    }

    Answer move(Request request, @Nullable User user) throws IOException, InterruptedException {
        JsonNode body = request.json();
        RepoType type = RepoType.ofWord(Json.text(body, "type"));
        FakeRepo repo = writable(user, type, Json.requiredText(body, "fromRepo"));
        String to = Json.requiredText(body, "toRepo");
        if (!to.matches("[^/]+/[^/]+")) {
            throw HubError.badRequest("Invalid repository name: " + to);
        }
        String namespace = to.substring(0, to.indexOf('/'));
        if (!user(user).mayWrite(namespace)) {
            throw noRights(type, namespace);
        }
        if (state.find(type, to) != null) {
            throw new HubError(409, null, "A repository with this name already exists: " + to);
        }
        state.rename(repo, to);
        return Answer.text(200, "OK");
    }

    private static User user(@Nullable User user) {
        if (user == null) {
            throw HubError.notLoggedIn();
        }
        return user;
    }

    private FakeRepo writable(@Nullable User user, RepoType type, String id) {
        User known = user(user);
        FakeRepo repo = state.find(type, id);
        String namespace = id.contains("/") ? id.substring(0, id.indexOf('/')) : id;
        if (repo == null || (repo.isPrivate() && !known.owns(namespace))) {
            throw HubError.repoNotFound();
        }
        if (!known.mayWrite(namespace)) {
            throw new HubError(403, null, "Forbidden: you must use a write token with write access to " + namespace);
        }
        return repo;
    }

    /** Echoes what was set. */
    Answer settings(Call call) throws IOException, InterruptedException {
        call.writer();
        JsonNode body = call.request().json();
        JsonNode gated = body.get("gated");
        if (gated != null && gated.isTextual() && gated.textValue().matches("auto|manual")) {
            call.repo().gate(gated.textValue());
        } else if (gated != null && gated.isBoolean() && !gated.booleanValue()) {
            call.repo().ungate();
        } else if (gated != null) {
            throw HubError.badRequest("\"gated\" must be \"auto\", \"manual\" or false");
        }
        applyVisibility(call.repo(), body);
        return Answer.json(200, body);
    }

    Answer createBranch(Call call) throws IOException, InterruptedException {
        call.writer();
        String name = call.path(0);
        JsonNode body = call.request().json();
        String startingPoint = Json.text(body, "startingPoint");
        if (call.repo().branches().containsKey(name)) {
            throw new HubError(409, null, "Reference already exists: refs/heads/" + name);
        }
        call.repo().branch(name, startingPoint == null ? "main" : startingPoint);
        return Answer.json(200, Map.of());
    }

    Answer deleteBranch(Call call) {
        call.writer();
        String name = call.path(0);
        if (name.equals("main")) {
            throw new HubError(403, null, "The main branch cannot be deleted");
        }
        if (!call.repo().removeBranch(name)) {
            throw HubError.revisionNotFound(name);
        }
        return Answer.json(200, Map.of());
    }

    Answer createTag(Call call) throws IOException, InterruptedException {
        call.writer();
        String name = Json.requiredText(call.request().json(), "tag");
        String revision = call.path(0);
        call.repo().commitAt(revision);
        if (call.repo().tags().containsKey(name)) {
            throw new HubError(409, null, "Reference already exists: refs/tags/" + name);
        }
        call.repo().tag(name, revision);
        return Answer.json(200, Map.of());
    }

    Answer deleteTag(Call call) {
        call.writer();
        if (!call.repo().removeTag(call.path(0))) {
            throw HubError.revisionNotFound(call.path(0));
        }
        return Answer.json(200, Map.of());
    }
}
