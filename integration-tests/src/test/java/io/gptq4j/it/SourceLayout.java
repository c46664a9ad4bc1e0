package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.type.TypeReference;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

/**
 * Checkpoints whose weights lie on the disk as they are published and not as the model takes them: small, seeded, random,
 * in two shards, with the bundled model's tokenizer. Files are written byte by byte here, not by the program's own writer.
 */
enum SourceLayout {
    /** DeepSeek-V3: weights in 8 bits with a scale for each block, cut off at the edges; one more block, to predict ahead. */
    EIGHT_BITS("""
            {"model_type": "deepseek_v3", "hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32,
             "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 4096, "max_position_embeddings": 128,
             "q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 32, "v_head_dim": 16,
             "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
             "n_group": 2, "topk_group": 1, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
             "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                     "weight_block_size": [48, 40]}}""", List.of()),
    /** Experts in one tensor of three dimensions, as transformers 5 has them. */
    STACKED_EXPERTS("""
            {"model_type": "qwen3_moe", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 4096,
             "max_position_embeddings": 128, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
             "norm_topk_prob": true, "tie_word_embeddings": false, "torch_dtype": "bfloat16"}""", List.of("chat_template.jinja")),
    /** A vision tower and a projector beside the text model. */
    MULTIMODAL("""
            {"model_type": "llava", "image_token_index": 4000, "torch_dtype": "bfloat16",
             "text_config": {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
                             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 4096,
                             "max_position_embeddings": 128, "tie_word_embeddings": false, "torch_dtype": "bfloat16"},
             "vision_config": {"hidden_size": 32, "intermediate_size": 64, "model_type": "clip_vision_model"}}""", List.of("preprocessor_config.json", "processor_config.json", "chat_template.json"));

    static final long SEED = 20261129;
    private static final int BLOCK_ROWS = 48;
    private static final int BLOCK_COLUMNS = 40;

    private final String config;
    /** Files of the processor, beside those of the tokenizer. */
    final List<String> processorFiles;

    SourceLayout(String config, List<String> processorFiles) {
        this.config = config;
        this.processorFiles = processorFiles;
    }

    /** A tensor as it lies on the disk. */
    record Stored(String dtype, List<Long> shape, byte[] bytes) {}

    /**
     * What was written.
     *
     * @param weights what the weights of the model stand for, by the names that an artifact has for them
     * @param others tensors that the model does not compute with, as they are stored
     */
    record Written(Path directory, Map<String, float[]> weights, Map<String, Stored> others) {}

    private Map<String, List<Long>> shapes() throws IOException {
        Map<String, Object> values = TinyModel.JSON.readValue(config, new TypeReference<>() {});
        return ModelFamilies.architecture(ModelConfig.of(values, "config.json")).tensors();
    }

