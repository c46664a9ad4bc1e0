package io.gptq4j.checkpoint;

import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.TensorSource;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A model repository on disk: its configuration and its weights, whatever files they are in. All headers are read and
 * checked when it is opened; tensors are read when asked for. Safe for concurrent use.
 */
public final class Checkpoint implements Closeable {
    private static final String SAFETENSORS = ".safetensors";
    private static final String SAFETENSORS_INDEX = ".safetensors.index.json";

    private final Path directory;
    private final ModelConfig config;
    private final TensorSource tensors;

    private Checkpoint(Path directory, ModelConfig config, TensorSource tensors) {
        this.directory = directory;
        this.config = config;
        this.tensors = tensors;
    }

    /**
     * Opens a repository. Weights are taken from the first of: {@code model.safetensors.index.json} with its shards,
     * {@code model.safetensors}, the only other {@code *.safetensors.index.json}, the only other {@code *.safetensors},
     * {@code pytorch_model.bin.index.json} with its shards, {@code pytorch_model.bin}.
     *
     * @throws CheckpointException if there is no config.json, if there are no weights or no telling which, or if the
     *     shards and their index disagree
     * @throws io.gptq4j.safetensors.SafetensorsException if a file breaks a rule of its format
     */
    public static Checkpoint open(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            throw new CheckpointException(directory + " is not a directory; expected one with a model's files");
        }
        Path configJson = directory.resolve("config.json");
        if (!Files.isRegularFile(configJson)) {
            throw new CheckpointException(
                    configJson + " is missing: a model repository describes its architecture there");
        }
        ModelConfig config = ModelConfig.read(configJson);
        return new Checkpoint(directory, config, openWeights(directory));
    }

    /** The repository's directory as it was given. */
    public Path directory() {
        return directory;
    }

    /** The contents of config.json. */
    public ModelConfig config() {
        return config;
    }

    /** All weights; closed together with the checkpoint. */
    public TensorSource tensors() {
        return tensors;
    }

    /**
     * The fast tokenizer's file.
     *
     * @throws CheckpointException if there is none, saying how to make one
     */
    public Path tokenizerJson() throws CheckpointException {
        Path file = directory.resolve("tokenizer.json");
        if (Files.isRegularFile(file)) {
            return file;
        }
        List<String> slow = Stream.of("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt")
                .filter(name -> Files.isRegularFile(directory.resolve(name)))
                .toList();
        throw new CheckpointException(
                slow.isEmpty()
                        ? file + " is missing: fetch it from the model's repository"
                        : file + " is missing and cannot be made of " + String.join(", ", slow)
                                + " here: convert once with AutoTokenizer.from_pretrained(dir).save_pretrained(dir)"
                                + " of Python's transformers");
    }

    @Override
    public void close() throws IOException {
        tensors.close();
    }

    private static TensorSource openWeights(Path directory) throws IOException {
        Path index = directory.resolve("model" + SAFETENSORS_INDEX);
        if (Files.isRegularFile(index)) {
            return ShardedTensors.open(index, SafetensorsReader::open);
        }
        Path single = directory.resolve("model" + SAFETENSORS);
        if (Files.isRegularFile(single)) {
            return SafetensorsReader.open(single);
        }
        List<Path> indexes = list(directory, SAFETENSORS_INDEX);
        if (indexes.size() == 1) {
            return ShardedTensors.open(indexes.get(0), SafetensorsReader::open);
        }
        List<Path> files = list(directory, SAFETENSORS);
        if (indexes.isEmpty() && files.size() == 1) {
            return SafetensorsReader.open(files.get(0));
        }
        Path torchIndex = directory.resolve("pytorch_model.bin.index.json");
        if (Files.isRegularFile(torchIndex)) {
            return ShardedTensors.open(torchIndex, TorchZipReader::open);
        }
        Path torch = directory.resolve("pytorch_model.bin");
        if (Files.isRegularFile(torch)) {
            return TorchZipReader.open(torch);
        }
        List<Path> candidates = indexes.isEmpty() ? files : indexes;
        throw new CheckpointException(
                candidates.isEmpty()
                        ? directory + " has no weights: expected model.safetensors, model.safetensors.index.json with"
                                + " its shards, or pytorch_model.bin"
                        : directory + " has no model.safetensors and several other weight files, "
                                + candidates.stream()
                                        .map(file -> String.valueOf(file.getFileName()))
                                        .collect(Collectors.joining(", "))
                                + ": leave the one that is meant, or its index, in the directory");
    }

    private static List<Path> list(Path directory, String suffix) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> String.valueOf(file.getFileName()).endsWith(suffix))
                    .filter(Files::isRegularFile)
                    .sorted()
                    .toList();
        }
    }
}
