package io.gptq4j.it.hub;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Everything the hub remembers; the routes share it. */
final class HubState {
    private static final Instant START = Instant.parse("2023-11-14T22:13:20Z");
    private static final List<User> USERS = List.of(
            new User("alice", FakeHub.WRITE_TOKEN, "alice-token", "write", List.of("acme")),
            new User("bob", FakeHub.READ_TOKEN, "bob-token", "read", List.of()));

    private final Options options;
    private final LfsStore lfs;
    private final Signatures signatures = new Signatures();
    private final Map<String, FakeRepo> repos = new ConcurrentSkipListMap<>();
    private final Map<String, FakeRepo> renamed = new ConcurrentHashMap<>();
    private final AtomicLong dates = new AtomicLong();
    private volatile String hubUrl = "";
    private volatile String storageUrl = "";

    HubState(Options options, Path dataDirectory) throws IOException {
        this.options = options;
        this.lfs = new LfsStore(dataDirectory);
    }

    void listensAt(String hub, String storage) {
        hubUrl = hub;
        storageUrl = storage;
    }

    Options options() {
        return options;
    }

    LfsStore lfs() {
        return lfs;
    }

    Signatures signatures() {
        return signatures;
    }

    String hubUrl() {
        return hubUrl;
    }

    String storageUrl() {
        return storageUrl;
    }

    /** A minute after the last one, so that ids of commits are the same in every run. */
    Instant nextDate() {
        return START.plusSeconds(60 * dates.incrementAndGet());
    }

    static @Nullable User userOf(String token) {
        return USERS.stream()
                .filter(user -> user.token().equals(token))
                .findFirst()
                .orElse(null);
    }

    FakeRepo createOrGet(RepoType type, String id) {
        return repos.computeIfAbsent(key(type, id), key -> new FakeRepo(this, type, id));
    }

    /** Makes a repository; null when there is one. */
    synchronized @Nullable FakeRepo create(RepoType type, String id) {
        if (find(type, id) != null) {
            return null;
        }
        renamed.remove(key(type, id));
        return createOrGet(type, id);
    }

    @Nullable
    FakeRepo find(RepoType type, String id) {
        return repos.get(key(type, id));
    }

    /** The repository that once had this id, or null. */
    @Nullable
    FakeRepo movedFrom(RepoType type, String id) {
        FakeRepo repo = renamed.get(key(type, id));
        return repo != null && repos.containsValue(repo) ? repo : null;
    }

    /** All repositories of a type, ordered by id. */
    List<FakeRepo> all(RepoType type) {
        return repos.values().stream().filter(repo -> repo.repoType() == type).toList();
    }

    synchronized void rename(FakeRepo repo, String newId) {
        String oldKey = key(repo.repoType(), repo.id());
        repos.remove(oldKey);
        renamed.put(oldKey, repo);
        repo.setId(newId);
        repos.put(key(repo.repoType(), newId), repo);
    }

    synchronized void delete(FakeRepo repo) {
        repos.remove(key(repo.repoType(), repo.id()));
    }

    private static String key(RepoType type, String id) {
        return type.plural() + "/" + id;
    }
}
