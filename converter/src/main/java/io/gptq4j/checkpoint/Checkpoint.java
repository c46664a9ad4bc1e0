package io.gptq4j.checkpoint;

import io.gptq4j.internal.Closing;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.TensorSource;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A model repository: its configuration and its weights, whatever files they are in. All headers are read and
 * checked when it is opened; tensors are read when asked for. Safe for concurrent use.
 */
public final class Checkpoint implements Closeable {
    private static final String SAFETENSORS = ".safetensors";
    private static final String SAFETENSORS_INDEX = ".safetensors.index.json";
    private static final String TORCH = "pytorch_model.bin";

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
     * <p>Weights that are stored as 8-bit floats with scales, as DeepSeek-V3's are, are read as F32, and config.json without its
     * {@code quantization_config}.
     *
     * @throws CheckpointException if there is no config.json, if there are no weights or no telling which, or if the
     *     shards and their index disagree
     * @throws io.gptq4j.safetensors.SafetensorsException if a file breaks a rule of its format
     */
    public static Checkpoint open(Path directory) throws IOException {
        ModelConfig config = config(directory);
        return decoded(
                directory,
                config,
                openWeights(directory, list(directory), SafetensorsReader::open, TorchZipReader::open));
    }

    /** With weights that are stored as 8-bit floats read as what they stand for. */
    private static Checkpoint decoded(Path directory, ModelConfig config, TensorSource tensors) throws IOException {
        try {
            Optional<Fp8Scheme> scheme = Fp8Scheme.of(config);
            return scheme.isEmpty()
                    ? new Checkpoint(directory, config, tensors)
                    : new Checkpoint(directory, Fp8Scheme.without(config), Fp8Tensors.over(tensors, scheme.get()));
        } catch (IOException | RuntimeException e) {
            Closing.after(e, tensors);
            throw e;
        }
    }

    /**
     * Opens a repository whose safetensors files are somewhere else; they are chosen as in {@link #open(Path)}. Each tensor of a
     * block is fetched when it is read, and what a run reads again and again is fetched once into a scratch file.
     *
     * @param directory holds all other files, the weights' index among them
     * @param weights the files of weights
     * @param scratch a folder for the scratch file, which goes with the checkpoint; created if it is missing
     * @throws CheckpointException as in {@link #open(Path)}, and if there are weights in pytorch_model.bin only
     */
    public static Checkpoint open(Path directory, RemoteWeights weights, Path scratch) throws IOException {
        ModelConfig config = config(directory);
        TensorSource tensors = openWeights(
                directory,
                weights.files(),
                file -> SafetensorsReader.open(file.toString(), weights.open(String.valueOf(file.getFileName()))),
                file -> {
                    throw new CheckpointException(
                            "The weights of this model are in " + file.getFileName()
                                    + " and not in safetensors, the only format that can be read without the whole file being here");
                });
        return decoded(directory, config, KeptTensors.over(tensors, scratch));
    }

    /**
     * The same repository, described by another config.json and with other weights in the place of its own.
     *
     * @param weights closed together with the result, and may be made of this checkpoint's
     */
    public Checkpoint with(ModelConfig otherConfig, TensorSource weights) {
        return new Checkpoint(directory, otherConfig, weights);
    }

    private static ModelConfig config(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            throw new CheckpointException(directory + " is not a directory; expected one with a model's files");
        }
        Path configJson = directory.resolve("config.json");
        if (!Files.isRegularFile(configJson)) {
            throw new CheckpointException(
                    configJson + " is missing: a model repository describes its architecture there");
        }
        return ModelConfig.read(configJson);
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

    /** Bytes of all weights as they are stored, without the scales of 8-bit floats. */
    public long weightBytes() {
        return tensors.tensors().values().stream()
                .mapToLong(info ->
                        info.elements() * tensors.storedType(info.name()).bits() / Byte.SIZE)
                .sum();
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
        for (String ranks : List.of("qwen.tiktoken", "tiktoken.model")) {
            if (Files.isRegularFile(directory.resolve(ranks))) {
                throw new CheckpointException(file + " is missing, and what comes with " + ranks
                        + " is code; put the tokenizer.json of a model with the same vocabulary there");
            }
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

    private static TensorSource openWeights(
            Path directory, Set<String> files, ShardedTensors.Opener safetensors, ShardedTensors.Opener torch)
            throws IOException {
        if (files.contains("model" + SAFETENSORS_INDEX)) {
            return ShardedTensors.open(directory.resolve("model" + SAFETENSORS_INDEX), files, safetensors);
        }
        if (files.contains("model" + SAFETENSORS)) {
            return safetensors.open(directory.resolve("model" + SAFETENSORS));
        }
        List<String> indexes = ending(files, SAFETENSORS_INDEX);
        if (indexes.size() == 1) {
            return ShardedTensors.open(directory.resolve(indexes.get(0)), files, safetensors);
        }
        List<String> singles = ending(files, SAFETENSORS);
        if (indexes.isEmpty() && singles.size() == 1) {
            return safetensors.open(directory.resolve(singles.get(0)));
        }
        if (files.contains(TORCH + ".index.json")) {
            return ShardedTensors.open(directory.resolve(TORCH + ".index.json"), files, torch);
        }
        if (files.contains(TORCH)) {
            return torch.open(directory.resolve(TORCH));
        }
        List<String> candidates = indexes.isEmpty() ? singles : indexes;
        throw new CheckpointException(
                candidates.isEmpty()
                        ? directory + " has no weights: expected model.safetensors, model.safetensors.index.json with"
                                + " its shards, or pytorch_model.bin"
                        : directory + " has no model.safetensors and several other weight files, "
                                + String.join(", ", candidates)
                                + ": leave the one that is meant, or its index, in the directory");
    }

    private static List<String> ending(Set<String> files, String suffix) {
        return files.stream().filter(file -> file.endsWith(suffix)).sorted().toList();
    }

    private static Set<String> list(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> String.valueOf(file.getFileName()))
                    .collect(Collectors.toSet());
        }
    }
}
