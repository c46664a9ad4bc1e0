package io.gptq4j.hub.repo;

import java.util.regex.Pattern;

/**
 * A revision of a repository: a branch, a tag, a full ref such as {@code refs/pr/1}, or a commit hash.
 *
 * <p>The name also becomes a path in the cache, so what git forbids in a ref is refused here.
 *
 * @param name the name as the Hub knows it, not percent-encoded
 */
public record Revision(String name) {
    private static final Pattern COMMIT_HASH = Pattern.compile("[0-9a-f]{40}");
    private static final Pattern FORBIDDEN =
            Pattern.compile("[\\p{Cntrl} ~^:?*\\[\\\\]|\\.\\.|//|@\\{|^/|/$|^\\.|/\\.|\\.$");

    /** The default branch of every repository on the Hub; stands after the patterns, which check it. */
    public static final Revision MAIN = new Revision("main");

    /**
     * Checks the name.
     *
     * @throws IllegalArgumentException if git would not take it as a ref
     */
    public Revision {
        if (name.isEmpty() || FORBIDDEN.matcher(name).find()) {
            throw new IllegalArgumentException("'" + name
                    + "' is not a revision: expected a branch, a tag, a ref such as" + " refs/pr/1, or a commit hash");
        }
    }

    /** Whether this is a full commit hash, 40 lower-case hexadecimal digits, whose content never changes. */
    public boolean isCommitHash() {
        return COMMIT_HASH.matcher(name).matches();
    }

    @Override
    public String toString() {
        return name;
    }
}
