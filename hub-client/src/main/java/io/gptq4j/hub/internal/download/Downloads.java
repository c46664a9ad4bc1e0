package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.IncompleteSnapshotException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.error.OfflineException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.internal.api.HubApi;
import io.gptq4j.hub.internal.cache.FileLocks;
import io.gptq4j.hub.internal.cache.LocalFolder;
import io.gptq4j.hub.internal.cache.RepoCache;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.Patience;
import io.gptq4j.hub.internal.http.Retry;
import io.gptq4j.hub.internal.io.Workers;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoPaths;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import okhttp3.HttpUrl;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Downloads single files and snapshots, with as few requests as huggingface_hub or fewer:
 *
 * <ol>
 *   <li>A file of a commit that is on the disk costs none; one of a branch costs a HEAD, after which a GET follows only if the
 *       content is not there.
 *   <li>A snapshot costs the info of its revision, the list of its files unless it was listed before, and one GET for each
 *       file that is not there: the list already tells sizes and hashes, so no HEADs are needed.
 *   <li>Where the Hub does not answer, what is on the disk is taken, with a warning.
 *   <li>The ref of a snapshot is written when all of its files are there, so that nobody takes a part for the whole.
 * </ol>
 *
 * <p>Safe for concurrent use.
 */
public final class Downloads {
    private static final Logger LOG = LoggerFactory.getLogger(Downloads.class);

    private final HubHttp http;
    private final HubApi api;
    private final Tuning tuning;
    private final TransferListener listener;
    private final FileLocks locks = new FileLocks();
    private final Semaphore extraConnections;
    private volatile @Nullable Boolean symlinks;

    /** Over a transport. */
    public Downloads(HubHttp http, HubApi api, Tuning tuning, TransferListener listener) {
        this.http = http;
        this.api = api;
        this.tuning = tuning;
        this.listener = listener;
        extraConnections = new Semaphore(tuning.connections());
    }

    /**
     * Brings one file to this disk.
     *
     * @param localDir a folder to put it into, or null for the cache
     * @param force whether to fetch it even if it is there
     * @param localOnly whether to look at this disk only
     * @return where it is
     */
    public Path file(
            Repo repo, Revision revision, String path, @Nullable Path localDir, boolean force, boolean localOnly)
            throws IOException {
        RepoPaths.requireSafe(path);
        Place place = place(repo, localDir);
        requireUsable(place, "any", path);
        if (!force && revision.isCommitHash() && place.hasNamed(revision.name(), path)) {
            return place.location(revision.name(), path);
        }
        if (localOnly) {
            return place.anyhow(revision, path).orElseThrow(() -> notHere("'" + path + "' of " + repo, revision, null));
        }
        FileMetadata metadata;
        try {
            metadata = metadata(repo, revision, path, place, Patience.METADATA);
        } catch (EntryNotFoundException | RevisionNotFoundException e) {
            throw e;
        } catch (HubException e) {
            Optional<Path> cached = force ? Optional.empty() : place.anyhow(revision, path);
            if (cached.isPresent()) {
                if (!(e instanceof OfflineException)) {
                    LOG.warn("{}; taking the file that is on this disk, {}", e.getMessage(), cached.get());
                }
                return cached.get();
            }
            if (e instanceof OfflineException) {
                throw notHere("'" + path + "' of " + repo, revision, e);
            }
            if (!Retry.isTransient(e)) {
                throw e;
            }
            metadata = http.retry().run(() -> metadata(repo, revision, path, place, Patience.API));
        }
        RepoFile file = metadata.file();
        String commit = metadata.commit();
        if (force || !place.has(commit, file)) {
            announce(place, commit, List.of(file), force);
            fetch(repo, commit, file, place, force, metadata.store());
        } else {
            place.confirm(commit, file);
        }
        place.writeRef(revision, commit);
        return place.location(commit, path);
    }

    /** Brings all chosen files of a revision to this disk. */
    public Snapshot snapshot(SnapshotRequest request) throws IOException {
        Place place = place(request.repo(), request.localDir());
        Listing listing = listing(request, place, true);
        if (listing.fromDisk() != null) {
            return listing.fromDisk();
        }
        List<RepoFile> wanted = listing.files();
        List<RepoFile> missing = new ArrayList<>();
        for (RepoFile file : wanted) {
            if (request.force() || !place.has(listing.commit(), file)) {
                missing.add(file);
            } else {
                place.confirm(listing.commit(), file);
            }
        }
        announce(place, listing.commit(), missing, request.force());
        new Workers("download", request.workers(), http::cancelAll)
                .run(missing, file -> fetch(request.repo(), listing.commit(), file, place, request.force(), null));
        if (Files.isDirectory(place.folder(listing.commit()))) { // a ref to nothing would count as damage
            place.writeRef(request.revision(), listing.commit());
        }
        return snapshot(place, listing.commit(), wanted, missing);
    }

