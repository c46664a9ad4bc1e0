package io.gptq4j.tensor;

import java.util.Locale;

/** A failure inside libtorch, with its own message; {@link #outOfMemory()} tells the one kind a user can mend. */
public final class TorchException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final boolean outOfMemory;

    private TorchException(String message, boolean outOfMemory, Throwable cause) {
        super(message, cause);
        this.outOfMemory = outOfMemory;
    }

    static TorchException of(RuntimeException cause) {
        String text = String.valueOf(cause.getMessage());
        String lower = text.toLowerCase(Locale.ROOT);
        // libtorch has no exception type for it; these are the texts of its CUDA and CPU allocators.
        boolean outOfMemory = lower.contains("out of memory") || lower.contains("can't allocate memory");
        return new TorchException(
                outOfMemory
                        ? "The device is out of memory; use fewer or shorter calibration windows (--samples, --seqlen),"
                                + " --dtype bfloat16, or another device: "
                                + text.lines()
                                        .filter(line ->
                                                line.toLowerCase(Locale.ROOT).contains("memory"))
                                        .findFirst()
                                        .orElse(text)
                        : text,
                outOfMemory,
                cause);
    }

    /** Whether the device's memory did not suffice. */
    public boolean outOfMemory() {
        return outOfMemory;
    }
}
