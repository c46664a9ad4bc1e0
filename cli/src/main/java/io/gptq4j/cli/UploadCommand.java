package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.hub.transfer.Patterns;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j upload}: a file or a folder, in one commit. */
@Command(
        name = "upload",
        description =
                "Uploads a file or a folder in one commit and prints its address. The repository and the branch are"
                        + " made if they are missing; files that have not changed are left out.")
final class UploadCommand implements Callable<Integer>, HubVerb {
    private final Console console;

    @Parameters(index = "0", paramLabel = "REPO", description = "ns/name, or hf://[datasets/]ns/name[@revision].")
    private String repository = "";

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "LOCAL",
            description = "File, folder or pattern such as '*.json' (default: what is called like the repository).")
    private @Nullable String local;

    @Parameters(
            index = "2",
            arity = "0..1",
            paramLabel = "PATH_IN_REPO",
            description = "Where it goes (default: the root, or the file's own name).")
    private @Nullable String pathInRepo;

    @Mixin
    private final RepoOptions repo = new RepoOptions();

    @Option(
            names = "--revision",
            paramLabel = "REV",
            description = "Branch, made if it is missing, or refs/pr/N (default: main).")
    private @Nullable String revision;

    @Option(names = "--private", description = "If the repository is made, let nobody else see it.")
    private boolean isPrivate;

    @Option(names = "--include", paramLabel = "PATTERN", description = "Only files that match; may be repeated.")
    private List<String> include = List.of();

    @Option(names = "--exclude", paramLabel = "PATTERN", description = "No files that match; may be repeated.")
    private List<String> exclude = List.of();

    @Option(
            names = "--delete",
            paramLabel = "PATTERN",
            description = "In the same commit, remove files that match and are not uploaded; may be repeated.")
    private List<String> delete = List.of();

    @Option(names = "--commit-message", paramLabel = "TEXT", description = "First line of the commit's message.")
    private @Nullable String message;

    @Option(names = "--commit-description", paramLabel = "TEXT", description = "The rest of it.")
    private String description = "";

    @Option(names = "--create-pr", description = "Open a pull request instead of changing the branch.")
    private boolean createPullRequest;

    @Option(names = "--parent-commit", paramLabel = "HASH", description = "Commit that the branch must be at.")
    private @Nullable String parentCommit;

    @Option(names = "--dry-run", description = "Only say what would be uploaded; nothing is asked of the Hub.")
    private boolean dryRun;

    @Option(names = "--every", paramLabel = "MINUTES", hidden = true)
    private @Nullable String every;

    @Mixin
    private final HubOptions hub = new HubOptions();

    UploadCommand(Console console) {
        this.console = console;
    }

    /** The result of {@code upload}. */
    record Result(String url, String commit, @Nullable String pullRequestUrl, boolean changed) {}

    @Override
    public Integer call() throws IOException {
        if (every != null) {
            throw new IllegalArgumentException(
                    "--every is not supported: an upload is one commit and ends; run it again"
                            + " from cron, a timer or a loop, and what has not changed is left out");
        }
        HubUri uri = repo.parse(repository);
        String place = pathInRepo != null ? pathInRepo : Objects.requireNonNullElse(uri.path(), "");
        List<CommitOperation.Add> adds = adds(uri.repo(), place);
        if (adds.isEmpty()) {
            throw new NoSuchFileException(
                    local == null ? uri.repo().id().name() : local, null, "there is no file to upload that matches");
        }
        if (dryRun) {
            print(adds);
            return ExitCode.OK.number();
        }
        Revision branch = RepoOptions.revision(revision, uri);
        TransferProgress progress = new TransferProgress(console.progress(), "uploading");
        try (HubClient client = HubClient.builder()
                .config(hub.settings(console).build())
                .listener(progress)
                .build()) {
            checkCard(client, uri.repo(), adds);
            // As hf: the README.md of a space says what it runs, but the Hub makes none without a first guess.
            String sdk = uri.repo().type() == RepoType.SPACE ? "gradio" : null;
            Repo target = RepoOptions.created(
                    client, uri.repo(), client.createRepo(uri.repo(), sdk, isPrivate ? true : null, true));
            requireBranch(client, target, branch);
            List<CommitOperation> operations = new ArrayList<>(adds);
            if (!delete.isEmpty()) {
                operations.addAll(deletions(client.tree(target, branch, null, true), prefix(place), delete, adds));
            }
            CommitResult commit = client.commit(CommitRequest.of(target, operations, summary(adds))
                    .to(branch)
                    .describedAs(description)
                    .asPullRequest(createPullRequest)
                    .onTopOf(parentCommit)
                    .withCardChecked());
            if (!commit.changed()) {
                console.note("Nothing has changed since the last commit, so none was made.");
            }
            String shown = commit.pullRequestUrl() != null ? commit.pullRequestUrl() : commit.url();
            console.result(
                    new Result(commit.url(), commit.commit(), commit.pullRequestUrl(), commit.changed()),
                    () -> Console.printable(shown),
                    List.of(shown));
        }
        return ExitCode.OK.number();
    }

    /** The files to upload; {@code place} is where they go: empty for the root, or for a file under its own name. */
    private List<CommitOperation.Add> adds(Repo repository, String place) throws IOException {
        String source = local != null ? local : repository.id().name();
        Patterns patterns = Patterns.of(include, exclude);
        if (local != null && !Files.exists(Path.of(local)) && local.matches(".*[*?\\[].*")) {
            if (!include.isEmpty()) {
                throw new IllegalArgumentException("'" + local + "' is a pattern already; leave --include out");
            }
            return CommitOperation.ofFolder(Path.of("."), place, Patterns.of(List.of(local), exclude));
        }
        Path path = Path.of(source);
        if (Files.isDirectory(path)) {
            return CommitOperation.ofFolder(path, place, patterns);
        }
        if (!Files.isRegularFile(path)) {
            throw new NoSuchFileException(
                    source, null, "no such file or folder" + (local == null ? "; name what is to be uploaded" : ""));
        }
        if (!delete.isEmpty()) {
            throw new IllegalArgumentException("--delete goes with a folder, but '" + source
                    + "' is a file; leave --delete out, or upload the folder with --include");
        }
        String name = String.valueOf(path.getFileName());
        return List.of(new CommitOperation.Add(place.isEmpty() || place.equals(".") ? name : place, path));
    }

    private String summary(List<CommitOperation.Add> adds) {
        if (message != null) {
            return message;
        }
        return "Upload " + (adds.size() == 1 ? adds.get(0).path() : "folder") + " with gptq4j";
    }

    /** Lets the Hub refuse a card before there is a repository, which would remain without anything in it. */
    static void checkCard(HubClient client, Repo repository, List<CommitOperation.Add> adds) throws IOException {
        for (CommitOperation.Add add : adds) {
            if (add.path().equals("README.md")) {
                client.validateCard(repository.type(), add.source());
            }
        }
    }

    private void requireBranch(HubClient client, Repo repository, Revision branch) throws IOException {
        boolean isBranch = !branch.equals(Revision.MAIN) && !branch.name().startsWith("refs/");
        if (isBranch && !createPullRequest && !client.exists(repository, branch)) {
            console.note("Branch '" + branch + "' not found. Creating it...");
            client.createBranch(repository, branch.name(), null, true);
        }
    }

    /**
     * Deletions of files that match a pattern, are not uploaded and are not .gitattributes, which makes large files large
     * files.
     *
     * @param prefix empty, or a folder with a slash at its end, which the patterns are relative to
     */
    static List<CommitOperation> deletions(
            List<RepoEntry> entries, String prefix, List<String> patterns, List<? extends CommitOperation> adds) {
        Set<String> added = adds.stream().map(CommitOperation::path).collect(Collectors.toSet());
        List<CommitOperation> deletions = new ArrayList<>();
        for (RepoEntry entry : entries) {
            String path = entry.path();
            if (entry instanceof RepoFile
                    && path.startsWith(prefix)
                    && Patterns.matchesAny(patterns, path.substring(prefix.length()))
                    && !added.contains(path)
                    && !path.equals(".gitattributes")) {
                deletions.add(new CommitOperation.Delete(path, false));
            }
        }
        return deletions;
    }

    /** Where the patterns of --delete begin, which is where the upload goes. */
    private static String prefix(String place) {
        String folder = place.replaceFirst("^(\\./)+", "").replaceAll("^/+|/+$", "");
        return folder.isEmpty() || folder.equals(".") ? "" : folder + "/";
    }

    private void print(List<CommitOperation.Add> adds) throws IOException {
        List<Map<String, Object>> rows = new ArrayList<>();
        long bytes = 0;
        for (CommitOperation.Add add : adds) {
            long size = Files.size(add.source());
            rows.add(Map.of("file", add.path(), "size", size));
            bytes += size;
        }
        String total = "[dry-run] Would upload up to " + adds.size() + " files totalling " + Sizes.format(bytes) + ".";
        List<String> paths = adds.stream().map(CommitOperation.Add::path).toList();
        console.result(
                Map.of("files", rows, "bytes", bytes),
                () -> total + System.lineSeparator() + String.join(System.lineSeparator(), paths),
                paths);
    }
}
