package io.gptq4j.safetensors;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Optional;

/**
 * Tensors that can be read by name and position: one file, several shards, or a remote file over byte ranges.
 *
 * <p>Reads are positional and carry no state, so an implementation is safe for concurrent use.
 */
public interface TensorSource extends Closeable {
    /** All tensors by name, in the names' natural order. Unmodifiable. */
    Map<String, TensorInfo> tensors();

    /**
     * Dtype and shape of one tensor.
     *
     * @throws IllegalArgumentException if there is no such tensor
     */
    default TensorInfo tensor(String name) {
        TensorInfo info = tensors().get(name);
        if (info == null) {
            throw new IllegalArgumentException("There is no tensor " + name);
        }
        return info;
    }

    /**
     * Fills the remaining space of {@code target} with the tensor's bytes from {@code offset} on: row-major,
     * little-endian, no conversion. One call moves at most 2 GiB; a larger tensor is read in pieces.
     *
     * @param name a key of {@link #tensors()}
     * @param offset first byte wanted, counted from the tensor's own start
     * @param target where the bytes go; full on return
     * @throws IllegalArgumentException if there is no such tensor or the range leaves it
     * @throws IOException if the bytes cannot be read
     */
    void read(String name, long offset, ByteBuffer target) throws IOException;

    /**
     * The type that the tensor has in its file, where that is not the one it is read as: a source may decode what it reads.
     *
     * @throws IllegalArgumentException if there is no such tensor
     */
    default DType storedType(String name) {
        return tensor(name).dtype();
    }

    /**
     * What the source decodes a tensor from, for who decodes it later or elsewhere; empty for what it does not decode. What it
     * gives, {@link #read} would give decoded.
     *
     * @throws IllegalArgumentException if there is no such tensor
     * @throws IOException if the scales cannot be read
     */
    default Optional<ScaledFloats> scaled(String name) throws IOException {
        return Optional.empty();
    }

    /** Where the tensor lies, for error messages: usually a file name. */
    String location(String name);
}
