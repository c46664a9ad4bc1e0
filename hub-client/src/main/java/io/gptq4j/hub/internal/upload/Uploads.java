package io.gptq4j.hub.internal.upload;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.internal.api.HubApi;
import io.gptq4j.hub.internal.http.HubHttp;
import io.gptq4j.hub.internal.http.HubRequest;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.internal.io.Workers;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoEntry;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.hub.transfer.TransferListener;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import okhttp3.HttpUrl;
import okhttp3.RequestBody;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes one commit:
 *
 * <ol>
 *   <li>The front matter of a README.md at the root is checked by the Hub, before anything else is sent, unless that was done.
 *   <li>preupload: the Hub says which files go to LFS, which it ignores, and what is at each path now. Files that have not
 *       changed drop out.
 *   <li>Content of LFS files goes to its store, see {@link LfsUploads}.
 *   <li>The commit, see {@link Commits}; if nothing is left, none is made.
 * </ol>
 */
public final class Uploads {
    private static final Logger LOG = LoggerFactory.getLogger(Uploads.class);
    private static final int FILES_PER_PREUPLOAD = 256;
    private static final int MOST_LFS_FILES = 25_000;
    private static final long MOST_REGULAR_BYTES = 1_000_000_000;
    private static final String README = "README.md";
    private static final String GITIGNORE = ".gitignore";

    private final HubHttp http;
    private final HubApi api;
    private final Fetch fetch;
    private final TransferListener listener;

    /** Brings one file of a repository to this disk. */
    @FunctionalInterface
    public interface Fetch {
        /** Gives its place. */
        Path file(Repo repo, Revision revision, String path) throws IOException;
    }

    /** Over a transport; small files that are copied are fetched first. */
    public Uploads(HubHttp http, HubApi api, Fetch fetch, TransferListener listener) {
        this.http = http;
        this.api = api;
        this.fetch = fetch;
        this.listener = listener;
    }

    /** What the Hub says about a file that is to be added. */
    private record Ruling(
            boolean isLfs, boolean isIgnored, @Nullable String oid) {}

    /** Makes the commit, or finds that there is nothing to change. */
    public CommitResult commit(CommitRequest request) throws IOException {
        Changes changes = new Changes();
        List<LocalContent> adds = new ArrayList<>();
        List<CommitOperation.Copy> copies = new ArrayList<>();
        List<CommitOperation.Staged> staged = new ArrayList<>();
        for (CommitOperation operation : request.operations()) {
            if (operation instanceof CommitOperation.Add add) {
                adds.add(new LocalContent(add.path(), add.source()));
            } else if (operation instanceof CommitOperation.Delete delete) {
                changes.deletes.add(delete);
            } else if (operation instanceof CommitOperation.Copy copy) {
                copies.add(copy);
            } else if (operation instanceof CommitOperation.Staged already) {
                staged.add(already);
            }
        }
        for (LocalContent add : adds) {
            if (add.path().equals(README) && !request.cardChecked()) {
                validateCard(request.repo().type(), add.source());
            }
        }
        sort(request, adds, changes);
        keepChanged(request, staged, changes);
        resolve(request, copies, changes);
        requireWithinLimits(changes);
        if (changes.isEmpty()) {
            LOG.info("Nothing has changed, so no commit is made");
            return Commits.head(http, api, request.repo(), request.revision());
        }
        listener.planned(
                changes.lfs.size(),
                changes.lfs.stream().mapToLong(LocalContent::size).sum());
        if (!changes.lfs.isEmpty()) {
            lfs(request).upload(changes.lfs, request.workers());
        }
        return new Commits(http, api, request, changes).make();
    }

    /** Uploads the large files that a request adds; gives the request that names them instead. */
    public CommitRequest stage(CommitRequest request) throws IOException {
        List<LocalContent> adds = new ArrayList<>();
        for (CommitOperation operation : request.operations()) {
            if (operation instanceof CommitOperation.Add add) {
                adds.add(new LocalContent(add.path(), add.source()));
            }
        }
        Map<String, Ruling> rulings = preupload(request, adds);
        Map<String, CommitOperation> staged = new HashMap<>();
        List<LocalContent> lfs = new ArrayList<>();
        for (LocalContent add : adds) {
            Ruling ruling = rulings.get(add.path());
            if (ruling != null && ruling.isLfs() && !ruling.isIgnored()) {
                staged.put(add.path(), new CommitOperation.Staged(add.path(), add.sha256(), add.size()));
                if (!add.sha256().equals(ruling.oid())) {
                    lfs.add(add);
                }
            }
        }
        if (!lfs.isEmpty()) {
            listener.planned(
                    lfs.size(), lfs.stream().mapToLong(LocalContent::size).sum());
            lfs(request).upload(lfs, request.workers());
        }
        return request.changing(request.operations().stream()
                .map(operation -> staged.getOrDefault(operation.path(), operation))
                .toList());
    }

