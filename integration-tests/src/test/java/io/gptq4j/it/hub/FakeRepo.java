package io.gptq4j.it.hub;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** A repository of the fake hub, as tests seed and examine it. Thread-safe. */
public final class FakeRepo {
    /** One commit as a test sees it. */
    public record CommitInfo(String id, String title, String message, String author, Instant date) {}

    /** An open pull request; {@code head} is the last commit of {@code refs/pr/number}. */
    public record PullRequest(int number, String title, String author, String head) {}

    private static final String INITIAL_AUTHOR = "system";

    private final HubState state;
    private final RepoType type;
    private final Map<String, Commit> commits = new HashMap<>();
    private final NavigableMap<String, Commit> branches = new TreeMap<>();
    private final NavigableMap<String, Commit> tags = new TreeMap<>();
    private final NavigableMap<Integer, Commit> pullHeads = new TreeMap<>();
    private final Map<Integer, Commit> pullStarts = new HashMap<>();
    private final Set<String> authorised = ConcurrentHashMap.newKeySet();
    private final Instant created;
    private volatile String id;
    private volatile String gate = "";
    private volatile boolean isPrivate;
    private volatile boolean disabled;

    FakeRepo(HubState state, RepoType type, String id) {
        this.state = state;
        this.type = type;
        this.id = id;
        NavigableMap<String, HubFile> files = new TreeMap<>();
        files.put(".gitattributes", HubFile.regular(Seeds.gitAttributes()));
        Commit initial = Commit.of(null, "initial commit", "", INITIAL_AUTHOR, state.nextDate(), files);
        created = initial.date();
        commits.put(initial.id(), initial);
        branches.put("main", initial);
    }

    public String id() {
        return id;
    }

    /** {@code model}, {@code dataset} or {@code space}. */
    public String type() {
        return type.word();
    }

    /**
     * Adds a commit that puts these files; values are byte arrays, strings or paths. A path of an LFS file is served in
     * place and must stay as it is. The branch is made if it is missing.
     */
    public synchronized FakeRepo commit(String branch, String title, Map<String, ?> files) {
        Commit head = branches.containsKey(branch) ? commitAt(branch) : commitAt("main");
        NavigableMap<String, HubFile> all = new TreeMap<>(head.files());
        files.forEach((path, content) -> all.put(path, seeded(head, path, content)));
        branches.put(branch, newCommit(head, title, "", INITIAL_AUTHOR, all));
        return this;
    }

    /** Adds a commit that deletes these files. */
    public synchronized FakeRepo delete(String branch, String title, String... paths) {
        Commit head = commitAt(branch);
        NavigableMap<String, HubFile> all = new TreeMap<>(head.files());
        List.of(paths).forEach(all::remove);
        branches.put(branch, newCommit(head, title, "", INITIAL_AUTHOR, all));
        return this;
    }

