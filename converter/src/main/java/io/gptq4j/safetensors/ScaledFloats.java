package io.gptq4j.safetensors;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The 8-bit floats (E4M3) that a tensor is decoded from: M matrices [rows, columns], row-major, each element of which is
 * multiplied by the scale of its block.
 *
 * @param codes gives the bytes, one for each element
 * @param scales float32, [M, ceil(rows / blockRows), ceil(columns / blockColumns)]
 * @param rows of one matrix
 * @param columns of one matrix
 * @param blockRows rows that share a scale
 * @param blockColumns columns that share a scale
 */
public record ScaledFloats(Codes codes, float[] scales, long rows, long columns, long blockRows, long blockColumns) {
    /** Gives bytes by their position, as {@link TensorSource#read} does. */
    public interface Codes {
        /**
         * Fills the remaining space of {@code target} with the bytes from {@code offset} on.
         *
         * @throws IOException if they cannot be read
         */
        void read(long offset, ByteBuffer target) throws IOException;
    }
}
