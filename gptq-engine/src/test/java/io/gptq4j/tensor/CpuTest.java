package io.gptq4j.tensor;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** A test that computes on the CPU and has a directory of its own. */
public abstract class CpuTest {
    protected static Torch torch;

    @TempDir
    protected Path directory;

    @BeforeAll
    protected static void openTorch() {
        torch = Torch.open("cpu");
    }

    @AfterAll
    protected static void closeTorch() {
        torch.close();
    }
}