    private HubFile seeded(Commit head, String path, Object content) {
        try {
            if (content instanceof Path file) {
                boolean lfs = lfsByName(head, path)
                        || Files.size(file) > state.options().lfsThreshold();
                return lfs ? state.lfs().adopt(file) : HubFile.regular(Files.readAllBytes(file));
            }
            byte[] bytes = content instanceof String text ? text.getBytes(StandardCharsets.UTF_8) : (byte[]) content;
            boolean lfs = bytes.length > 0
                    && (lfsByName(head, path) || bytes.length > state.options().lfsThreshold());
            return lfs ? state.lfs().put(bytes) : HubFile.regular(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether the .gitattributes of the commit give this path to LFS. */
    static boolean lfsByName(Commit head, String path) {
        HubFile attributes = head.files().get(".gitattributes");
        return attributes != null && GitPattern.isLfs(textOf(attributes), path);
    }

    static String textOf(HubFile file) {
        try {
            return new String(file.content().read(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Remembers a commit; the caller moves a ref to it. */
    synchronized Commit newCommit(
            Commit parent, String title, String message, String author, NavigableMap<String, HubFile> files) {
        Commit commit = Commit.of(parent, title, message, author, state.nextDate(), files);
        commits.put(commit.id(), commit);
        return commit;
    }

    /** The commit a branch, tag, pull request or hash names, or null. */
    synchronized @Nullable Commit find(String revision) {
        String name = revision.startsWith("refs/heads/") ? revision.substring("refs/heads/".length()) : revision;
        if (branches.containsKey(name)) {
            return branches.get(name);
        }
        String tag = revision.startsWith("refs/tags/") ? revision.substring("refs/tags/".length()) : revision;
        if (tags.containsKey(tag)) {
            return tags.get(tag);
        }
        Integer number = pullNumber(revision);
        return number != null ? pullHeads.get(number) : commits.get(revision);
    }

    /** The number of {@code refs/pr/N}, or null for any other name. */
    static @Nullable Integer pullNumber(String revision) {
        return revision.matches("refs/pr/[0-9]{1,9}") ? Integer.valueOf(revision.substring("refs/pr/".length())) : null;
    }

    /** The commit of a revision, or 404 RevisionNotFound. */
    Commit commitAt(String revision) {
        Commit commit = find(revision);
        if (commit == null) {
            throw HubError.revisionNotFound(revision);
        }
        return commit;
    }

    /** The id of the commit that the revision names. */
    public String head(String revision) {
        return commitAt(revision).id();
    }

    /** The paths of all files, sorted. */
    public List<String> files(String revision) {
        return List.copyOf(commitAt(revision).files().keySet());
    }

    HubFile file(Commit commit, String path) {
        HubFile file = commit.files().get(path);
        if (file == null) {
            throw HubError.entryNotFound(commit.id());
        }
        return file;
    }

    public byte[] content(String revision, String path) {
        try {
            return file(commitAt(revision), path).content().read();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The content as UTF-8. */
    public String text(String revision, String path) {
        return new String(content(revision, path), StandardCharsets.UTF_8);
    }

    /** What names the content: the sha256 of an LFS file, the git id of any other. */
    public String etag(String revision, String path) {
        return file(commitAt(revision), path).etag();
    }

    public boolean isLfs(String revision, String path) {
        return file(commitAt(revision), path).isLfs();
    }

    /** The commits of a revision, newest first. */
    public List<CommitInfo> commits(String revision) {
        List<CommitInfo> all = new ArrayList<>();
        for (Commit at = commitAt(revision); at != null; at = at.parent()) {
            all.add(new CommitInfo(at.id(), at.title(), at.message(), at.author(), at.date()));
        }
        return all;
    }

    public synchronized List<PullRequest> pullRequests() {
        List<PullRequest> all = new ArrayList<>();
        pullHeads.forEach((number, head) -> {
            Commit first = pullStarts.getOrDefault(number, head);
            all.add(new PullRequest(number, first.title(), first.author(), head.id()));
        });
        return all;
    }

    /** Opens the pull request that begins with this commit; returns its number. */
    synchronized int openPull(Commit first) {
        int number = pullHeads.size() + 1;
        pullHeads.put(number, first);
        pullStarts.put(number, first);
        return number;
    }

    /** Who opened the pull request. */
    synchronized String pullAuthor(int number) {
        Commit first = pullStarts.get(number);
        return first == null ? "" : first.author();
    }

    /** Moves a branch or a pull request; a missing one, or anything else, is a missing revision. */
    synchronized void moveRef(String revision, Commit commit) {
        Integer number = pullNumber(revision);
        if (number != null && pullHeads.containsKey(number)) {
            pullHeads.put(number, commit);
        } else if (branches.containsKey(revision)) {
            branches.put(revision, commit);
        } else {
            throw HubError.revisionNotFound(revision);
        }
    }

    /** A branch at main. */
    public FakeRepo branch(String name) {
        return branch(name, "main");
    }

    public synchronized FakeRepo branch(String name, String startingPoint) {
        branches.put(name, commitAt(startingPoint));
        return this;
    }

    synchronized boolean removeBranch(String name) {
        return branches.remove(name) != null;
    }

    public FakeRepo tag(String name) {
        return tag(name, "main");
    }

    public synchronized FakeRepo tag(String name, String revision) {
        tags.put(name, commitAt(revision));
        return this;
    }

    synchronized boolean removeTag(String name) {
        return tags.remove(name) != null;
    }

    /** Branch names and the ids they stand at. */
    public synchronized Map<String, String> branches() {
        return ids(branches);
    }

    /** Tag names and the ids they stand at. */
    public synchronized Map<String, String> tags() {
        return ids(tags);
    }

    private static Map<String, String> ids(NavigableMap<String, Commit> refs) {
        Map<String, String> ids = new TreeMap<>();
        refs.forEach((name, commit) -> ids.put(name, commit.id()));
        return ids;
    }

    /** Asks for consent, {@code auto} or {@code manual}; none of the users but these have been let in. */
    public FakeRepo gate(String kind, String... users) {
        gate = kind;
        authorised.clear();
        authorised.addAll(List.of(users));
        return this;
    }

    public FakeRepo ungate() {
        gate = "";
        return this;
    }

    public FakeRepo authorise(String user) {
        authorised.add(user);
        return this;
    }

    public Set<String> authorised() {
        return new TreeSet<>(authorised);
    }

    /** {@code auto}, {@code manual}, or empty for an open repository. */
    public String gate() {
        return gate;
    }

    public FakeRepo makePrivate() {
        isPrivate = true;
        return this;
    }

    public FakeRepo makePublic() {
        isPrivate = false;
        return this;
    }

    public boolean isPrivate() {
        return isPrivate;
    }

    public FakeRepo disable() {
        disabled = true;
        return this;
    }

    public FakeRepo enable() {
        disabled = false;
        return this;
    }

    public boolean isDisabled() {
        return disabled;
    }

    /** Gives the repository another id; the old one redirects from now on. */
    public FakeRepo rename(String newId) {
        state.rename(this, newId);
        return this;
    }

    void setId(String newId) {
        id = newId;
    }

    RepoType repoType() {
        return type;
    }

    Instant created() {
        return created;
    }

    /** The page of the repository on the hub. */
    public String url() {
        return state.hubUrl() + "/" + type.webPrefix() + id;
    }
}
