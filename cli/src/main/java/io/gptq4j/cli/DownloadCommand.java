package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Patterns;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j download}: files of a repository, into the shared cache or a folder. */
@Command(
        name = "download",
        description = "Downloads files of a repository and prints where they are: one file, or the folder of all.")
final class DownloadCommand implements Callable<Integer>, HubVerb {
    private final Console console;

    @Parameters(
            index = "0",
            paramLabel = "REPO",
            description = "ns/name, or hf://[datasets/]ns/name[@revision][/path].")
    private String repository = "";

    @Parameters(
            index = "1..*",
            arity = "0..*",
            paramLabel = "FILE",
            description = "Files to download, or folders if they end in a slash (default: all).")
    private List<String> files = List.of();

    @Mixin
    private final RepoOptions repo = new RepoOptions();

    @Option(names = "--revision", paramLabel = "REV", description = "Branch, tag or commit (default: main).")
    private @Nullable String revision;

    @Option(
            names = "--include",
            paramLabel = "PATTERN",
            description = "Only files that match, such as '*.json'; may be repeated.")
    private List<String> include = List.of();

    @Option(names = "--exclude", paramLabel = "PATTERN", description = "No files that match; may be repeated.")
    private List<String> exclude = List.of();

    @Mixin
    private final CacheOptions cache = new CacheOptions();

    @Option(names = "--local-dir", paramLabel = "DIR", description = "Put the files into this folder, plainly.")
    private @Nullable Path localDir;

    @Option(names = "--force-download", description = "Download even what is there.")
    private boolean force;

    @Option(names = "--dry-run", description = "Only say what would be downloaded.")
    private boolean dryRun;

    @Option(
            names = "--max-workers",
            paramLabel = "N",
            defaultValue = "8",
            description = "Files at the same time (default: ${DEFAULT-VALUE}).")
    private int workers;

    @Mixin
    private final HubOptions hub = new HubOptions();

    DownloadCommand(Console console) {
        this.console = console;
    }

    /** The result of {@code download}. */
    record Result(String path) {}

    /** A file in the result of {@code download --dry-run}. */
    record Planned(String file, long size, boolean cached) {}

    @Override
    public Integer call() throws IOException {
        if (localDir != null && cache.isGiven()) {
            throw new IllegalArgumentException(
                    "--local-dir and --cache-dir exclude each other: use --cache-dir (or HF_HOME)"
                            + " for a cache that is shared, or --local-dir for a folder of plain files");
        }
        HubUri uri = repo.parse(repository);
        List<String> wanted = new ArrayList<>(files);
        if (uri.path() != null) {
            wanted.add(0, uri.path());
        }
        if (!wanted.isEmpty() && !(include.isEmpty() && exclude.isEmpty())) {
            console.warn("--include and --exclude are ignored, because files are named");
        }
        SnapshotRequest request = SnapshotRequest.of(uri.repo())
                .at(RepoOptions.revision(revision, uri))
                .only(patterns(wanted))
                .into(localDir)
                .force(force)
                .workers(workers);
        TransferProgress progress = new TransferProgress(console.progress(), "downloading");
        try (HubClient client = HubClient.builder()
                .config(cache.apply(hub.settings(console)).build())
                .listener(progress)
                .build()) {
            if (dryRun) {
                Snapshot plan = client.plan(request);
                requireFound(wanted, plan, request.repo(), request.revision());
                print(plan);
            } else {
                Path path = wanted.size() == 1 && !wanted.get(0).endsWith("/")
                        ? client.file(request.repo(), request.revision(), wanted.get(0), localDir, force, false)
                        : all(client, request, wanted);
                String text = path.toAbsolutePath().toString();
                console.result(new Result(text), () -> text, List.of(text));
            }
        }
        return ExitCode.OK.number();
    }

    private static Path all(HubClient client, SnapshotRequest request, List<String> wanted) throws IOException {
        Snapshot snapshot = client.snapshot(request);
        requireFound(wanted, snapshot, request.repo(), request.revision());
        return snapshot.folder();
    }

    private Patterns patterns(List<String> wanted) {
        return wanted.isEmpty()
                ? Patterns.of(include, exclude)
                : Patterns.of(
                        wanted.stream()
                                .map(file -> file.endsWith("/") ? file + "**" : file)
                                .toList(),
                        List.of());
    }

    /** A file that was named must not be missing silently. */
    private static void requireFound(List<String> wanted, Snapshot snapshot, Repo repo, Revision revision)
            throws EntryNotFoundException {
        for (String file : wanted) {
            String pattern = file.endsWith("/") ? file + "**" : file;
            boolean found =
                    snapshot.files().stream().anyMatch(entry -> Patterns.matchesAny(List.of(pattern), entry.path()));
            if (!found) {
                throw new EntryNotFoundException(
                        "There is no '" + Console.printable(file) + "' in " + repo + " at revision '" + revision + "'");
            }
        }
    }

    private void print(Snapshot plan) {
        List<Planned> rows = plan.files().stream()
                .map(file -> new Planned(file.path(), file.size(), file.present()))
                .toList();
        List<Planned> missing = rows.stream().filter(row -> !row.cached()).toList();
        long bytes = missing.stream().mapToLong(Planned::size).sum();
        console.result(
                Map.of("files", rows, "to_download", missing.size(), "bytes", bytes),
                () -> String.format(
                                Locale.ROOT,
                                "[dry-run] Will download %d files (out of %d) totalling %s.%n",
                                missing.size(),
                                rows.size(),
                                Sizes.format(bytes))
                        + rows.stream()
                                .map(row -> String.format(
                                        Locale.ROOT,
                                        "%10s  %s",
                                        row.cached() ? "-" : Sizes.format(row.size()),
                                        Console.printable(row.file())))
                                .collect(Collectors.joining(System.lineSeparator())),
                missing.stream().map(Planned::file).toList());
    }
}
