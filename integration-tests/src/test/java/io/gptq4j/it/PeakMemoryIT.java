package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactReader;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** No more than a few blocks are in memory at a time. */
@EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc")
class PeakMemoryIT {
    private static final int HIDDEN = 1024;

    @TempDir
    Path directory;

    @Test
    void aModelIsNeverWholeInMemory() throws Exception {
        SyntheticCheckpoint checkpoint = new SyntheticCheckpoint(HIDDEN, 24, false);
        long peak = peak(checkpoint);
        System.out.printf(
                "Peak memory with %d MB of weights: %d MB%n", checkpoint.bytes() / 1_000_000, peak / 1_000_000);
        // Java, libtorch, the heap and a few blocks: 950 MB, and 1 200 MB where the model makes text up first, of which
        // the allocator keeps some. The 640 MB of weights do not fit into what is allowed more.
        assertThat(peak).isLessThan(1_450_000_000);
    }

    @Test
    void holesForWeightsAreQuantizedLikeAnyNumbers() throws Exception {
        assertThat(peak(new SyntheticCheckpoint(HIDDEN, 2, true))).isPositive();
        try (Checkpoint artifact = Checkpoint.open(directory.resolve("out"))) {
            assertThat(ArtifactReader.of(artifact).modules()).hasSize(2 * 7);
        }
    }

    private long peak(SyntheticCheckpoint checkpoint) throws Exception {
        checkpoint.write(directory.resolve("model"));
        return PeakMemory.ofQuantize(new Cli().with("GPTQ4J_OPTS", "-Xmx256m"), directory, checkpoint);
    }
}
