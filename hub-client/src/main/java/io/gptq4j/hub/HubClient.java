package io.gptq4j.hub;

import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.internal.api.HubApi;
import io.gptq4j.hub.internal.download.Downloads;
import io.gptq4j.hub.internal.download.Tuning;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.Waiter;
import io.gptq4j.hub.internal.upload.Uploads;
import io.gptq4j.hub.repo.Identity;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoInfo;
import io.gptq4j.hub.repo.RepoRefs;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.repo.SearchQuery;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A client of the Hugging Face Hub, of a mirror or of a private hub with the same protocol.
 *
 * <p>All methods block, retry what may be retried, and throw {@link io.gptq4j.hub.error.HubException}s with a sentence for
 * the user. Interrupting the calling thread ends a transfer; what has arrived is kept and used by the next attempt. The
 * token goes to the Hub's own routes only.
 *
 * <p>Safe for concurrent use. Close it to release threads and connections.
 */
public final class HubClient implements Closeable {
    private final HubHttp http;
    private final HubApi api;
    private final Tuning tuning;
    private final Downloads downloads;
    private final Uploads uploads;

    private HubClient(HubHttp http, Tuning tuning, TransferListener listener) {
        this.http = http;
        this.tuning = tuning;
        api = new HubApi(http);
        downloads = new Downloads(http, api, tuning, listener);
        uploads = new Uploads(http, api, this::file, listener);
    }

    /** A client with the settings of this process, unless the builder is told otherwise. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects what a client needs. Belongs to one thread. */
    public static final class Builder {
        private @Nullable HubConfig config;
        private TransferListener listener = TransferListener.NONE;
        private Waiter waiter = Waiter.SLEEPING;
        private Tuning tuning = Tuning.DEFAULT;

        private Builder() {}

        /** Other settings than those of this process. */
        public Builder config(HubConfig config) {
            this.config = config;
            return this;
        }

        /** Who hears how transfers go on. */
        public Builder listener(TransferListener listener) {
            this.listener = listener;
            return this;
        }

        /** How time passes between attempts; for tests. */
        Builder waiter(Waiter waiter) {
            this.waiter = waiter;
            return this;
        }

        /** How large files are fetched; for tests. */
        Builder tuning(Tuning tuning) {
            this.tuning = tuning;
            return this;
        }

        /**
         * A client.
         *
         * @throws IOException if the certificates that the settings name cannot be read
         */
        public HubClient build() throws IOException {
            return new HubClient(
                    new HubHttp(config == null ? HubConfig.ofProcess() : config, waiter), tuning, listener);
        }
    }

    /** The settings. */
    public HubConfig config() {
        return http.config();
    }

    /** Whose token this is. */
    public Identity whoami() throws IOException {
        return api.whoami();
    }

    /** What the Hub tells about a repository at a revision. */
    public RepoInfo info(Repo repo, Revision revision) throws IOException {
        return api.info(repo, revision);
    }

    /**
     * Files and folders.
     *
     * @param folder where to look, or null for the root
     * @param recursive whether to look into folders too
     */
    public List<RepoEntry> tree(Repo repo, Revision revision, @Nullable String folder, boolean recursive)
            throws IOException {
        return api.tree(repo, revision, folder, recursive);
    }

    /** What is at some paths; those where nothing is are left out. */
    public List<RepoEntry> pathsInfo(Repo repo, Revision revision, List<String> paths) throws IOException {
        return api.pathsInfo(repo, revision, paths);
    }

    /** Branches, tags and pull requests. */
    public RepoRefs refs(Repo repo) throws IOException {
        return api.refs(repo);
    }

    /** Repositories that fit a query, in its order. */
    public List<RepoInfo> search(SearchQuery query) throws IOException {
        return api.search(query);
    }

    /** Whether a repository is there, as far as the token may see. */
    public boolean exists(Repo repo) throws IOException {
        return api.exists(repo);
    }

    /** Whether a repository has a revision. */
    public boolean exists(Repo repo, Revision revision) throws IOException {
        return api.exists(repo, revision);
    }

    /** Makes a model or dataset repository, see {@link #createRepo(Repo, String, Boolean, boolean)}. */
    public String createRepo(Repo repo, @Nullable Boolean isPrivate, boolean existOk) throws IOException {
        return createRepo(repo, null, isPrivate, existOk);
    }

