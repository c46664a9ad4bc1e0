package io.gptq4j.hub.repo;

import java.util.List;

/** The refs of a repository. */
public record RepoRefs(List<Ref> branches, List<Ref> tags, List<Ref> converts, List<Ref> pullRequests) {
    /** Copies the lists. */
    public RepoRefs {
        branches = List.copyOf(branches);
        tags = List.copyOf(tags);
        converts = List.copyOf(converts);
        pullRequests = List.copyOf(pullRequests);
    }

    /**
     * One ref.
     *
     * @param name short name, such as {@code main}
     * @param ref full name, such as {@code refs/heads/main}
     * @param targetCommit commit hash
     */
    public record Ref(String name, String ref, String targetCommit) {}
}
