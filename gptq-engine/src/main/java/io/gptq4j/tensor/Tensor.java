package io.gptq4j.tensor;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.pytorch.engine.PtNDArray;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A tensor in libtorch's memory, on the CPU or a GPU. It lives until it is closed or the {@link Scope} that owns it is;
 * the garbage collector never frees it. Not thread-safe.
 */
public final class Tensor implements AutoCloseable {
    /** Bytes of rows that are brought to the heap at a time. */
    private static final int ROWS_BYTES = 1 << 26;

    private final PtNDArray array;

    Tensor(PtNDArray array) {
        this.array = array;
    }

    PtNDArray array() {
        return array;
    }

    /** The dimensions, outermost first. */
    public long[] shape() {
        return array.getShape().getShape();
    }

    /** The size of dimension {@code axis}; negative counts from the end. */
    public long size(int axis) {
        long[] shape = shape();
        return shape[axis < 0 ? shape.length + axis : axis];
    }

    /** Hands the tensor over to another scope, which closes it from now on. */
    public Tensor moveTo(Scope scope) {
        array.attach(scope.manager());
        return this;
    }

    /** The same tensor on the device of {@code scope}, which owns it; shares memory if it is there already. */
    public Tensor copyTo(Scope scope) {
        return scope.call("tensors", "placed", this, scope.device());
    }

    /** The same tensor in host memory, belonging to no scope. */
    Tensor toHost(Scope scope) {
        Tensor host = scope.call("tensors", "placed", this, "cpu");
        host.array.detach();
        return host;
    }

    /** Bytes of a uint8 tensor of one dimension in host memory, in parts: a buffer over all could exceed 2 GiB. */
    <E extends Exception> void forEachPart(long chunk, Scope.Filler<E> filler) throws E {
        long length = array.size();
        for (long offset = 0; offset < length; offset += chunk) {
            long end = Math.min(length, offset + chunk);
            try (PtNDArray part = (PtNDArray) array.get(offset + ":" + end)) {
                filler.fill(offset, part.toByteBuffer(true).order(ByteOrder.nativeOrder()));
            }
        }
    }

    /** All elements of a float32 tensor of fewer than 2^29 elements, row-major. */
    public float[] toFloats() {
        ByteBuffer bytes = bytes(DataType.FLOAT32);
        float[] values = new float[bytes.remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(values);
        return values;
    }

    /** All elements of a float64 tensor of fewer than 2^28 elements, row-major. */
    public double[] toDoubles() {
        ByteBuffer bytes = bytes(DataType.FLOAT64);
        double[] values = new double[bytes.remaining() / Double.BYTES];
        bytes.asDoubleBuffer().get(values);
        return values;
    }

    /** All elements of an int64 tensor of fewer than 2^28 elements, row-major. */
    public long[] toLongs() {
        ByteBuffer bytes = bytes(DataType.INT64);
        long[] values = new long[bytes.remaining() / Long.BYTES];
        bytes.asLongBuffer().get(values);
        return values;
    }

    /** The rows of a two-dimensional uint8 tensor; the tensor itself may be larger than 2 GiB. */
    public byte[][] toByteRows() {
        require(DataType.UINT8);
        byte[][] rows = new byte[Math.toIntExact(size(0))][Math.toIntExact(size(1))];
        int atOnce =
                Math.max(1, ROWS_BYTES / Math.max(1, Math.toIntExact(size(1)))); // a view costs a row's worth of time
        for (int start = 0; start < rows.length; start += atOnce) {
            int end = Math.min(rows.length, start + atOnce);
            try (NDArray view = array.get(start + ":" + end);
                    NDArray host = view.toDevice(Device.cpu(), false)) { // the view itself if it is on the CPU
                ByteBuffer bytes = host.toByteBuffer(true);
                for (int row = start; row < end; row++) {
                    bytes.get(rows[row]);
                }
            }
        }
        return rows;
    }

    private ByteBuffer bytes(DataType expected) {
        require(expected);
        if (array.size() > Integer.MAX_VALUE / expected.getNumOfBytes()) {
            throw new IllegalStateException(this + " of " + expected + " does not fit a Java array; take it in parts");
        }
        return array.toByteBuffer(false).order(ByteOrder.nativeOrder());
    }

    private void require(DataType expected) {
        if (array.getDataType() != expected) {
            throw new IllegalStateException("Expected a tensor of " + expected + ", not " + array.getDataType());
        }
    }

    @Override
    public void close() {
        array.close();
    }

    @Override
    public String toString() {
        return "Tensor" + Arrays.toString(shape());
    }
}
