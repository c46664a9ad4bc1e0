package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.RemoteWeights;
import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model to quantize, opened: all its files are on this disk, or its weights are read from the Hub.
 *
 * @param located where its files are
 * @param checkpoint its configuration and weights
 * @param client what the weights are read with, or null
 */
record ModelSource(
        ModelOptions.Located located,
        Checkpoint checkpoint,
        @Nullable HubClient client) implements Closeable {
    /** With all files on this disk. */
    static ModelSource here(ModelOptions options, Console console) throws IOException {
        ModelOptions.Located located = options.locate(console);
        return new ModelSource(located, options.read(Checkpoint.open(located.directory())), null);
    }

    /** With the weights on the Hub, all of the commit that the revision is at now. */
    static ModelSource stream(ModelOptions options, Console console) throws IOException {
        HubClient client = options.client(console);
        try {
            ModelOptions.Remote remote = options.locateRemote(console, client);
            RemoteWeights weights = new HubWeights(
                    client, Repo.model(remote.repo().toString()), new Revision(remote.commit()), remote.files());
            Checkpoint checkpoint =
                    Checkpoint.open(remote.directory(), weights, Destination.workFolder(client.config()));
            return new ModelSource(
                    new ModelOptions.Located(remote.directory(), remote.repo(), remote.commit()),
                    options.read(checkpoint),
                    client);
        } catch (IOException | RuntimeException e) {
            client.close();
            throw e;
        }
    }

    private record HubWeights(HubClient client, Repo repo, Revision commit, Set<String> files)
            implements RemoteWeights {
        @Override
        public SeekableByteChannel open(String file) throws IOException {
            return client.open(repo, commit, file);
        }
    }

    @Override
    public void close() throws IOException {
        try {
            checkpoint.close();
        } finally {
            if (client != null) {
                client.close();
            }
        }
    }
}
