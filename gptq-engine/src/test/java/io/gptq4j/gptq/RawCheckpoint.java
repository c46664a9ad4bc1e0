package io.gptq4j.gptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A checkpoint tensor by tensor, of any names and types. */
final class RawCheckpoint {
    final Map<String, Object> config;
    private final Map<TensorInfo, byte[]> tensors = new LinkedHashMap<>();

    RawCheckpoint(Map<String, Object> config) {
        this.config = new LinkedHashMap<>(config);
    }

    void bytes(String name, DType dtype, byte[] bytes, List<Long> shape) {
        tensors.put(new TensorInfo(name, dtype, shape), bytes);
    }

    void floats(String name, float[] values, List<Long> shape) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        bytes(name, DType.F32, bytes.array(), shape);
    }

    /** The matrix in 8-bit floats with a scale for each block; {@code values} become what is stored. */
    void eightBits(String name, float[] values, List<Long> shape, int blockRows, int blockColumns) {
        int rows = Math.toIntExact(shape.get(0));
        int columns = Math.toIntExact(shape.get(1));
        int across = (columns + blockColumns - 1) / blockColumns;
        int down = (rows + blockRows - 1) / blockRows;
        float[] scales = new float[down * across];
        for (int i = 0; i < values.length; i++) {
            int block = i / columns / blockRows * across + i % columns / blockColumns;
            scales[block] = Math.max(scales[block], Math.abs(values[i]) / 448);
        }
        byte[] codes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            float scale = scales[i / columns / blockRows * across + i % columns / blockColumns];
            int best = 0;
            for (int code = 0; code < 0x7f; code++) {
                best = distance(code, values[i], scale) < distance(best, values[i], scale) ? code : best;
            }
            codes[i] = (byte) (values[i] < 0 ? best | 0x80 : best);
            values[i] = Math.copySign(magnitude(best), values[i]) * scale;
        }
        bytes(name, DType.F8_E4M3, codes, shape);
        floats(name + "_scale_inv", scales, List.of((long) down, (long) across));
    }

    private static double distance(int code, float value, float scale) {
        return Math.abs(magnitude(code) * scale - Math.abs(value));
    }

    private static float magnitude(int code) {
        int exponent = code >> 3;
        return (float) (exponent == 0 ? (code & 7) / 512.0 : (8 + (code & 7)) * Math.pow(2, exponent - 10));
    }

    Path write(Path directory) throws Exception {
        Files.createDirectories(directory);
        new ObjectMapper().writeValue(directory.resolve("config.json").toFile(), config);
        try (SafetensorsWriter writer = SafetensorsWriter.create(
                directory.resolve("model.safetensors"), tensors.keySet(), Map.of("format", "pt"))) {
            for (Map.Entry<TensorInfo, byte[]> tensor : tensors.entrySet()) {
                writer.write(tensor.getKey().name(), 0, ByteBuffer.wrap(tensor.getValue()));
            }
            writer.commit();
        }
        return directory;
    }
}
