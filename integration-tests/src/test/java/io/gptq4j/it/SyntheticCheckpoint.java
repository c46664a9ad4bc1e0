package io.gptq4j.it;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsHeader;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * A llama of any size that has learnt nothing, in bfloat16 and in shards, for tests of memory and time. It is never in
 * memory: random weights are written in pieces, and a sparse one has holes for weights, which take no space on the disk
 * and read as zeros. It borrows the bundled model's tokenizer.
 *
 * @param hidden channels of the residual stream, a multiple of 512; heads have 128 channels each
 * @param blocks number of decoder layers
 * @param sparse whether the weights are holes
 */
record SyntheticCheckpoint(int hidden, int blocks, boolean sparse) {
    private static final long SEED = 20240607;
    /** Of the bundled tokenizer. */
    private static final int VOCABULARY = 4096;

    private static final long SHARD_BYTES = 5_000_000_000L;
    private static final int PIECE = 8 << 20;

    /** About what llamas have, and divisible by the usual group size. */
    int intermediate() {
        return hidden / 4 * 11;
    }

    /** Bytes of the weights of one block. */
    long blockBytes() throws CheckpointException {
        return tensors(architecture().blockTensors(0)).stream()
                .mapToLong(TensorInfo::byteLength)
                .sum();
    }

    /** Bytes of all weights. */
    long bytes() throws CheckpointException {
        return tensors(architecture().tensors()).stream()
                .mapToLong(TensorInfo::byteLength)
                .sum();
    }

    /** Writes configuration, weights, index and tokenizer into a directory that it makes. */
    Path write(Path directory) throws IOException {
        Files.createDirectories(directory);
        Files.copy(TinyModel.bundled().resolve("tokenizer.json"), directory.resolve("tokenizer.json"));
        TinyModel.JSON.writeValue(directory.resolve("config.json").toFile(), config());
        List<List<TensorInfo>> shards = shards();
        SplittableRandom random = new SplittableRandom(SEED);
        Map<String, String> places = new LinkedHashMap<>();
        for (int s = 0; s < shards.size(); s++) {
            String name = String.format("model-%05d-of-%05d.safetensors", s + 1, shards.size());
            writeShard(directory.resolve(name), shards.get(s), random);
            shards.get(s).forEach(tensor -> places.put(tensor.name(), name));
        }
        TinyModel.JSON.writeValue(
                directory.resolve("model.safetensors.index.json").toFile(), Map.of("weight_map", places));
        return directory;
    }

    private Map<String, Object> config() {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("architectures", List.of("LlamaForCausalLM"));
        config.put("model_type", "llama");
        config.put("hidden_size", hidden);
        config.put("intermediate_size", intermediate());
        config.put("num_attention_heads", hidden / 128);
        config.put("num_key_value_heads", hidden / 128);
        config.put("num_hidden_layers", blocks);
        config.put("vocab_size", VOCABULARY);
        config.put("max_position_embeddings", 2048);
        config.put("rms_norm_eps", 1e-5);
        config.put("tie_word_embeddings", false);
        config.put("torch_dtype", "bfloat16");
        return config;
    }

    private Architecture architecture() throws CheckpointException {
        return ModelFamilies.architecture(ModelConfig.of(config(), "config.json"));
    }

    private static List<TensorInfo> tensors(Map<String, List<Long>> shapes) {
        return shapes.entrySet().stream()
                .map(tensor -> new TensorInfo(tensor.getKey(), DType.BF16, tensor.getValue()))
                .toList();
    }

    /** The tensors in their order, a new shard where the next would make one too large. */
    private List<List<TensorInfo>> shards() throws CheckpointException {
        List<List<TensorInfo>> shards = new ArrayList<>();
        long used = SHARD_BYTES;
        for (TensorInfo tensor : tensors(architecture().tensors())) {
            if (used + tensor.byteLength() > SHARD_BYTES) {
                shards.add(new ArrayList<>());
                used = 0;
            }
            shards.get(shards.size() - 1).add(tensor);
            used += tensor.byteLength();
        }
        return shards;
    }

    private void writeShard(Path path, List<TensorInfo> tensors, SplittableRandom random) throws IOException {
        byte[] head = SafetensorsHeader.encode(tensors, Map.of("format", "pt"));
        long length = tensors.stream().mapToLong(TensorInfo::byteLength).sum();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(head);
            if (sparse) {
                file.setLength(head.length + length);
                return;
            }
            FileChannel channel = file.getChannel();
            ByteBuffer piece = ByteBuffer.allocateDirect(PIECE).order(ByteOrder.nativeOrder());
            for (long written = 0; written < length; written += piece.limit()) {
                piece.clear().limit((int) Math.min(PIECE, length - written));
                for (int i = 0; i < piece.limit(); i += Long.BYTES) {
                    piece.putLong(i, small(random.nextLong()));
                }
                while (piece.hasRemaining()) {
                    channel.write(piece);
                }
            }
        }
    }

    /** Four bfloat16 numbers of either sign, from 2^-11 to 2^-7, as trained weights have them. */
    private static long small(long random) {
        return random & 0x81ff_81ff_81ff_81ffL | 0x3a00_3a00_3a00_3a00L;
    }
}