    /** Writes configuration, shards with their index, tokenizer and processor into a directory that it makes. */
    Written write(Path directory) throws IOException {
        Files.createDirectories(directory);
        Random random = new Random(SEED);
        Map<String, float[]> weights = new LinkedHashMap<>();
        Map<String, Stored> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, List<Long>> tensor : shapes().entrySet()) {
            weights.put(tensor.getKey(), put(tensors, tensor.getKey(), tensor.getValue(), random));
        }
        Map<String, Stored> others = new LinkedHashMap<>();
        if (this == EIGHT_BITS) {
            others.put("model.layers.2.enorm.weight", bfloat16(List.of(64L), gaussian(64, random)));
            String ahead = "model.layers.2.eh_proj.weight";
            weights.put(ahead, putEightBits(tensors, ahead, List.of(64L, 128L), random));
        } else if (this == MULTIMODAL) {
            others.put(
                    "vision_tower.layers.0.self_attn.q_proj.weight",
                    bfloat16(List.of(32L, 32L), gaussian(1024, random)));
            others.put("vision_tower.embeddings.position_ids", new Stored("I64", List.of(1L), new byte[8]));
            others.put("multi_modal_projector.linear_1.weight", bfloat16(List.of(64L, 32L), gaussian(2048, random)));
        }
        tensors.putAll(others);
        write(directory, tensors);
        Files.writeString(directory.resolve("config.json"), config, UTF_8);
        for (String name : List.of("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")) {
            Files.copy(TinyModel.bundled().resolve(name), directory.resolve(name));
        }
        for (String name : processorFiles) {
            Files.writeString(directory.resolve(name), "{\"file\":\t\"" + name + "\"}", UTF_8);
        }
        return new Written(directory, weights, others);
    }

    /** Stores a tensor of the model; returns what is stored. */
    private float[] put(Map<String, Stored> tensors, String name, List<Long> shape, Random random) {
        int count = Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact));
        float[] values = gaussian(count, random);
        boolean norm = shape.size() == 1 && name.endsWith("norm.weight");
        for (int i = 0; i < count && norm; i++) {
            values[i] += 1;
        }
        if (this == EIGHT_BITS && name.contains("_proj") && shape.size() == 2) {
            return putEightBits(tensors, name, shape, random);
        }
        Stored stored = bfloat16(shape, values);
        int experts = name.indexOf(".experts.");
        if (this != STACKED_EXPERTS || experts < 0) {
            tensors.put(name, stored);
            return values;
        }
        String module = name.split("\\.")[6]; // model.layers.0.mlp.experts.3.down_proj.weight, expert by expert
        boolean fused = !module.equals("down_proj");
        String stack = name.substring(0, experts) + ".experts." + (fused ? "gate_up_proj" : module);
        Stored before = tensors.getOrDefault(
                stack, new Stored("BF16", List.of(4L, shape.get(0) * (fused ? 2 : 1), shape.get(1)), new byte[0]));
        tensors.put(stack, new Stored("BF16", before.shape, concatenated(before.bytes, stored.bytes)));
        return values;
    }

    /** Any code but NaN times a scale of its own for each block. */
    private static float[] putEightBits(Map<String, Stored> tensors, String name, List<Long> shape, Random random) {
        int columns = Math.toIntExact(shape.get(1));
        float[] values = new float[Math.toIntExact(shape.get(0)) * columns];
        long down = (shape.get(0) + BLOCK_ROWS - 1) / BLOCK_ROWS;
        long across = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
        ByteBuffer scales =
                ByteBuffer.allocate((int) (down * across) * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (scales.hasRemaining()) {
            scales.putFloat((1 + random.nextFloat()) / 512);
        }
        byte[] codes = new byte[values.length];
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (codes[i] & 0x7f) == 0x7f ? 0 : codes[i];
            int exponent = codes[i] >> 3 & 15;
            int fraction = codes[i] & 7;
            double magnitude = exponent == 0 ? fraction / 512.0 : (8 + fraction) * Math.pow(2, exponent - 10);
            int block = i / columns / BLOCK_ROWS * (int) across + i % columns / BLOCK_COLUMNS;
            values[i] = (float) (codes[i] < 0 ? -magnitude : magnitude) * scales.getFloat(block * Float.BYTES);
        }
        tensors.put(name, new Stored("F8_E4M3", shape, codes));
        tensors.put(name + "_scale_inv", new Stored("F32", List.of(down, across), scales.array()));
        return values;
    }

    private static float[] gaussian(int count, Random random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * 0.2);
        }
        return values;
    }

    /** Cuts the values off to bfloat16, too. */
    private static Stored bfloat16(List<Long> shape, float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < values.length; i++) {
            int bits = Float.floatToIntBits(values[i]) & 0xffff_0000;
            values[i] = Float.intBitsToFloat(bits);
            bytes.putShort((short) (bits >> 16));
        }
        return new Stored("BF16", shape, bytes.array());
    }

    private static byte[] concatenated(byte[] first, byte[] second) {
        return ByteBuffer.allocate(first.length + second.length)
                .put(first)
                .put(second)
                .array();
    }

    private static void write(Path directory, Map<String, Stored> tensors) throws IOException {
        Map<String, String> places = new LinkedHashMap<>();
        List<String> names = new ArrayList<>(tensors.keySet());
        for (int shard = 0; shard < 2; shard++) {
            Map<String, Object> header = new LinkedHashMap<>(Map.of("__metadata__", Map.of("format", "pt")));
            ByteArrayOutputStream data = new ByteArrayOutputStream();
            String file = "model-0000" + (shard + 1) + "-of-00002.safetensors";
            for (String name : names.subList(shard * names.size() / 2, (shard + 1) * names.size() / 2)) {
                Stored tensor = Objects.requireNonNull(tensors.get(name));
                int begin = data.size();
                data.writeBytes(tensor.bytes);
                header.put(
                        name,
                        Map.of(
                                "dtype",
                                tensor.dtype,
                                "shape",
                                tensor.shape,
                                "data_offsets",
                                List.of(begin, data.size())));
                places.put(name, file);
            }
            Files.write(
                    directory.resolve(file),
                    TinyModel.safetensors(TinyModel.JSON.writeValueAsString(header), data.toByteArray()));
        }
        TinyModel.JSON.writeValue(
                directory.resolve("model.safetensors.index.json").toFile(), Map.of("weight_map", places));
    }
}
