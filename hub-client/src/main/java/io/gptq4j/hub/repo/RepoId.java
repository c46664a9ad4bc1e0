package io.gptq4j.hub.repo;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The name of a repository on the Hub: {@code namespace/name}, or {@code name} alone for the oldest models.
 *
 * <p>Both parts obey the rules of huggingface_hub's {@code validate_repo_id}: ASCII letters, digits, {@code -},
 * {@code _} and {@code .}; neither begins or ends with {@code -} or {@code .}; no {@code --} and no {@code ..}
 * anywhere; the name has at most 96 characters and does not end with {@code .git}.
 *
 * @param namespace the user or organisation, or null for a model without one, such as {@code gpt2}
 * @param name the repository's own name
 */
public record RepoId(@Nullable String namespace, String name) {
    private static final int MAX_NAME_LENGTH = 96;
    private static final Pattern PART = Pattern.compile("[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?");

    /**
     * Checks both parts.
     *
     * @throws IllegalArgumentException if a part breaks a rule
     */
    public RepoId {
        String id = namespace == null ? name : namespace + "/" + name;
        if (namespace != null) {
            checkPart(id, "namespace", namespace);
        }
        checkPart(id, "name", name);
        if (name.length() > MAX_NAME_LENGTH) {
            throw refused(id, "the name has " + name.length() + " characters; 96 are allowed");
        }
        if (name.endsWith(".git")) {
            throw refused(id, "the name must not end with .git");
        }
    }

    /**
     * Reads {@code namespace/name} or {@code name}.
     *
     * @throws IllegalArgumentException if it is neither, or a part breaks a rule
     */
    public static RepoId parse(String id) {
        int slash = id.indexOf('/');
        if (slash < 0) {
            return new RepoId(null, id);
        }
        if (id.indexOf('/', slash + 1) >= 0) {
            throw refused(id, "expected namespace/name or name");
        }
        return new RepoId(id.substring(0, slash), id.substring(slash + 1));
    }

    /** The form that {@link #parse} reads. */
    @Override
    public String toString() {
        return namespace == null ? name : namespace + "/" + name;
    }

    private static void checkPart(String id, String role, String part) {
        if (part.isEmpty()) {
            throw refused(id, "the " + role + " is empty");
        }
        if (!PART.matcher(part).matches()) {
            throw refused(
                    id,
                    "the " + role + " may hold letters, digits, '-', '_' and '.', and must not begin or end with"
                            + " '-' or '.'");
        }
        if (part.contains("--") || part.contains("..")) {
            throw refused(id, "the " + role + " must not contain '--' or '..'");
        }
    }

    private static IllegalArgumentException refused(String id, String why) {
        return new IllegalArgumentException("'" + id + "' is not a repository id: " + why);
    }
}
