package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.repo.Identity;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.hub.transfer.Patterns;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where on the Hub an artifact goes, if anywhere. */
final class PushOptions {
    /**
     * Of an artifact that was there before, nothing must remain that a server would load together with the new one. Servers
     * look at the root only, so what lies in folders stays.
     */
    private static final List<String> STALE =
            List.of("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*", "quantize_config.json");

    @Option(
            names = "--push-to",
            paramLabel = "REPO",
            description = "Upload the result to this repository, [ns/]name, in one commit; made if it is missing.")
    private @Nullable String repository;

    @Option(names = "--private", description = "If the repository is made, let nobody else see it.")
    private boolean isPrivate;

    @Option(names = "--create-pr", description = "Open a pull request instead of changing the branch main.")
    private boolean createPullRequest;

    /** The repository, or null. */
    @Nullable
    Repo repo() {
        if (repository == null && (isPrivate || createPullRequest)) {
            throw new IllegalArgumentException("--private and --create-pr go with --push-to");
        }
        return repository == null ? null : Repo.model(repository);
    }

    /**
     * Refuses before a long run what would be refused after it: a token that is missing, wrong or for reading only. Nothing
     * is changed on the Hub. A repository without a namespace is the user's own from here on.
     */
    void check(Console console, HubOptions hub) throws IOException {
        Repo repo = repo();
        if (repo == null) {
            return;
        }
        try (HubClient client = hub.open(console)) {
            Identity identity = client.whoami();
            if (repo.id().namespace() == null) {
                repository = identity.name() + "/" + repo.id();
            }
            if ("read".equals(identity.tokenRole()) && !createPullRequest) {
                throw new AuthenticationException("Cannot push to " + repo + ": the token of " + identity.name()
                        + " is for reading only; use one that may write, or --create-pr");
            }
        }
    }

    /** Uploads an artifact; if that fails, it stays where it is. */
    CommitResult push(Console console, HubOptions hub, Path artifact, String summary) throws IOException {
        try (HubClient client = HubClient.builder()
                .config(hub.settings(console).build())
                .listener(new TransferProgress(console.progress(), "uploading"))
                .build()) {
            return commit(console, client, artifact, List.of(), summary);
        } catch (IOException e) {
            console.warn(advice(artifact));
            throw e;
        }
    }

    /** What to do about an artifact that is complete and could not be pushed. */
    String advice(Path artifact) {
        return "The result is complete in " + artifact + " but not on the Hub; to try again: gptq4j upload "
                + requireRepo().id() + " " + quoted(artifact.toString()) + (isPrivate ? " --private" : "")
                + (createPullRequest ? " --create-pr" : "");
    }

    /** A commit to the repository that changes nothing yet. */
    CommitRequest request(String summary) {
        return CommitRequest.of(requireRepo(), List.of(), summary)
                .asPullRequest(createPullRequest)
                .withCardChecked();
    }

    /** Makes the repository unless it is there. */
    void create(HubClient client) throws IOException {
        client.createRepo(requireRepo(), isPrivate ? true : null, true);
    }

    /**
     * Makes the one commit.
     *
     * @param folder the artifact's files, or those of them that were not staged
     * @param staged files whose content is on the Hub already
     */
    CommitResult commit(
            Console console, HubClient client, Path folder, List<CommitOperation.Staged> staged, String summary)
            throws IOException {
        Repo repo = requireRepo();
        Set<String> there = staged.stream().map(CommitOperation.Staged::path).collect(Collectors.toSet());
        List<CommitOperation.Add> adds = CommitOperation.ofFolder(folder, "", Patterns.ALL).stream()
                .filter(add -> !there.contains(add.path()))
                .toList();
        UploadCommand.checkCard(client, repo, adds);
        create(client);
        List<CommitOperation> operations = new ArrayList<>(adds);
        operations.addAll(staged);
        List<CommitOperation> stale = UploadCommand.deletions(
                client.tree(repo, Revision.MAIN, null, false), "", STALE, List.copyOf(operations));
        if (!stale.isEmpty()) {
            console.note("Removing from " + repo + " what is of an older artifact: "
                    + stale.stream()
                            .map(CommitOperation::path)
                            .map(Console::printable)
                            .collect(Collectors.joining(", ")));
        }
        operations.addAll(stale);
        CommitResult commit = client.commit(request(summary).changing(operations));
        console.progress().finish();
        return commit;
    }

    private Repo requireRepo() {
        Repo repo = repo();
        if (repo == null) {
            throw new IllegalStateException("There is no repository to push to");
        }
        return repo;
    }

    /** A word as a shell reads it. */
    private static String quoted(String word) {
        return word.matches("[A-Za-z0-9_@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
    }
}
