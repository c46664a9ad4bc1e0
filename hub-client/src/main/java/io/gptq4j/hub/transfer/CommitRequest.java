package io.gptq4j.hub.transfer;

import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A commit to make.
 *
 * @param repo the repository
 * @param revision the branch, or a ref such as {@code refs/pr/1}
 * @param operations what changes; each path at most once
 * @param summary the first line of its message
 * @param description the rest of its message; may be empty
 * @param createPullRequest whether to open a pull request with it instead of changing the branch
 * @param parentCommit the commit that must be the head of the branch, or null if any will do
 * @param cardChecked whether the Hub has seen the front matter of README.md already
 * @param workers files that are transferred at the same time
 */
public record CommitRequest(
        Repo repo,
        Revision revision,
        List<CommitOperation> operations,
        String summary,
        String description,
        boolean createPullRequest,
        @Nullable String parentCommit,
        boolean cardChecked,
        int workers) {
    /** As huggingface_hub. */
    public static final int DEFAULT_WORKERS = 5;

    /** Checks that there is a message and that operations do not contradict each other. */
    public CommitRequest {
        if (summary.isBlank()) {
            throw new IllegalArgumentException("A commit needs a message");
        }
        if (workers < 1) {
            throw new IllegalArgumentException("At least 1 worker is needed, not " + workers);
        }
        operations = List.copyOf(operations);
        Set<String> paths = new HashSet<>();
        for (CommitOperation operation : operations) {
            if (!paths.add(operation.path())) {
                throw new IllegalArgumentException("A commit cannot change '" + operation.path() + "' twice");
            }
        }
    }

    /** A commit to the main branch. */
    public static CommitRequest of(Repo repo, List<CommitOperation> operations, String summary) {
        return new CommitRequest(repo, Revision.MAIN, operations, summary, "", false, null, false, DEFAULT_WORKERS);
    }

    /** With other operations. */
    public CommitRequest changing(List<CommitOperation> operations) {
        return new CommitRequest(
                repo,
                revision,
                operations,
                summary,
                description,
                createPullRequest,
                parentCommit,
                cardChecked,
                workers);
    }

    /** To another branch. */
    public CommitRequest to(Revision revision) {
        return new CommitRequest(
                repo,
                revision,
                operations,
                summary,
                description,
                createPullRequest,
                parentCommit,
                cardChecked,
                workers);
    }

    /** With more words. */
    public CommitRequest describedAs(String description) {
        return new CommitRequest(
                repo,
                revision,
                operations,
                summary,
                description,
                createPullRequest,
                parentCommit,
                cardChecked,
                workers);
    }

    /** As a pull request, or not. */
    public CommitRequest asPullRequest(boolean createPullRequest) {
        return new CommitRequest(
                repo,
                revision,
                operations,
                summary,
                description,
                createPullRequest,
                parentCommit,
                cardChecked,
                workers);
    }

    /** Only on top of a commit, or with null on top of any. */
    public CommitRequest onTopOf(@Nullable String parentCommit) {
        return new CommitRequest(
                repo,
                revision,
                operations,
                summary,
                description,
                createPullRequest,
                parentCommit,
                cardChecked,
                workers);
    }

    /** Without another check of the front matter of README.md: {@link io.gptq4j.hub.HubClient#validateCard} was asked. */
    public CommitRequest withCardChecked() {
        return new CommitRequest(
                repo, revision, operations, summary, description, createPullRequest, parentCommit, true, workers);
    }
}
