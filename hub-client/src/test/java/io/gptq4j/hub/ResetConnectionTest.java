package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.cut;
import static io.gptq4j.hub.ScriptedServer.ranged;
import static io.gptq4j.hub.ScriptedServer.status;
import static io.gptq4j.hub.Stubs.COMMIT;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Connections that are reset, which loses what the server has sent and nobody has read. */
class ResetConnectionTest {
    private static final byte[] CONTENT = new byte[2_000_000];

    static {
        new Random(20260826).nextBytes(CONTENT);
    }

    @RegisterExtension
    final ScriptedServer hub = new ScriptedServer().resettingConnections();

    @TempDir
    Path home;

    @Test
    void aResetInTheMiddleOfTheContentIsSurvived() throws IOException {
        String file = "/acme/m/resolve/main/m.bin";
        hub.on(
                "HEAD " + file,
                status(200)
                        .setHeader("X-Repo-Commit", COMMIT)
                        .setHeader("ETag", "\"not-a-hash\"")
                        .setHeader("Content-Length", CONTENT.length)
                        .build());
        String content = "GET /acme/m/resolve/" + COMMIT + "/m.bin";
        hub.on(content, request -> cut(ranged(request, CONTENT), 1_500_000), request -> ranged(request, CONTENT));
        try (Desk desk = new Desk(home, hub.address())) {
            assertThat(desk.client().file(REPO, Revision.MAIN, "m.bin")).hasBinaryContent(CONTENT);
            assertThat(desk.waits()).hasSize(1);
        }
        assertThat(hub.ranges()).hasSize(2);
    }
}
