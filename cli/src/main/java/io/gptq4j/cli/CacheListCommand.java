package io.gptq4j.cli;

import io.gptq4j.hub.cache.CacheScan;
import io.gptq4j.hub.cache.CachedRepo;
import io.gptq4j.hub.cache.HubCache;
import java.io.IOException;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code gptq4j cache ls}: what the cache holds. */
@Command(name = "ls", aliases = "list", description = "Lists the repositories or revisions in the cache.")
final class CacheListCommand implements Callable<Integer>, HubVerb {
    private final Console console;

    @Mixin
    private final CacheOptions cache = new CacheOptions();

    @Option(names = "--revisions", description = "List revisions instead of repositories.")
    private boolean revisions;

    @Option(
            names = {"-f", "--filter"},
            paramLabel = "EXPR",
            description = "Only what fits, such as size>1GB, accessed>7d, modified<2w, type=model or refs=main; all, if"
                    + " given several times.")
    private List<String> filters = List.of();

    @Option(
            names = "--sort",
            paramLabel = "KEY[:ORDER]",
            description = "By name, size, accessed or modified; :asc or :desc (default: names from a to z, the largest"
                    + " and latest first).")
    private String sort = "name";

    @Option(names = "--limit", paramLabel = "N", description = "No more than N lines.")
    private @Nullable Integer limit;

    CacheListCommand(Console console) {
        this.console = console;
    }

    /** A repository as JSON: sizes in bytes, times as ISO 8601. */
    record RepoJson(
            String id,
            String repoId,
            String repoType,
            long size,
            String lastAccessed,
            String lastModified,
            List<String> refs) {}

    /** A revision as JSON. */
    record RevisionJson(
            String id,
            String repoId,
            String repoType,
            String revision,
            String snapshotPath,
            long size,
            String lastModified,
            List<String> refs) {}

    @Override
    public Integer call() throws IOException {
        Instant now = Instant.now();
        CacheScan scan = HubCache.of(
                        cache.apply(HubOptions.environment(console)).build())
                .scan();
        Stream<CacheRow> all = scan.repos().stream().flatMap(this::rows);
        for (String filter : filters) {
            all = all.filter(CacheFilter.parse(filter, now));
        }
        if (limit != null && limit < 0) {
            throw new IllegalArgumentException("--limit must not be negative, and is " + limit);
        }
        List<CacheRow> rows = all.sorted(order())
                .limit(limit == null ? Long.MAX_VALUE : limit)
                .toList();
        CacheCommands.warn(console, scan);
        console.result(
                rows.stream().map(CacheListCommand::json).toList(),
                () -> text(rows, now),
                rows.stream().map(CacheRow::target).toList());
        return ExitCode.OK.number();
    }

    private Stream<CacheRow> rows(CachedRepo repo) {
        return revisions
                ? repo.revisions().stream().map(revision -> new CacheRow(repo, revision))
                : Stream.of(new CacheRow(repo, null));
    }

    private Comparator<CacheRow> order() {
        String key = sort.toLowerCase(Locale.ROOT);
        boolean ascending = key.endsWith(":asc") || key.equals("name");
        Comparator<CacheRow> comparator = switch (key.replaceFirst(":(asc|desc)$", "")) {
            case "name" -> Comparator.comparing(row -> row.repo().id());
            case "size" -> Comparator.comparing(CacheRow::size);
            case "accessed" -> Comparator.comparing(CacheRow::accessed);
            case "modified" -> Comparator.comparing(CacheRow::modified);
            default ->
                throw new IllegalArgumentException("--sort is '" + sort
                        + "'; expected name, size, accessed or modified, and perhaps :asc or :desc");
        };
        return ascending ? comparator : comparator.reversed();
    }

    private static Object json(CacheRow row) {
        CachedRepo repo = row.repo();
        String repoId = repo.repo().id().toString();
        String type = repo.repo().type().singular();
        return row.revision() == null
                ? new RepoJson(
                        repo.id(),
                        repoId,
                        type,
                        row.size(),
                        row.accessed().toString(),
                        row.modified().toString(),
                        row.refs())
                : new RevisionJson(
                        repo.id(),
                        repoId,
                        type,
                        row.revision().commit(),
                        row.revision().snapshot().toString(),
                        row.size(),
                        row.modified().toString(),
                        row.refs());
    }

    private String text(List<CacheRow> rows, Instant now) {
        if (rows.isEmpty()) {
            return filters.isEmpty() ? "The cache is empty." : "Nothing in the cache fits.";
        }
        Table table = revisions
                ? new Table("ID", "REVISION", "SIZE>", "LAST_MODIFIED", "REFS")
                : new Table("ID", "SIZE>", "LAST_ACCESSED", "LAST_MODIFIED", "REFS");
        for (CacheRow row : rows) {
            String size = Sizes.compact(row.size());
            String modified = Ages.ago(row.modified(), now);
            String refs = String.join(", ", row.refs());
            if (revisions) {
                table.row(row.repo().id(), row.target(), size, modified, refs);
            } else {
                table.row(row.repo().id(), size, Ages.ago(row.accessed(), now), modified, refs);
            }
        }
        List<CachedRepo> repos = rows.stream().map(CacheRow::repo).distinct().toList();
        long count = revisions
                ? rows.size()
                : repos.stream().mapToLong(repo -> repo.revisions().size()).sum();
        // Revisions of a repository share files, so their sizes cannot be added up.
        return table + System.lineSeparator().repeat(2) + "Found " + repos.size() + " repo(s) for a total of " + count
                + " revision(s) and "
                + Sizes.compact(repos.stream().mapToLong(CachedRepo::size).sum()) + " on disk.";
    }
}
