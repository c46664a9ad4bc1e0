package io.gptq4j.format;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** Small safetensors files, written tensor by tensor from arrays. */
final class TestFiles {
    private final Map<TensorInfo, ByteBuffer> tensors = new LinkedHashMap<>();

    TestFiles ints(String name, int[][] rows) {
        ByteBuffer bytes = little(4 * rows.length * rows[0].length);
        for (int[] row : rows) {
            for (int value : row) {
                bytes.putInt(value);
            }
        }
        return add(TensorInfo.of(name, DType.I32, rows.length, rows[0].length), bytes);
    }

    TestFiles gIdx(String name, int... values) {
        ByteBuffer bytes = little(4 * values.length);
        for (int value : values) {
            bytes.putInt(value);
        }
        return add(TensorInfo.of(name, DType.I32, values.length), bytes);
    }

    /** Elements of one of the floating types; those of F16 and BF16 must be exact. */
    TestFiles floats(String name, DType dtype, double[] values, long... shape) {
        ByteBuffer bytes = little(values.length * dtype.bits() / 8);
        for (double value : values) {
            switch (dtype) {
                case F16 -> bytes.putShort(Half.fromFloat((float) value));
                case BF16 -> bytes.putShort((short) (Float.floatToRawIntBits((float) value) >>> 16));
                case F32 -> bytes.putFloat((float) value);
                case F64 -> bytes.putDouble(value);
                default -> throw new IllegalArgumentException(dtype.name());
            }
        }
        return add(TensorInfo.of(name, dtype, shape), bytes);
    }

    TestFiles raw(TensorInfo info, byte... bytes) {
        return add(info, little(bytes.length).put(bytes));
    }

    TestFiles without(String name) {
        tensors.keySet().removeIf(info -> info.name().equals(name));
        return this;
    }

    private TestFiles add(TensorInfo info, ByteBuffer bytes) {
        without(info.name());
        tensors.put(info, bytes.flip());
        return this;
    }

    void write(Path file) throws IOException {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, tensors.keySet(), Map.of("format", "pt"))) {
            for (Map.Entry<TensorInfo, ByteBuffer> tensor : tensors.entrySet()) {
                writer.write(tensor.getKey().name(), 0, tensor.getValue().duplicate());
            }
            writer.commit();
        }
    }

    /** All bytes of a tensor, little-endian. */
    static ByteBuffer bytes(TensorSource source, String name) throws IOException {
        TensorInfo info = Objects.requireNonNull(source.tensors().get(name), name);
        ByteBuffer bytes = little(Math.toIntExact(info.byteLength()));
        source.read(name, 0, bytes);
        return bytes.flip();
    }

    /** A matrix of 32-bit words. */
    static int[][] words(TensorSource source, String name) throws IOException {
        TensorInfo info = Objects.requireNonNull(source.tensors().get(name), name);
        int[][] rows =
                new int[info.shape().get(0).intValue()][info.shape().get(1).intValue()];
        ByteBuffer bytes = bytes(source, name);
        for (int[] row : rows) {
            for (int c = 0; c < row.length; c++) {
                row[c] = bytes.getInt();
            }
        }
        return rows;
    }

    private static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
