package io.gptq4j.cost;

import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Measures a machine in three to four seconds. Every rate is the median of some timed calls, each long enough that the clock
 * does not matter, after one that is not counted; a machine is measured twice, and the better one of both counts for each rate, since
 * what comes between, such as the compiler of a Java that has just started, makes all that it meets slower. Not thread-safe.
 */
public final class Calibration {
    /** Seconds that one timed call should take, and how many there are. */
    private static final double CALL_SECONDS = 0.04;

    private static final int CALLS = 3;

    /** Tokens of the products: what one call of the forward has. */
    private static final int TOKENS = 2048;

    private static final int ATTENTION_HEADS = 16;

    private static final int LONGEST_WINDOW = 4096;

    /** 128 MiB in float32, more than the caches hold. */
    private static final int LINES = 8192;

    private static final long MOST_READ = 1L << 28;
    private static final int READ_BLOCK = 1 << 23;

    /** For checkpoints of which nothing lies here, and for writing, which nothing waits for while the page cache has room. */
    private static final double USUAL_DISK = 1e9;

    private final Torch torch;

    /** A calibration of the device of {@code torch}. */
    public Calibration(Torch torch) {
        this.torch = torch;
    }

    /**
     * Measures everything.
     *
     * @param type the forward's type
     * @param window tokens per window, and
     * @param headDim channels per head, on which the rate of attention depends
     * @param file a file to read a part of, at most 256 MiB; null if there is none
     * @throws IOException if the file cannot be read
     */
    public MachineProfile measure(FloatType type, int window, int headDim, @Nullable Path file) throws IOException {
        double disk = file == null ? USUAL_DISK : diskRead(file); // once: after that it is in the page cache
        return pass(type, window, headDim, disk).better(pass(type, window, headDim, disk));
    }

    private MachineProfile pass(FloatType type, int window, int headDim, double disk) {
        MachineProfile.Gemm float32 = gemm(FloatType.FLOAT32);
        try (Scope scope = torch.scope()) {
            return new MachineProfile(
                    torch.device(),
                    float32,
                    type,
                    type == FloatType.FLOAT32 ? float32 : gemm(type),
                    attention(scope, type, Math.min(window, LONGEST_WINDOW), headDim),
                    copy(),
                    elementwise(scope, type),
                    conversion(scope, type),
                    call(scope, 1),
                    call(scope, 8),
                    disk,
                    USUAL_DISK);
        }
    }

    /** The rates of matrix products in one type. */
    public MachineProfile.Gemm gemm(FloatType type) {
        return new MachineProfile.Gemm(
                products(type, TOKENS, MachineProfile.Gemm.SMALL, MachineProfile.Gemm.SMALL),
                products(type, TOKENS, MachineProfile.Gemm.LARGE, MachineProfile.Gemm.LARGE));
    }

    /** Floating-point operations per second of X W^T, X [rows, in] and W [out, in]. */
    public double products(FloatType type, int rows, int in, int out) {
        try (Scope scope = torch.scope()) {
            Tensor x = numbers(scope, rows, in, type);
            Tensor w = numbers(scope, out, in, type);
            Tensor y = numbers(scope, rows, out, type);
            double seconds = secondsPerTurn(times -> run(scope, "products", x, w, y, times));
            return 2.0 * rows * in * out / seconds;
        }
    }

    /** Bytes per second, read and written, of a copy between two tensors of 256 MiB together. */
    public double copy() {
        try (Scope scope = torch.scope()) {
            Tensor from = numbers(scope, LINES, 4096, FloatType.FLOAT32);
            Tensor to = scope.zeros(LINES, 4096);
            double seconds = secondsPerTurn(times -> run(scope, "copies", from, to, times));
            return 2.0 * Float.BYTES * LINES * 4096 / seconds;
        }
    }

    private double attention(Scope scope, FloatType type, int window, int headDim) {
        int width = ATTENTION_HEADS * headDim;
        Tensor x = numbers(scope, window, width, type);
        double seconds = secondsPerTurn(times -> run(scope, "attentions", x, ATTENTION_HEADS, times));
        x.close();
        return ForwardWork.attentionFlops(window, window, width) / seconds;
    }

    /** Elements per second. */
    private double conversion(Scope scope, FloatType type) {
        Tensor x = numbers(scope, TOKENS, 2048, type == FloatType.FLOAT32 ? FloatType.BFLOAT16 : type);
        Tensor y = numbers(scope, TOKENS, 2048, FloatType.FLOAT32);
        double seconds = secondsPerTurn(times -> run(scope, "conversions", x, y, times));
        x.close();
        y.close();
        return (double) TOKENS * 2048 / seconds;
    }

    private double elementwise(Scope scope, FloatType type) {
        Tensor x = numbers(scope, TOKENS, 2048, type);
        Tensor y = numbers(scope, TOKENS, 2048, type);
        double seconds = secondsPerTurn(times -> run(scope, "fresh", x, y, times));
        return 3.0 * type.bytes() * TOKENS * 2048 / seconds;
    }

    private double call(Scope scope, int lines) {
        Tensor x = numbers(scope, lines, 2048, FloatType.FLOAT32);
        Tensor y = numbers(scope, lines, 2048, FloatType.FLOAT32);
        return secondsPerTurn(times -> run(scope, "calls", x, y, times));
    }

    private static Tensor numbers(Scope scope, int rows, int columns, FloatType type) {
        try (Tensor like = scope.zeros(1)) {
            return scope.call("probe", "numbers", like, rows, columns, type);
        }
    }

    /** Runs a loop of the probe and waits for its result. */
    private static void run(Scope scope, String method, Object... arguments) {
        try (Tensor result = scope.call("probe", method, arguments)) {
            result.toDoubles();
        }
    }

    /** The median seconds of one turn of a loop that is given its number of turns. */
    private static double secondsPerTurn(IntConsumer loop) {
        loop.accept(1); // threads start, memory is touched
        int times = 1;
        double first = seconds(loop, times);
        while (first < CALL_SECONDS / 2) {
            times = (int) Math.ceil(times * Math.min(100, Math.max(2, CALL_SECONDS / first)));
            first = seconds(loop, times);
        }
        double[] all = new double[CALLS];
        all[0] = first / times;
        for (int i = 1; i < CALLS; i++) {
            all[i] = seconds(loop, times) / times;
        }
        Arrays.sort(all);
        return all[CALLS / 2];
    }

    private static double seconds(IntConsumer loop, int times) {
        long start = System.nanoTime();
        loop.accept(times);
        return Math.max(1, System.nanoTime() - start) / 1e9;
    }

    /** Bytes per second of plain reads from the start of a file. */
    private static double diskRead(Path file) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocateDirect(READ_BLOCK);
        try (FileChannel channel = FileChannel.open(file)) {
            long start = System.nanoTime();
            long position = 0;
            while (position < MOST_READ) {
                buffer.clear();
                int count = channel.read(buffer, position);
                if (count < 0) {
                    break;
                }
                position += count;
            }
            return Math.max(1, position) * 1e9 / Math.max(1, System.nanoTime() - start);
        }
    }
}
