package io.gptq4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * A llama of any shape with seeded random weights in bfloat16: what a run costs depends on the shape only.
 *
 * @param hidden width of the residual stream
 * @param ffn width of the feed-forward part
 */
record SyntheticLlama(int blocks, int hidden, int ffn, int heads, int kvHeads, int vocab, int longest) {
    private static final long SEED = 20_261_123;
    private static final int CHUNK = 1 << 22;

    /** Of the uniform weights; their standard deviation is then 0.02, as models are initialised. */
    private static final float RANGE = 0.0346f;

    /** Checks the shape. */
    SyntheticLlama {
        if (heads < 1 || kvHeads < 1 || hidden % heads != 0 || heads % kvHeads != 0 || hidden / heads % 2 != 0) {
            throw new IllegalArgumentException("--heads must divide --hidden into even parts, and --kv-heads --heads: "
                    + heads + " and " + kvHeads + " do not, at a width of " + hidden);
        }
    }

    /** What tables call it. */
    String name() {
        return "llama " + hidden + ", " + ffn;
    }

    /** The same with another number of blocks. */
    SyntheticLlama withBlocks(int count) {
        return new SyntheticLlama(count, hidden, ffn, heads, kvHeads, vocab, longest);
    }

    /** The contents of its config.json. */
    Map<String, Object> config() {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("architectures", List.of("LlamaForCausalLM"));
        config.put("model_type", "llama");
        config.put("hidden_size", hidden);
        config.put("intermediate_size", ffn);
        config.put("num_hidden_layers", blocks);
        config.put("num_attention_heads", heads);
        config.put("num_key_value_heads", kvHeads);
        config.put("vocab_size", vocab);
        config.put("max_position_embeddings", longest);
        config.put("rms_norm_eps", 1e-5);
        config.put("hidden_act", "silu");
        config.put("torch_dtype", "bfloat16");
        return config;
    }

    /** Writes config.json and model.safetensors into a directory, which is made. */
    Path write(Path directory) throws IOException {
        Files.createDirectories(directory);
        new ObjectMapper().writeValue(directory.resolve("config.json").toFile(), config());
        Architecture architecture = ModelFamilies.architecture(ModelConfig.of(config(), "config.json"));
        List<TensorInfo> tensors = architecture.tensors().entrySet().stream()
                .map(tensor -> new TensorInfo(tensor.getKey(), DType.BF16, tensor.getValue()))
                .toList();
        SplittableRandom random = new SplittableRandom(SEED);
        ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(directory.resolve("model.safetensors"), tensors, Map.of("format", "pt"))) {
            for (TensorInfo tensor : tensors) {
                boolean norm = tensor.shape().size() == 1;
                for (long offset = 0; offset < tensor.byteLength(); offset += CHUNK) {
                    buffer.clear().limit((int) Math.min(CHUNK, tensor.byteLength() - offset));
                    while (buffer.hasRemaining()) {
                        float value = norm ? 1 : (float) (random.nextDouble() * 2 - 1) * RANGE;
                        buffer.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
                    }
                    writer.write(tensor.name(), offset, buffer.flip());
                }
            }
            writer.commit();
        }
        return directory;
    }

    /** Random token ids. */
    CalibrationSet windows(int count, int seqlen) {
        SplittableRandom random = new SplittableRandom(SEED);
        int[][] windows = new int[count][seqlen];
        for (int[] window : windows) {
            for (int t = 0; t < seqlen; t++) {
                window[t] = random.nextInt(vocab);
            }
        }
        return new CalibrationSet(windows, "seed " + SEED);
    }
}
