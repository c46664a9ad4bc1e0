package io.gptq4j.cli;

import io.gptq4j.hub.cache.CacheScan;
import io.gptq4j.hub.cache.CachedRepo;
import io.gptq4j.hub.cache.CachedRevision;
import io.gptq4j.hub.cache.DeletionPlan;
import io.gptq4j.hub.cache.HubCache;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j cache}: the files that all programs of this machine share. */
final class CacheCommands {
    private CacheCommands() {}

    static CommandLine commandLine(Console console) {
        return new CommandLine(new Group())
                .addSubcommand(new CacheListCommand(console))
                .addSubcommand(new Remove(console))
                .addSubcommand(new Prune(console))
                .addSubcommand(new CacheVerifyCommand(console));
    }

    static void warn(Console console, CacheScan scan) {
        scan.warnings().forEach(console::warn);
    }

    @Command(
            name = "cache",
            synopsisSubcommandLabel = "COMMAND",
            description = "Looks at the cache of the Hub's files, checks it and makes room in it.")
    private static final class Group implements HubVerb {}

    /** What deletes. */
    private abstract static class Deleting implements Callable<Integer>, HubVerb {
        final Console console;

        @Mixin
        private final CacheOptions cache = new CacheOptions();

        @Option(
                names = {"-y", "--yes"},
                description = "Do not ask.")
        private boolean yes;

        @Option(names = "--dry-run", description = "Only say what would be deleted.")
        private boolean dryRun;

        Deleting(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException, InterruptedException {
            HubCache folder =
                    HubCache.of(cache.apply(HubOptions.environment(console)).build());
            CacheScan scan = folder.scan();
            warn(console, scan);
            DeletionPlan plan = plan(folder, scan);
            if (plan.isEmpty()) {
                report(plan, nothing(), plan.bytes());
                return ExitCode.OK.number();
            }
            String description = describe(plan);
            if (dryRun) {
                report(plan, description + System.lineSeparator() + "Dry run: no files were deleted.", plan.bytes());
                return ExitCode.OK.number();
            }
            console.note(description);
            if (!yes) {
                console.confirm("This deletes " + Sizes.compact(plan.bytes()) + " from " + folder.folder() + ".");
            }
            long freed = folder.delete(plan);
            report(
                    plan,
                    "Deleted " + plan.repos().size() + " repo(s) and " + plan.revisionCount() + " revision(s); freed "
                            + Sizes.compact(freed) + ".",
                    freed);
            return ExitCode.OK.number();
        }

        abstract DeletionPlan plan(HubCache folder, CacheScan scan) throws IOException;

        abstract String nothing();

        private void report(DeletionPlan plan, String sentence, long bytes) {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("dry_run", dryRun);
            facts.put("repos", plan.repos().size());
            facts.put("revisions", plan.revisionCount());
            facts.put("incomplete_files", plan.partialFiles().size());
            facts.put("bytes", bytes);
            console.result(
                    facts,
                    () -> sentence,
                    Stream.concat(
                                    plan.repos().stream().map(CachedRepo::id),
                                    plan.revisions().stream().map(CachedRevision::commit))
                            .toList());
        }

        private static String describe(DeletionPlan plan) {
            List<String> lines = new ArrayList<>();
            lines.add("About to delete " + plan.repos().size() + " repo(s), "
                    + plan.revisions().size() + " single revision(s) and "
                    + plan.partialFiles().size() + " incomplete download(s), totalling "
                    + Sizes.compact(plan.bytes()) + ":");
            plan.repos().forEach(repo -> lines.add("  - " + repo.id() + " (entire repo)"));
            plan.revisions().forEach(revision -> lines.add("  - " + revision.snapshot()));
            plan.partialFiles().forEach(file -> lines.add("  - " + file));
            return String.join(System.lineSeparator(), lines);
        }
    }

    @Command(name = "rm", description = "Deletes repositories or revisions from the cache.")
    private static final class Remove extends Deleting {
        @Parameters(
                paramLabel = "TARGET",
                arity = "1..*",
                description = "model/namespace/name (or dataset/..., space/...), a commit hash, or"
                        + " hf://namespace/name[@revision].")
        private List<String> targets = List.of();

        Remove(Console console) {
            super(console);
        }

        @Override
        DeletionPlan plan(HubCache folder, CacheScan scan) throws IOException {
            Set<CachedRepo> repos = new LinkedHashSet<>();
            Set<CachedRevision> revisions = new LinkedHashSet<>();
            for (String target : targets) {
                HubUri uri = HubUri.isUri(target) ? HubUri.parse(target) : null;
                if (uri != null && uri.path() != null) {
                    throw new IllegalArgumentException(
                            "'" + target + "' names a file; only revisions and repositories can be deleted");
                }
                int before = repos.size() + revisions.size();
                for (CachedRepo repo : scan.repos()) {
                    if (isNamed(repo, target, uri)) {
                        repos.add(repo);
                    }
                    repo.revisions().stream()
                            .filter(revision -> isNamed(repo, revision, target, uri))
                            .forEach(revisions::add);
                }
                if (before == repos.size() + revisions.size()) {
                    console.warn("Could not find in cache: " + target);
                }
            }
            return folder.planDeletion(scan, repos, revisions);
        }

        private static boolean isNamed(CachedRepo repo, String target, @Nullable HubUri uri) {
            if (uri != null) {
                return uri.revision() == null && uri.repo().equals(repo.repo());
            }
            return target.equals(repo.id())
                    || target.equals(repo.id().replaceFirst("/", "s/"))
                    || (repo.repo().type() == RepoType.MODEL
                            && target.equals(repo.repo().id().toString()));
        }

        private static boolean isNamed(CachedRepo repo, CachedRevision revision, String target, @Nullable HubUri uri) {
            if (uri == null) {
                return target.equals(revision.commit());
            }
            Revision wanted = uri.revision();
            return wanted != null
                    && uri.repo().equals(repo.repo())
                    && (wanted.name().equals(revision.commit())
                            || revision.refs().contains(wanted.name()));
        }

        @Override
        String nothing() {
            return "Nothing to delete.";
        }
    }

    @Command(
            name = "prune",
            description = "Deletes revisions that no branch or tag leads to any more, and incomplete downloads.")
    private static final class Prune extends Deleting {
        Prune(Console console) {
            super(console);
        }

        @Override
        DeletionPlan plan(HubCache folder, CacheScan scan) throws IOException {
            return folder.planPrune(scan);
        }

        @Override
        String nothing() {
            return "No unreferenced revisions or incomplete downloads found. Nothing to prune.";
        }
    }
}
