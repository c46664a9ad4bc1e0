package io.gptq4j.it.jmh;

import io.gptq4j.format.CheckpointFormat;
import io.gptq4j.format.PackedLinear;
import io.gptq4j.format.Packing;
import io.gptq4j.format.QuantizedLinear;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Packing and unpacking of one module; operations are codes, so operations per nanosecond are GB/s of codes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@NullUnmarked // JMH fills the fields
public class PackingBenchmark {
    private static final int SIZE = 4096;
    private static final int GROUP = 128;

    /** Bits of a code. */
    @Param({"2", "3", "4", "8"})
    public int bits;

    private QuantizedLinear linear;
    private PackedLinear packed;

    /** Random codes in the middle of their range. */
    @Setup
    public void prepare() {
        SplittableRandom random = new SplittableRandom(bits);
        byte[][] codes = new byte[SIZE][SIZE];
        for (byte[] row : codes) {
            for (int i = 0; i < SIZE; i++) {
                row[i] = (byte) random.nextInt(1 << bits);
            }
        }
        byte[][] zeros = new byte[SIZE / GROUP][SIZE];
        short[][] scales = new short[SIZE / GROUP][SIZE];
        for (int g = 0; g < zeros.length; g++) {
            Arrays.fill(zeros[g], (byte) (1 << bits - 1));
            Arrays.fill(scales[g], (short) 0x3C00); // 1 in float16
        }
        int[] groups = new int[SIZE];
        Arrays.setAll(groups, i -> i / GROUP);
        linear = new QuantizedLinear("m", bits, GROUP, codes, scales, zeros, groups);
        packed = Packing.pack(linear, CheckpointFormat.GPTQ);
    }

    /** Codes to words. */
    @Benchmark
    @OperationsPerInvocation(SIZE * SIZE)
    public PackedLinear pack() {
        return Packing.pack(linear, CheckpointFormat.GPTQ);
    }

    /** Words to codes. */
    @Benchmark
    @OperationsPerInvocation(SIZE * SIZE)
    public QuantizedLinear unpack() {
        return Packing.unpack(packed, CheckpointFormat.GPTQ);
    }
}
