package io.gptq4j.safetensors;

import java.util.Arrays;
import java.util.List;

/**
 * Name, element type and shape of one tensor; where its bytes lie is the business of its {@link TensorSource}.
 *
 * @param name the tensor's full name, such as {@code model.layers.0.mlp.down_proj.weight}
 * @param dtype the element type
 * @param shape the dimensions, outermost first; empty for a scalar; a dimension may be 0
 */
public record TensorInfo(String name, DType dtype, List<Long> shape) {
    /**
     * Checks and copies.
     *
     * @throws IllegalArgumentException if a dimension is negative or the size is not a whole number of bytes
     * @throws ArithmeticException if the size in bits does not fit a long
     */
    public TensorInfo {
        shape = List.copyOf(shape);
        for (long dimension : shape) {
            if (dimension < 0) {
                throw new IllegalArgumentException("Tensor " + name + " has a negative dimension: shape " + shape);
            }
        }
        if (Math.multiplyExact(product(shape), (long) dtype.bits()) % 8 != 0) {
            throw new IllegalArgumentException("Tensor " + name + " of dtype " + dtype + " and shape " + shape
                    + " is not a whole number of bytes");
        }
    }

    /** A tensor of these dimensions. */
    public static TensorInfo of(String name, DType dtype, long... shape) {
        return new TensorInfo(name, dtype, Arrays.stream(shape).boxed().toList());
    }

    /**
     * Checks that a range of bytes lies within the tensor.
     *
     * @throws IllegalArgumentException if it does not
     */
    public void requireRange(long offset, int length) {
        if (offset < 0 || offset > byteLength() - length) {
            throw new IllegalArgumentException("Bytes " + offset + " to " + (offset + length) + " leave " + name
                    + " of " + byteLength() + " bytes");
        }
    }

    /** Number of elements: the product of the dimensions, 1 for a scalar. */
    public long elements() {
        return product(shape);
    }

    /** Size of the tensor's data in bytes. */
    public long byteLength() {
        return elements() * dtype.bits() / 8;
    }

    private static long product(List<Long> shape) {
        long product = 1;
        for (long dimension : shape) {
            product = Math.multiplyExact(product, dimension);
        }
        return product;
    }
}
