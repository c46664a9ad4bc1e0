package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much resident memory the program needs at most to quantize a {@link SyntheticCheckpoint}, as Linux counts it: heap,
 * libtorch's tensors, and what else the process holds.
 *
 * <p>By hand: {@code DIRECTORY GIGABYTES HIDDEN sparse|random} makes the checkpoint in the directory, quantizes it, prints
 * the peak and what the project allows, and fails above that.
 */
final class PeakMemory {
    private static final Pattern HIGH_WATER_MARK = Pattern.compile("VmHWM:\\s+(\\d+) kB");
    private static final int SAMPLES = 4;
    private static final int SEQLEN = 128;

    private PeakMemory() {}

    /** Quantizes one checkpoint and exits with 1 if that took too much memory. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length != 4) {
            throw new IllegalArgumentException("expected DIRECTORY GIGABYTES HIDDEN sparse|random");
        }
        Path directory = Path.of(arguments[0]);
        long bytes = Long.parseLong(arguments[1]) * 1_000_000_000;
        int hidden = Integer.parseInt(arguments[2]);
        boolean sparse = arguments[3].equals("sparse");
        int blocks = Math.toIntExact(bytes / new SyntheticCheckpoint(hidden, 1, sparse).blockBytes());
        SyntheticCheckpoint checkpoint = new SyntheticCheckpoint(hidden, blocks, sparse);
        long start = System.nanoTime();
        checkpoint.write(directory.resolve("model"));
        long written = System.nanoTime();
        long peak = ofQuantize(new Cli(), directory, checkpoint);
        System.out.printf(
                Locale.ROOT,
                "%.1f GB in %d blocks of %d MB: written in %.0f s, quantized in %.0f s,"
                        + " peak %d MB, of which %d MB are allowed%n",
                checkpoint.bytes() / 1e9,
                blocks,
                checkpoint.blockBytes() / 1_000_000,
                (written - start) / 1e9,
                (System.nanoTime() - written) / 1e9,
                peak / 1_000_000,
                allowed(checkpoint) / 1_000_000);
        System.exit(peak <= allowed(checkpoint) ? 0 : 1);
    }

    /** 2 GiB, the hidden states in float32, and three blocks. */
    static long allowed(SyntheticCheckpoint checkpoint) throws IOException {
        return (2L << 30) + 4L * SAMPLES * SEQLEN * checkpoint.hidden() + 3 * checkpoint.blockBytes();
    }

    /**
     * Quantizes the checkpoint in {@code directory/model} to {@code directory/out}.
     *
     * @return the most bytes that were resident at any time
     */
    static long ofQuantize(Cli cli, Path directory, SyntheticCheckpoint checkpoint)
            throws IOException, InterruptedException {
        Path log = directory.resolve("log.txt");
        Process process = cli.builder(
                        "quantize",
                        directory.resolve("model").toString(),
                        "--out",
                        directory.resolve("out").toString(),
                        "--samples",
                        String.valueOf(SAMPLES),
                        "--seqlen",
                        String.valueOf(SEQLEN),
                        "--no-eval")
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            process.getOutputStream().close();
            Path status = Path.of("/proc", String.valueOf(process.pid()), "status");
            long peak = 0;
            do {
                // Linux keeps the maximum itself; asked often because nothing is left of it when the process has ended.
                Matcher found = HIGH_WATER_MARK.matcher(Files.exists(status) ? Files.readString(status) : "");
                peak = found.find() ? Long.parseLong(found.group(1)) * 1024 : peak;
            } while (!process.waitFor(50, TimeUnit.MILLISECONDS));
            if (process.exitValue() != 0) {
                throw new AssertionError(
                        checkpoint + " ended with " + process.exitValue() + ": " + Files.readString(log, UTF_8));
            }
            return peak;
        } finally {
            process.destroyForcibly();
        }
    }
}
