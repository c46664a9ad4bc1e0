package io.gptq4j.hub.repo;

/**
 * A folder in a repository.
 *
 * @param path the path from the root
 * @param oid the git id of its tree
 */
public record RepoFolder(String path, String oid) implements RepoEntry {
    /** Checks the path. */
    public RepoFolder {
        RepoPaths.requireSafe(path);
    }
}