    /** What {@link #snapshot} would do; the disk stays as it is. */
    public Snapshot plan(SnapshotRequest request) throws IOException {
        Place place = place(request.repo(), request.localDir());
        Listing listing = listing(request, place, false);
        if (listing.fromDisk() != null) {
            return listing.fromDisk();
        }
        List<RepoFile> missing = new ArrayList<>();
        for (RepoFile file : listing.files()) {
            if (request.force() || !(place.has(listing.commit(), file) || isElsewhere(place, file))) {
                missing.add(file);
            }
        }
        return snapshot(place, listing.commit(), listing.files(), missing);
    }

    private static Snapshot snapshot(Place place, String commit, List<RepoFile> wanted, List<RepoFile> missing) {
        Set<RepoFile> absent = new HashSet<>(missing);
        return new Snapshot(
                place.folder(commit),
                commit,
                wanted.stream()
                        .map(file -> new Snapshot.File(
                                file.path(), file.size(), place.location(commit, file.path()), !absent.contains(file)))
                        .toList());
    }

    /**
     * The chosen files of a commit, or, where the Hub does not answer, what is on the disk.
     *
     * @param commit the commit
     * @param files the chosen files
     * @param fromDisk the whole result, if it comes from the disk
     */
    private record Listing(
            String commit, List<RepoFile> files, @Nullable Snapshot fromDisk) {}

    private Listing listing(SnapshotRequest request, Place place, boolean keep) throws IOException {
        if (request.localOnly()) {
            return new Listing("", List.of(), onDisk(request, place, null, keep));
        }
        Repo repo = request.repo();
        Revision revision = request.revision();
        String commit;
        List<RepoFile> files;
        try {
            commit = revision.isCommitHash() ? revision.name() : api.commitOf(repo, revision);
            Optional<List<RepoFile>> known = place.tree(commit);
            files = known.isPresent() ? known.get() : api.files(repo, commit);
            if (known.isEmpty() && keep) {
                place.writeTree(commit, files);
            }
        } catch (HubException e) {
            if (!(e instanceof OfflineException) && !Retry.isTransient(e)) {
                throw e;
            }
            return new Listing("", List.of(), onDisk(request, place, e, keep));
        }
        List<RepoFile> wanted = files.stream()
                .filter(file -> request.patterns().test(file.path()))
                .toList();
        for (RepoFile file : wanted) {
            requireUsable(place, commit, file.path());
        }
        return new Listing(commit, wanted, null);
    }

    /**
     * The snapshot as far as it is here; a part of it is only given where nobody can tell that it is one.
     *
     * @param whole whether a part is an error
     */
    private static Snapshot onDisk(
            SnapshotRequest request, Place place, @Nullable HubException unreachable, boolean whole)
            throws IOException {
        Optional<String> commit = place.commitOf(request.revision());
        Path folder = place.folder(commit.orElse("unknown"));
        if ((commit.isEmpty() && request.localDir() == null) || !holdsSomething(folder)) {
            if (unreachable != null && !(unreachable instanceof OfflineException)) {
                throw unreachable;
            }
            throw notHere(request.repo().toString(), request.revision(), unreachable);
        }
        if (unreachable != null && !(unreachable instanceof OfflineException)) {
            LOG.warn("{}; taking what is on this disk, {}", unreachable.getMessage(), folder);
        }
        Optional<List<RepoFile>> tree = commit.flatMap(place::tree);
        if (tree.isEmpty()) {
            return new Snapshot(folder, commit.orElse(null), List.of());
        }
        List<RepoFile> wanted = tree.get().stream()
                .filter(file -> request.patterns().test(file.path()))
                .toList();
        List<RepoFile> missing = wanted.stream()
                .filter(file -> !Files.isRegularFile(place.location(commit.get(), file.path())))
                .toList();
        if (whole && !missing.isEmpty()) {
            throw new IncompleteSnapshotException(
                    folder, missing.stream().map(RepoFile::path).toList());
        }
        return snapshot(place, commit.get(), wanted, missing);
    }