    /**
     * Makes a repository.
     *
     * @param spaceSdk what a space runs, such as {@code docker}, without which the Hub makes none; null for other types
     * @param isPrivate whether others may not see it, or null for the namespace's default
     * @param existOk whether it is well if it is there already; nothing of it is changed then
     * @return the address of its page
     */
    public String createRepo(Repo repo, @Nullable String spaceSdk, @Nullable Boolean isPrivate, boolean existOk)
            throws IOException {
        return api.create(repo, spaceSdk, isPrivate, existOk);
    }

    /** Removes a repository for good; with {@code missingOk} it is well if there is none. */
    public void deleteRepo(Repo repo, boolean missingOk) throws IOException {
        api.delete(repo, missingOk);
    }

    /** Makes a branch that starts at a revision, or with null at the head of main. */
    public void createBranch(Repo repo, String branch, @Nullable Revision from, boolean existOk) throws IOException {
        api.createBranch(repo, branch, from, existOk);
    }

    /** Removes a branch. */
    public void deleteBranch(Repo repo, String branch) throws IOException {
        api.deleteBranch(repo, branch);
    }

    /** Makes a tag at a revision, with a message or, with null, without. */
    public void createTag(Repo repo, String tag, Revision at, @Nullable String message, boolean existOk)
            throws IOException {
        api.createTag(repo, tag, at, message, existOk);
    }

    /** Removes a tag. */
    public void deleteTag(Repo repo, String tag) throws IOException {
        api.deleteTag(repo, tag);
    }

    /** Brings one file to the cache, unless it is there, and gives its place. */
    public Path file(Repo repo, Revision revision, String path) throws IOException {
        return file(repo, revision, path, null, false, false);
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
        return downloads.file(repo, revision, path, localDir, force, localOnly);
    }

    /** Brings all chosen files of a revision to this disk. */
    public Snapshot snapshot(SnapshotRequest request) throws IOException {
        return downloads.snapshot(request);
    }

    /** What {@link #snapshot} would do; the disk stays as it is. */
    public Snapshot plan(SnapshotRequest request) throws IOException {
        return downloads.plan(request);
    }

    /**
     * Opens a file of a repository without downloading it. The commit of the revision is fixed now, so what is read belongs
     * together.
     */
    public RemoteFile open(Repo repo, Revision revision, String path) throws IOException {
        return new RemoteFile(http, downloads.content(repo, revision, path), tuning);
    }

    /**
     * Has the Hub check the front matter of a README.md. {@link #commit} does so too; asked before, a refusal comes before a
     * repository is made. Hubs that have no such check let everything pass.
     *
     * @param type what kind of repository it is meant for
     * @param readme the file
     * @throws io.gptq4j.hub.error.HubException if the front matter is refused, with the reason
     */
    public void validateCard(RepoType type, Path readme) throws IOException {
        uploads.validateCard(type, readme);
    }

    /**
     * The same for a card that is not on the disk.
     *
     * @param name what messages call it
     * @param text the whole text of the README.md to be
     */
    public void validateCard(RepoType type, String name, String text) throws IOException {
        uploads.validateCard(type, name, text);
    }

    /**
     * Uploads the large files that a commit to come adds, so that they can be deleted here while others of that commit are
     * still being made. Content that the Hub has is not sent, and an upload that was broken off goes on where it stopped. The
     * repository must exist; nothing of it changes.
     *
     * @return the same request with {@link CommitOperation.Staged} in place of the files that are on the Hub now. A file whose
     *     content travels with the commit, or that the Hub is going to leave out, is still an {@link CommitOperation.Add}, and
     *     so has to stay
     */
    public CommitRequest stage(CommitRequest request) throws IOException {
        return uploads.stage(request);
    }

    /**
     * Makes one commit. Content that the Hub has is not sent, files that have not changed are left out, and if nothing is
     * left there is no commit. If an answer gets lost, the head of the branch tells whether the commit was made; it is never
     * made twice.
     */
    public CommitResult commit(CommitRequest request) throws IOException {
        return uploads.commit(request);
    }

    @Override
    public void close() {
        http.close();
    }
}
