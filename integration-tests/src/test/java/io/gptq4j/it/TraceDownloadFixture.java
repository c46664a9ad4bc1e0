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

/** A test of recorded downloads, with a hub to play them against. */
abstract class TraceDownloadFixture extends HubBenchFixture {
    static final Repo LLAMA = repo("acme/tiny-llama");

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
