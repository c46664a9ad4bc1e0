package io.gptq4j.cli;

import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitResult;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Where an artifact goes: to a directory, to a repository, or to both; to the repository when it is complete or, where the run
 * streams, file by file. Belongs to one thread but for what {@link ShardUploads} says.
 */
final class Destination implements Closeable {
    private final Console console;
    private final HubOptions hub;
    private final PushOptions push;
    private final @Nullable Path directory;
    private final boolean streams;
    private final String summary;
    private @Nullable HubClient client;
    private @Nullable ShardUploads uploads;
    private boolean finished; // whatever is left to say about the repository was said

    /**
     * Nothing is done yet.
     *
     * @param directory where the artifact is to stay, or null if it is to pass through to the repository
     * @param streams whether files go to the repository as they are finished
     * @param summary the message of the commit
     */
    Destination(
            Console console,
            HubOptions hub,
            PushOptions push,
            @Nullable Path directory,
            boolean streams,
            String summary) {
        this.console = console;
        this.hub = hub;
        this.push = push;
        this.directory = directory;
        this.streams = streams && push.repo() != null;
        this.summary = summary;
    }

    /** Where files lie that are on their way, in either direction. */
    static Path workFolder(HubConfig config) {
        return config.home().resolve("gptq4j").resolve("stream");
    }

    /** Where the artifact stays, or null. */
    @Nullable
    Path directory() {
        return directory;
    }

    /** The repository, or null. */
    @Nullable
    Repo repo() {
        return push.repo();
    }

    /**
     * Makes ready for files. Where the run streams, the repository must be there from now on, so what may be refused is: the front
     * matter of the card, and the making of the repository.
     *
     * @param card the model card as far as it is known before the run
     */
    void open(String card) throws IOException {
        if (streams) {
            HubClient opened = hub.open(console);
            client = opened;
            opened.validateCard(Objects.requireNonNull(push.repo()).type(), "README.md", card);
            push.create(opened);
            uploads = new ShardUploads(opened::stage, push.request(summary), directory != null);
        }
    }

    /** A writer whose files come here. */
    ArtifactWriter writer(ArtifactWriter.Plan plan) throws IOException {
        if (directory != null) {
            return ArtifactWriter.create(
                    directory, plan, uploads == null ? ArtifactWriter.ShardListener.NONE : uploads);
        }
        Repo repo = Objects.requireNonNull(push.repo());
        Path passing = workFolder(Objects.requireNonNull(client).config())
                .resolve(repo.id().toString().replace("/", "--"));
        return ArtifactWriter.create(passing, plan, Objects.requireNonNull(uploads));
    }

    /**
     * Ends a run whose files could go nowhere.
     *
     * @throws IOException what ended the uploads
     */
    void requireAlive() throws IOException {
        if (uploads != null) {
            uploads.requireAlive();
        }
    }

    /** Waits until all files that go to the repository early are there, and gives the artifact its name, where it stays. */
    void complete(ArtifactWriter writer) throws IOException {
        if (uploads != null) {
            uploads.await(); // they read the files by the names that these have now
        }
        if (directory != null) {
            writer.commit();
        }
    }

    /** Ends uploads that are still going on, which happens after a failure only. */
    void endUploads() {
        if (uploads != null) {
            uploads.close();
        }
    }

    /**
     * Pushes the artifact, if it is to be pushed.
     *
     * @param complete where its files are, or those that have not been uploaded and deleted
     * @return the commit, or null
     */
    @Nullable
    CommitResult push(Path complete) throws IOException {
        Repo repo = push.repo();
        if (repo == null) {
            return null;
        }
        if (uploads == null) {
            return push.push(console, hub, complete, summary);
        }
        try {
            List<CommitOperation.Staged> staged = uploads.staged();
            finished = true;
            return push.commit(console, Objects.requireNonNull(client), complete, staged, summary);
        } catch (IOException e) {
            if (directory != null) {
                console.warn(push.advice(directory));
                finished = true;
            }
            throw e;
        }
    }

    @Override
    public void close() {
        if (uploads != null) {
            endUploads();
            if (!finished) {
                console.warn("Nothing was changed in " + push.repo()
                        + "; the same command again does not send what has been uploaded");
            }
        }
        if (client != null) {
            client.close();
        }
    }
}
