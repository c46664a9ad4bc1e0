package io.gptq4j.it;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.SnapshotRequest;
import io.gptq4j.it.hub.FakeHub;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A test of recorded downloads, with a hub to play them against. */
abstract class TraceDownloadFixture {
    static final Repo LLAMA = repo("acme/tiny-llama");

    @TempDir
    Path directory;

    HubBench bench;

    @BeforeEach
    void serve() {
        bench = new HubBench(directory);
    }

    @AfterEach
    void close() {
        bench.close();
    }

    void serve(FakeHub.Builder settings) {
        bench.close();
        bench = new HubBench(directory, settings);
    }

    HubClient alice(String... variables) throws IOException {
        return bench.client(FakeHub.WRITE_TOKEN, variables);
    }

    static Repo repo(String id) {
        return new Repo(RepoType.MODEL, RepoId.parse(id));
    }

    static SnapshotRequest one(String id) {
        return SnapshotRequest.of(repo(id)).workers(1);
    }

    static Path file(HubClient client, String path) throws IOException {
        return client.file(LLAMA, Revision.MAIN, path);
    }
}
