package io.gptq4j.hub.repo;

/** What a tree holds: files and folders. */
public sealed interface RepoEntry permits RepoFile, RepoFolder {
    /** The path from the root of the repository, with slashes. */
    String path();
}
