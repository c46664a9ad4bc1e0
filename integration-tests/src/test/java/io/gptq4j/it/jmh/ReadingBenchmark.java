package io.gptq4j.it.jmh;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Reading a tensor through the safetensors reader, the same bytes of the file without it, and their SHA-256; operations
 * are bytes, so operations per nanosecond are GB/s. The file is in the page cache.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@NullUnmarked // JMH fills the fields
public class ReadingBenchmark {
    private static final int BYTES = 1 << 28;
    private static final int BLOCK = 1 << 23;

    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BLOCK);
    private Path file;
    private SafetensorsReader reader;
    private FileChannel plain;

    /** Writes a file of one tensor. */
    @Setup
    public void prepare() throws IOException {
        file = Files.createTempFile("gptq4j-jmh-", ".safetensors");
        Files.delete(file);
        TensorInfo tensor = new TensorInfo("t", DType.U8, List.of((long) BYTES));
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, List.of(tensor), Map.of())) {
            for (long at = 0; at < BYTES; at += BLOCK) {
                writer.write("t", at, buffer.clear());
            }
            writer.commit();
        }
        reader = SafetensorsReader.open(file);
        plain = FileChannel.open(file);
    }

    /** By name and position, as a checkpoint is read. */
    @Benchmark
    @OperationsPerInvocation(BYTES)
    public ByteBuffer safetensors() throws IOException {
        for (long at = 0; at < BYTES; at += BLOCK) {
            reader.read("t", at, buffer.clear());
        }
        return buffer;
    }

    /** Plain positional reads. */
    @Benchmark
    @OperationsPerInvocation(BYTES)
    public ByteBuffer channel() throws IOException {
        for (long at = 0; at < BYTES; ) {
            at += plain.read(buffer.clear(), at);
        }
        return buffer;
    }

    /** The hash of as many bytes, a block at a time. */
    @Benchmark
    @OperationsPerInvocation(BYTES)
    public byte[] sha256() throws NoSuchAlgorithmException {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (long at = 0; at < BYTES; at += BLOCK) {
            digest.update(buffer.clear());
        }
        return digest.digest();
    }

    /** Removes the file. */
    @TearDown
    public void close() throws IOException {
        plain.close();
        reader.close();
        Files.delete(file);
    }
}