    private LfsUploads lfs(CommitRequest request) {
        Revision named = request.createPullRequest() ? null : request.revision();
        return new LfsUploads(
                http, request.repo(), named, new UploadRecords(http.config().home()), listener);
    }

    /** Leaves out what is at its path already. */
    private void keepChanged(CommitRequest request, List<CommitOperation.Staged> staged, Changes changes)
            throws IOException {
        if (staged.isEmpty()) {
            return;
        }
        Map<String, String> there = new HashMap<>();
        List<String> paths = staged.stream().map(CommitOperation.Staged::path).toList();
        for (RepoEntry entry : api.pathsInfo(request.repo(), request.revision(), paths)) {
            if (entry instanceof RepoFile file && file.sha256() != null) {
                there.put(file.path(), file.sha256());
            }
        }
        for (CommitOperation.Staged content : staged) {
            if (content.sha256().equals(there.get(content.path()))) {
                LOG.debug("'{}' has not changed", content.path());
            } else {
                changes.stored.put(content.path(), new Changes.Stored(content.sha256(), content.size()));
            }
        }
    }

    /** Asks the Hub which files go where, and keeps those that have changed. */
    private void sort(CommitRequest request, List<LocalContent> adds, Changes changes) throws IOException {
        Map<String, Ruling> rulings = preupload(request, adds);
        List<LocalContent> kept = new ArrayList<>();
        for (LocalContent add : adds) {
            Ruling ruling = rulings.get(add.path());
            if (ruling == null) {
                throw new HubException("Cannot upload '" + add.path() + "': the Hub did not say where to");
            }
            if (ruling.isIgnored()) {
                LOG.info("'{}' is left out, as .gitignore says", add.path());
            } else {
                kept.add(add);
            }
        }
        // Hashing is what takes time here, so it is shared out.
        new Workers("upload", request.workers(), http::cancelAll).run(kept, add -> {
            Ruling ruling = rulings.get(add.path());
            if (ruling != null && (ruling.isLfs() || ruling.oid() != null)) {
                hash(add, ruling.isLfs());
            }
        });
        for (LocalContent add : kept) {
            Ruling ruling = rulings.get(add.path());
            boolean isLfs = ruling != null && ruling.isLfs();
            if (ruling != null && ruling.oid() != null && ruling.oid().equals(hash(add, isLfs))) {
                LOG.debug("'{}' has not changed", add.path());
            } else {
                (isLfs ? changes.lfs : changes.regular).add(add);
            }
        }
    }

    private static String hash(LocalContent content, boolean isLfs) throws IOException {
        return isLfs ? content.sha256() : content.gitId();
    }

    private Map<String, Ruling> preupload(CommitRequest request, List<LocalContent> adds) throws IOException {
        HttpUrl.Builder url = http.endpoint()
                .api(request.repo(), "preupload", request.revision().name())
                .newBuilder();
        if (request.createPullRequest()) {
            url.addQueryParameter("create_pr", "1");
        }
        @Nullable String gitignore = null;
        for (LocalContent add : adds) {
            if (add.path().equals(GITIGNORE)) {
                gitignore = add.text();
            }
        }
        Map<String, Ruling> rulings = new HashMap<>();
        for (int from = 0; from < adds.size(); from += FILES_PER_PREUPLOAD) {
            ObjectNode body = Json.object();
            ArrayNode files = body.putArray("files");
            Map<String, Long> sizes = new HashMap<>();
            for (LocalContent add : adds.subList(from, Math.min(adds.size(), from + FILES_PER_PREUPLOAD))) {
                files.addObject()
                        .put("path", add.path())
                        .put("sample", add.sample())
                        .put("size", add.size());
                sizes.put(add.path(), add.size());
            }
            if (gitignore != null) {
                body.put("gitIgnore", gitignore);
            }
            String action = "ask how to upload to " + request.repo();
            JsonNode answer = http.json(HubRequest.send("POST", action, url.build(), json(body)));
            for (JsonNode file : answer.path("files")) {
                String path = file.path("path").asText();
                // Object stores take no empty objects.
                boolean isLfs = file.path("uploadMode").asText().equals("lfs") && sizes.getOrDefault(path, 0L) > 0;
                rulings.put(path, new Ruling(isLfs, file.path("shouldIgnore").asBoolean(), Json.text(file, "oid")));
            }
        }
        return rulings;
    }

