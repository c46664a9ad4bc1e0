package io.gptq4j.cli;

import io.gptq4j.tensor.TensorStore;
import io.gptq4j.tensor.Torch;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where the hidden states of a run are kept. */
final class MemoryOptions {
    /** Of the memory that is available; the rest is for blocks, Hessians and the files' cache. */
    private static final double SHARE = 0.4;

    @Option(
            names = "--states-memory",
            paramLabel = "SIZE",
            description =
                    "Host memory for the hidden states of the windows, such as 8GB; what exceeds it goes to a scratch"
                            + " file (default: two fifths of what is available).")
    private @Nullable String states;

    @Option(
            names = "--scratch",
            paramLabel = "DIR",
            description = "Where that file goes (default: the directory that the result goes to, or the one for"
                    + " temporary files).")
    private @Nullable Path scratch;

    /** Bytes of hidden states that may stay in host memory. */
    long hostBytes() {
        return states == null ? (long) (HostMemory.available() * SHARE) : Sizes.parse(states);
    }

    /**
     * The budget of a run.
     *
     * @param out where its result goes, or null
     */
    TensorStore.Budget budget(Torch torch, @Nullable Path out) {
        Path beside = out == null ? null : out.toAbsolutePath().getParent();
        while (beside != null && !Files.isDirectory(beside)) {
            beside = beside.getParent();
        }
        Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
        Path directory = scratch != null ? scratch : beside != null ? beside : temporary;
        return new TensorStore.Budget((long) (torch.freeDeviceMemory() * SHARE), hostBytes(), directory);
    }

    /**
     * Checks what can be checked before a run.
     *
     * @throws IllegalArgumentException if the directory is none, or the size is no size
     */
    void check() {
        hostBytes();
        if (scratch != null && !Files.isDirectory(scratch)) {
            throw new IllegalArgumentException(
                    "--scratch " + scratch + " is not a directory; create it or name another");
        }
    }
}
