package io.gptq4j.tensor;

import java.util.List;

/**
 * The bytes of a checkpoint's tensor in host memory, not converted yet: what a read-ahead holds. Belongs to no scope; to
 * be closed.
 */
public final class RawTensor implements AutoCloseable {
    private final Tensor bytes; // uint8
    private final int torchCode;
    private final long[] shape;

    RawTensor(Tensor bytes, int torchCode, List<Long> shape) {
        this.bytes = bytes;
        this.torchCode = torchCode;
        this.shape = shape.stream().mapToLong(Long::longValue).toArray();
    }

    Tensor bytes() {
        return bytes;
    }

    /** The number of the stored type in torch's {@code ScalarType}. */
    int torchCode() {
        return torchCode;
    }

    long[] shape() {
        return shape.clone();
    }

    @Override
    public void close() {
        bytes.close();
    }
}