    /** Has the Hub check the front matter of a README.md. */
    public void validateCard(RepoType type, Path readme) throws IOException {
        validateCard(type, readme.toString(), utf8(readme));
    }

    /** Has the Hub check the front matter of a text that is going to be a README.md; {@code name} is what messages call it. */
    public void validateCard(RepoType type, String name, String text) throws IOException {
        ObjectNode body = Json.object().put("content", text).put("repoType", type.singular());
        String action = "have the front matter of README.md checked by the Hub";
        try {
            JsonNode answer =
                    http.json(HubRequest.send("POST", action, http.endpoint().api("validate-yaml"), json(body)));
            for (JsonNode warning : answer.path("warnings")) {
                LOG.warn("README.md: {}", warning.path("message").asText());
            }
        } catch (HubHttpException e) {
            if (e.status() == 400) {
                throw new HubException(
                        "Nothing was uploaded, because the front matter of " + name + " is not valid; mend it. "
                                + e.getMessage(),
                        e);
            }
            if (e.status() != 404) { // private hubs need not have the route
                throw e;
            }
        }
    }

    private static String utf8(Path readme) throws IOException {
        try {
            return Files.readString(readme);
        } catch (CharacterCodingException e) {
            throw new HubException(readme + " is not UTF-8 text, which the Hub expects of a README.md; convert it", e);
        }
    }

    /** Copies of LFS files are stated anew, small files are fetched and committed again. */
    private void resolve(CommitRequest request, List<CommitOperation.Copy> copies, Changes changes) throws IOException {
        Map<Revision, List<CommitOperation.Copy>> bySource = copies.stream()
                .collect(Collectors.groupingBy(
                        copy -> Optional.ofNullable(copy.revision()).orElse(request.revision())));
        for (Map.Entry<Revision, List<CommitOperation.Copy>> group : bySource.entrySet()) {
            Map<String, RepoFile> sources = new HashMap<>();
            List<String> paths = group.getValue().stream()
                    .map(CommitOperation.Copy::from)
                    .distinct()
                    .toList();
            // All from one commit, though somebody else may commit meanwhile.
            Revision commit = new Revision(api.commitOf(request.repo(), group.getKey()));
            for (RepoEntry entry : api.pathsInfo(request.repo(), commit, paths)) {
                if (entry instanceof RepoFile file) {
                    sources.put(file.path(), file);
                }
            }
            for (CommitOperation.Copy copy : group.getValue()) {
                RepoFile source = sources.get(copy.from());
                if (source == null) {
                    throw new EntryNotFoundException("Cannot copy '" + copy.from() + "' of " + request.repo()
                            + " at revision '" + group.getKey() + "': there is no such file");
                }
                if (source.sha256() != null) {
                    changes.stored.put(copy.path(), new Changes.Stored(source.sha256(), null));
                } else {
                    Path file = fetch.file(request.repo(), commit, copy.from());
                    changes.regular.add(new LocalContent(copy.path(), file));
                }
            }
        }
    }

    private static void requireWithinLimits(Changes changes) throws HubException {
        long regular = changes.regular.stream().mapToLong(LocalContent::size).sum();
        int large = changes.lfs.size() + changes.stored.size();
        if (large > MOST_LFS_FILES || regular > MOST_REGULAR_BYTES) {
            throw new HubException("The Hub takes at most " + MOST_LFS_FILES + " LFS files and " + MOST_REGULAR_BYTES
                    + " bytes of other files in a commit; this one has " + large + " and " + regular
                    + ": split it, or pack small files together");
        }
    }

    private static RequestBody json(ObjectNode body) {
        return HubRequest.body(body, HubRequest.JSON);
    }
}
