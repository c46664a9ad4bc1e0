package io.gptq4j.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;

/** A seeded random checkpoint of any family: as small as its config.json says. */
public record TinyCheckpoint(ModelConfig config, Architecture architecture, Map<String, float[]> tensors) {
    /** A config with other values for some keys, given as key, value, key, value and so on. */
    public static Map<String, Object> changed(Map<String, Object> config, Object... changes) {
        Map<String, Object> changed = new LinkedHashMap<>(config);
        for (int i = 0; i < changes.length; i += 2) {
            changed.put((String) changes[i], changes[i + 1]);
        }
        return changed;
    }

    /** A checkpoint for the config, its tensors gaussian; norms lie around 1. */
    public static TinyCheckpoint of(Map<String, Object> values, long seed) throws IOException {
        ModelConfig config = ModelConfig.of(values, "config.json");
        Architecture architecture = ModelFamilies.architecture(config);
        Random random = new Random(seed);
        Map<String, float[]> tensors = new LinkedHashMap<>();
        architecture.tensors().forEach((name, shape) -> {
            long count = shape.stream().reduce(1L, Math::multiplyExact);
            float[] data = new float[Math.toIntExact(count)];
            boolean norm = shape.size() == 1 && name.endsWith(".weight");
            for (int i = 0; i < data.length; i++) {
                data[i] = (float) (random.nextGaussian() * 0.2 + (norm ? 1 : 0));
            }
            tensors.put(name, data);
        });
        return new TinyCheckpoint(config, architecture, tensors);
    }

    /** Writes config.json and one float32 safetensors file; tensors the architecture does not know are flat. */
    public Path write(Path directory) throws IOException {
        return write(directory, name -> name);
    }

    /** The same with other tensor names. */
    public Path write(Path directory, UnaryOperator<String> rename) throws IOException {
        Files.createDirectories(directory);
        new ObjectMapper().writeValue(directory.resolve("config.json").toFile(), config.values());
        List<TensorInfo> infos = new ArrayList<>();
        Map<String, List<Long>> shapes = architecture.tensors();
        tensors.forEach((name, data) -> infos.add(
                new TensorInfo(rename.apply(name), DType.F32, shapes.getOrDefault(name, List.of((long) data.length)))));
        Path file = directory.resolve("model.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, infos, Map.of("format", "pt"))) {
            for (Map.Entry<String, float[]> tensor : tensors.entrySet()) {
                ByteBuffer bytes = ByteBuffer.allocate(tensor.getValue().length * Float.BYTES)
                        .order(ByteOrder.LITTLE_ENDIAN);
                bytes.asFloatBuffer().put(tensor.getValue());
                writer.write(rename.apply(tensor.getKey()), 0, bytes);
            }
            writer.commit();
        }
        return directory;
    }
}
