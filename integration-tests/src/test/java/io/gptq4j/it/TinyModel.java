package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

/**
 * A seeded random llama with the bundled model's tokenizer, in a directory of its own. Its files are written byte by
 * byte here, not by the program's own writer: a test of a reader wants files that no sane writer makes.
 */
final class TinyModel {
    static final ObjectMapper JSON = new ObjectMapper();
    static final long SEED = 20240607;

    /** The values of config.json. */
    final Map<String, Object> config = new LinkedHashMap<>();
    /** Float32 tensors by name. */
    final Map<String, Weight> tensors = new LinkedHashMap<>();

    /** A tensor. */
    record Weight(List<Integer> shape, float[] values) {}

    private TinyModel() {}

    /** Two blocks of 64 channels; every linear has inputs and outputs that are multiples of 32. */
    static TinyModel create() {
        return create(64, 128, 4096);
    }

    static TinyModel create(int hidden, int intermediate, int vocabulary) {
        TinyModel model = new TinyModel();
        model.config.put("architectures", List.of("LlamaForCausalLM"));
        model.config.put("model_type", "llama");
        model.config.put("hidden_size", hidden);
        model.config.put("intermediate_size", intermediate);
        model.config.put("num_attention_heads", 2);
        model.config.put("num_key_value_heads", 1);
        model.config.put("num_hidden_layers", 2);
        model.config.put("vocab_size", vocabulary);
        model.config.put("max_position_embeddings", 128);
        model.config.put("rms_norm_eps", 1e-5);
        model.config.put("tie_word_embeddings", false);
        model.config.put("torch_dtype", "float32");
        Random random = new Random(SEED);
        model.add(random, "model.embed_tokens.weight", vocabulary, hidden);
        for (int layer = 0; layer < 2; layer++) {
            String block = "model.layers." + layer + ".";
            model.add(random, block + "input_layernorm.weight", hidden);
            model.add(random, block + "self_attn.q_proj.weight", hidden, hidden);
            model.add(random, block + "self_attn.k_proj.weight", hidden / 2, hidden);
            model.add(random, block + "self_attn.v_proj.weight", hidden / 2, hidden);
            model.add(random, block + "self_attn.o_proj.weight", hidden, hidden);
            model.add(random, block + "post_attention_layernorm.weight", hidden);
            model.add(random, block + "mlp.gate_proj.weight", intermediate, hidden);
            model.add(random, block + "mlp.up_proj.weight", intermediate, hidden);
            model.add(random, block + "mlp.down_proj.weight", hidden, intermediate);
        }
        model.add(random, "model.norm.weight", hidden);
        model.add(random, "lm_head.weight", vocabulary, hidden);
        return model;
    }

    private void add(Random random, String name, Integer... shape) {
        int count = List.of(shape).stream().reduce(1, Math::multiplyExact);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * 0.2 + (shape.length == 1 ? 1 : 0));
        }
        tensors.put(name, new Weight(List.of(shape), values));
    }

    /** A tensor that is there. */
    Weight weight(String name) {
        return Objects.requireNonNull(tensors.get(name), name);
    }

    /** The bundled model's directory. */
    static Path bundled() {
        return SourceTree.root().resolve(Path.of("examples", "tiny-llama"));
    }

    /** Writes configuration, weights and tokenizer. */
    Path write(Path directory) throws IOException {
        return write(directory, header(tensors), data(tensors));
    }

    /** The same with any text and bytes as the two parts of model.safetensors. */
    Path write(Path directory, String header, byte[] data) throws IOException {
        Files.createDirectories(directory);
        JSON.writeValue(directory.resolve("config.json").toFile(), config);
        Files.copy(bundled().resolve("tokenizer.json"), directory.resolve("tokenizer.json"));
        Files.write(directory.resolve("model.safetensors"), safetensors(header, data));
        return directory;
    }

    /** A safetensors file: length, header, data. */
    static byte[] safetensors(String header, byte[] data) {
        byte[] json = header.getBytes(UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data)
                .array();
    }

    /** The header that is true of {@link #data}. */
    static String header(Map<String, Weight> tensors) throws IOException {
        Map<String, Object> header = new LinkedHashMap<>();
        long begin = 0;
        for (Map.Entry<String, Weight> tensor : tensors.entrySet()) {
            long end = begin + 4L * tensor.getValue().values.length;
            header.put(
                    tensor.getKey(),
                    Map.of("dtype", "F32", "shape", tensor.getValue().shape, "data_offsets", List.of(begin, end)));
            begin = end;
        }
        return JSON.writeValueAsString(header);
    }

    /** All values, one tensor after the other. */
    static byte[] data(Map<String, Weight> tensors) {
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (Weight weight : tensors.values()) {
            ByteBuffer bytes = ByteBuffer.allocate(4 * weight.values.length).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(weight.values);
            data.writeBytes(bytes.array());
        }
        return data.toByteArray();
    }
}
