package io.gptq4j.tensor;

import io.gptq4j.safetensors.ScaledFloats;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of a checkpoint's tensor in host memory, not converted yet: what a read-ahead holds. Belongs to no scope; to
 * be closed.
 */
public final class RawTensor implements AutoCloseable {
    private final Tensor bytes; // uint8
    private final int torchCode;
    private final @Nullable ScaledFloats scaled;
    private final long[] shape;

    /** Stored as {@code torchCode} says, or in 8 bits with scales. */
    RawTensor(Tensor bytes, int torchCode, @Nullable ScaledFloats scaled, List<Long> shape) {
        this.bytes = bytes;
        this.torchCode = torchCode;
        this.scaled = scaled;
        this.shape = shape.stream().mapToLong(Long::longValue).toArray();
    }

    Tensor bytes() {
        return bytes;
    }

    /** The number of the stored type in torch's {@code ScalarType}. */
    int torchCode() {
        return torchCode;
    }

    /** What the bytes are to be multiplied by; null for nothing. */
    @Nullable
    ScaledFloats scaled() {
        return scaled;
    }

    long[] shape() {
        return shape.clone();
    }

    @Override
    public void close() {
        bytes.close();
    }
}
