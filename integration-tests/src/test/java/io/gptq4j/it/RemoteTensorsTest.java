package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.Fault;
import io.gptq4j.safetensors.SafetensorsReader;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The hub client's channel under the converter's reader: the two modules meet in a JDK type. */
class RemoteTensorsTest {
    private static final Repo REPO = Repo.model("acme/tiny-llama");
    private static final String FILE = "model.safetensors";
    private static final String NORM = "model.layers.3.input_layernorm.weight";

    @TempDir
    Path home;

    private HubClient client(FakeHub hub) throws Exception {
        Map<String, String> environment = Map.of("HF_ENDPOINT", hub.url(), "HF_HOME", home.toString());
        return HubClient.builder()
                .config(HubConfig.fromEnvironment(environment, home).build())
                .build();
    }

    @Test
    void readsAHeaderAndOneTensorForAFractionOfTheFile() throws Exception {
        Path local = TinyModel.bundled().resolve(FILE);
        try (FakeHub hub = FakeHub.start()) {
            hub.repo("acme/tiny-llama").commit("main", "seed", Map.of(FILE, local));
            hub.fault(Fault.on("GET", "/_cdn/").dropAfter(1_000).times(1)); // a bad line on the way
            try (HubClient client = client(hub);
                    SafetensorsReader remote = SafetensorsReader.open(FILE, client.open(REPO, Revision.MAIN, FILE));
                    SafetensorsReader disk = SafetensorsReader.open(local)) {
                assertThat(remote.tensors()).isEqualTo(disk.tensors());
                int bytes = Math.toIntExact(disk.tensor(NORM).byteLength());
                ByteBuffer expected = ByteBuffer.allocate(bytes);
                ByteBuffer actual = ByteBuffer.allocate(bytes);
                disk.read(NORM, 0, expected);
                remote.read(NORM, 0, actual);
                assertThat(actual.array()).isEqualTo(expected.array());
            }
            assertThat(hub.bytesSent("/_cdn/")).isLessThan(200_000);
        }
    }
}
