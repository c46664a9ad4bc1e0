package io.gptq4j.it.hub;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request about one repository.
 *
 * @param user whose token it carries, or null
 * @param rest the decoded segments behind the repository's id and the route's name
 */
record Call(Request request, @Nullable User user, FakeRepo repo, List<String> rest) {
    String namespace() {
        String id = repo.id();
        return id.contains("/") ? id.substring(0, id.indexOf('/')) : id;
    }

    /** The user, or 401. */
    User loggedIn() {
        if (user == null) {
            throw HubError.notLoggedIn();
        }
        return user;
    }

    boolean mayWrite() {
        return user != null && user.mayWrite(namespace());
    }

    /** The user if it may write, else 401 or 403. */
    User writer() {
        User writer = loggedIn();
        if (!mayWrite()) {
            throw new HubError(403, null, "Forbidden: you must use a write token with write access to " + namespace());
        }
        return writer;
    }

    /** Asks for consent where the repository is gated. */
    void checkGate() {
        if (repo.gate().isEmpty()) {
            return;
        }
        String what = "Access to " + repo.type() + " " + repo.id() + " is restricted";
        if (user == null) {
            throw new HubError(
                    401,
                    "GatedRepo",
                    what + ". You must have access to it and be authenticated to access it. Please log in.");
        }
        if (!user.owns(namespace()) && !repo.authorised().contains(user.name())) {
            throw new HubError(
                    403,
                    "GatedRepo",
                    what + " and you are not in the authorized list. Visit " + repo.url() + " to ask for access.");
        }
    }

    /** The segment that must be there. */
    String rest(int index) {
        if (index >= rest.size()) {
            throw new HubError(404, null, "Not Found");
        }
        return rest.get(index);
    }

    /** All segments from this one on as a path inside the repository. */
    String path(int from) {
        return String.join("/", rest.subList(Math.min(from, rest.size()), rest.size()));
    }
}
