package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.cache.HubCache;
import io.gptq4j.hub.cache.Verification;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j cache verify}: whether files on this disk are what the Hub has. */
@Command(
        name = "verify",
        description = "Compares the files of a cached revision, or of a folder, with the Hub's hashes.")
final class CacheVerifyCommand implements Callable<Integer>, HubVerb {
    private final Console console;

    @Parameters(
            paramLabel = "REPO",
            description = "namespace/name, or hf://[datasets/|spaces/]namespace/name[@revision].")
    private String repo = "";

    @Option(names = "--revision", paramLabel = "REVISION", description = "A branch, tag or commit (default: main).")
    private @Nullable String revision;

    @Option(names = "--local-dir", paramLabel = "DIR", description = "Check this folder instead of the cache.")
    private @Nullable Path localDir;

    @Option(names = "--fail-on-missing-files", description = "A file that only the Hub has is an error.")
    private boolean failOnMissing;

    @Option(names = "--fail-on-extra-files", description = "A file that the Hub does not have is an error.")
    private boolean failOnExtra;

    @Mixin
    private final CacheOptions cache = new CacheOptions();

    @Mixin
    private final RepoOptions options = new RepoOptions();

    @Mixin
    private final HubOptions hub = new HubOptions();

    CacheVerifyCommand(Console console) {
        this.console = console;
    }

    /** The result as JSON. */
    record Json(
            String repoId,
            String repoType,
            int checked,
            String path,
            String revision,
            List<Verification.Mismatch> mismatches,
            List<String> missing,
            List<String> extra) {}

    @Override
    public Integer call() throws IOException {
        if (localDir != null && cache.isGiven()) {
            throw new IllegalArgumentException("--local-dir and --cache-dir exclude each other; leave one of them out");
        }
        HubUri uri = options.parse(repo);
        Repo named = uri.repo();
        Revision asked = RepoOptions.revision(revision, uri);
        try (HubClient client = HubClient.builder()
                .config(cache.apply(hub.settings(console)).build())
                .build()) {
            HubCache folder = HubCache.of(client.config());
            // What is in the cache is compared with what it was downloaded from, though the branch may have moved on.
            Revision commit = localDir != null ? asked : cachedCommit(folder, named, asked);
            List<RepoFile> expected = client.tree(named, commit, null, true).stream()
                    .filter(RepoFile.class::isInstance)
                    .map(RepoFile.class::cast)
                    .toList();
            console.progress().start("Verifying", expected.size());
            AtomicLong compared = new AtomicLong();
            Consumer<String> onFile = path -> console.progress().update(compared.incrementAndGet(), path);
            Verification result = localDir != null
                    ? HubCache.verifyFolder(localDir, expected, onFile)
                    : folder.verify(named, commit.name(), expected, onFile);
            report(named, commit, result);
        }
        return ExitCode.OK.number();
    }

    private static Revision cachedCommit(HubCache folder, Repo repo, Revision asked) throws IOException {
        return new Revision(folder.commitOf(repo, asked)
                .orElseThrow(() -> new LocalEntryNotFoundException(
                        "The cache " + folder.folder() + " does not know revision '" + asked + "' of " + repo
                                + "; download it first",
                        null)));
    }

    private void report(Repo repo, Revision commit, Verification result) throws IntegrityException {
        List<String> faults = new ArrayList<>();
        if (!result.mismatches().isEmpty()) {
            faults.add(result.mismatches().size() + " file(s) differ");
        }
        tell(result.missing(), failOnMissing, "missing here", "--fail-on-missing-files", faults);
        tell(result.extra(), failOnExtra, "not on the Hub", "--fail-on-extra-files", faults);
        console.result(
                new Json(
                        repo.id().toString(),
                        repo.type().singular(),
                        result.checked(),
                        result.folder().toString(),
                        commit.name(),
                        result.mismatches(),
                        result.missing(),
                        result.extra()),
                () -> text(repo, result, faults),
                result.mismatches().stream().map(Verification.Mismatch::path).toList());
        if (!faults.isEmpty()) {
            throw new IntegrityException("Verification of " + repo + " in " + result.folder() + " failed: "
                    + String.join(", ", faults)
                    + (result.mismatches().isEmpty() ? "" : "; download with --force-download to replace them"));
        }
    }

    private void tell(List<String> paths, boolean isFault, String what, String option, List<String> faults) {
        if (paths.isEmpty()) {
            return;
        }
        String sentence = paths.size() + " file(s) are " + what;
        if (isFault) {
            faults.add(sentence);
        } else {
            console.warn(sentence + "; see them with " + option);
        }
    }

    private String text(Repo repo, Verification result, List<String> faults) {
        List<String> lines = new ArrayList<>();
        lines.add(
                faults.isEmpty()
                        ? "\u2713 Verified " + result.checked() + " file(s) for " + repo + ". All checksums match."
                        : "Verified " + result.checked() + " file(s) for " + repo + ":");
        for (Verification.Mismatch mismatch : result.mismatches()) {
            lines.add("  - " + Console.printable(mismatch.path()) + ": expected " + mismatch.expected() + " ("
                    + mismatch.algorithm() + "), got " + mismatch.actual());
        }
        if (failOnMissing) {
            result.missing().forEach(path -> lines.add("  - " + Console.printable(path) + ": missing here"));
        }
        if (failOnExtra) {
            result.extra().forEach(path -> lines.add("  - " + Console.printable(path) + ": not on the Hub"));
        }
        lines.add("  repo_id: " + repo.id());
        lines.add("  repo_type: " + repo.type().singular());
        lines.add("  checked: " + result.checked());
        lines.add("  path: " + result.folder());
        return String.join(System.lineSeparator(), lines);
    }
}