    private static boolean holdsSomething(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return false;
        }
        try (Stream<Path> content = Files.list(folder)) {
            return content.findAny().isPresent();
        }
    }

    private static LocalEntryNotFoundException notHere(String what, Revision revision, @Nullable HubException cause) {
        return new LocalEntryNotFoundException(
                "Cannot find " + what + " at revision '" + revision + "' on this disk, and "
                        + (cause == null
                                ? "only this disk was to be searched"
                                : "offline mode is enabled; to reach the Hub, unset HF_HUB_OFFLINE"),
                cause);
    }

    /** The content of a file, to be read over the network. */
    public RemoteContent content(Repo repo, Revision revision, String path) throws IOException {
        RepoPaths.requireSafe(path);
        FileMetadata metadata =
                http.retry().run(() -> FileMetadata.of(http, api, repo, revision, path, Patience.API, commit -> {}));
        Revision commit = new Revision(metadata.commit());
        return new RemoteContent(
                http,
                "read '" + path + "' of " + repo,
                http.endpoint().resolve(repo, commit, path),
                metadata.store(),
                metadata.file().size());
    }

    private FileMetadata metadata(Repo repo, Revision revision, String path, Place place, Patience patience)
            throws IOException {
        return FileMetadata.of(
                http, api, repo, revision, path, patience, commit -> place.writeAbsence(revision, commit, path));
    }

    private void fetch(Repo repo, String commit, RepoFile file, Place place, boolean force, @Nullable HttpUrl store)
            throws IOException {
        HttpUrl resolve = http.endpoint().resolve(repo, new Revision(commit), file.path());
        place.bring(commit, file, force, partial -> {
            if (force) {
                PartialFile.delete(partial);
            }
            if (file.size() == 0) {
                Files.write(partial, new byte[0]);
                return;
            }
            RemoteContent content =
                    new RemoteContent(http, "download '" + file.path() + "' of " + repo, resolve, store, file.size());
            new ContentTransfer(http.retry(), content, file.path(), file.etag(), tuning, extraConnections, listener)
                    .into(partial);
        });
        listener.finished(file.path());
    }

    private Place place(Repo repo, @Nullable Path localDir) {
        Path cache = http.config().cache();
        if (localDir != null) {
            RepoCache shared = new RepoCache(cache, repo, this::symlinks);
            return new LocalPlace(localDir, new LocalFolder(localDir), shared, locks);
        }
        return new CachePlace(new RepoCache(cache, repo, this::symlinks), locks);
    }

    private boolean symlinks() {
        Boolean known = symlinks;
        if (known == null) {
            known = http.config().usesSymlinks()
                    && RepoCache.supportsSymlinks(http.config().cache());
            symlinks = known;
        }
        return known;
    }

    /** Refuses a path that cannot be, or must not be, a file of that place. */
    private static void requireUsable(Place place, String commit, String path) throws HubException {
        try {
            place.location(commit, path);
        } catch (IllegalArgumentException e) { // InvalidPathException, too
            throw new HubException("Cannot put '" + path + "' on this disk: " + e.getMessage(), e);
        }
    }

    /** Whether the content is here under another name. */
    private boolean isElsewhere(Place place, RepoFile file) throws IOException {
        return file.size() > 0 && lacking(place, file) == 0;
    }

    private long lacking(Place place, RepoFile file) throws IOException {
        return file.size() == 0 ? 0 : place.lacking(file, tuning.segmentOf(file.size()));
    }

    /** Says what is going to be transferred, and refuses what this disk cannot hold. */
    private void announce(Place place, String commit, List<RepoFile> missing, boolean force) throws IOException {
        int files = 0;
        long bytes = 0;
        long space = 0;
        for (RepoFile file : missing) {
            long lacking = force ? file.size() : lacking(place, file);
            if (lacking > 0) {
                files++;
                bytes = Math.addExact(bytes, file.size());
                space = Math.addExact(space, lacking);
            }
        }
        listener.planned(files, bytes);
        Path folder = place.folder(commit);
        Path existing = folder.toAbsolutePath();
        while (!Files.exists(existing) && existing.getParent() != null) {
            existing = existing.getParent();
        }
        long free = Files.getFileStore(existing).getUsableSpace();
        if (free > 0 && free < space) {
            throw new IOException("Too little space for the download into " + folder + ": it needs " + space
                    + " bytes, " + free + " are free; free some, or choose another disk (HF_HOME or --local-dir)");
        }
    }
}
