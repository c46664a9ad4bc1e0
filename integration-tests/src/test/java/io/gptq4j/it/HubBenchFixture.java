package io.gptq4j.it;

import io.gptq4j.it.hub.FakeHub;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A test with a hub that has the repositories of the conformance cases. */
abstract class HubBenchFixture {
    @TempDir
    Path directory;

    HubBench bench;

    /** How the hub is set up. */
    FakeHub.Builder settings() {
        return FakeHub.builder();
    }

    @BeforeEach
    void startHub() {
        bench = new HubBench(directory, settings());
    }

    @AfterEach
    void closeHub() {
        bench.close();
    }

    /** Starts another hub for a test. */
    void serve(FakeHub.Builder settings) {
        bench.close();
        bench = new HubBench(directory, settings);
    }
}
