package io.gptq4j.checkpoint;

import io.gptq4j.internal.Closing;
import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The shards that an index names, as one source. Every shard is open for as long as the source is, one handle each;
 * the largest public models have a few hundred.
 */
final class ShardedTensors implements TensorSource {
    private final Map<String, TensorSource> owners = new TreeMap<>();
    private final Map<String, TensorInfo> tensors = new TreeMap<>();
    private final List<TensorSource> shards = new ArrayList<>();
    private final Path index;

    private ShardedTensors(Path index) {
        this.index = index;
    }

    /** Opens one shard file. */
    interface Opener {
        TensorSource open(Path file) throws IOException;
    }

    /**
     * Opens all shards and holds them against the index: every tensor is in the file that the index names, and in no
     * other. {@code metadata.total_size} is not looked at: writers are known to get it wrong, and no loader minds.
     *
     * @param files the names of the files that are there
     */
    static ShardedTensors open(Path index, Set<String> files, Opener opener) throws IOException {
        Map<String, List<String>> namesByFile = readIndex(index);
        ShardedTensors result = new ShardedTensors(index);
        try {
            for (Map.Entry<String, List<String>> shard : namesByFile.entrySet()) {
                Path file = index.resolveSibling(shard.getKey());
                if (!files.contains(shard.getKey())) {
                    throw new CheckpointException("Shard " + file + " is missing, but " + index + " places "
                            + shard.getValue().size() + " tensors in it: fetch the file");
                }
                result.add(opener.open(file), file, shard.getValue());
            }
            return result;
        } catch (IOException | RuntimeException e) {
            Closing.after(e, result);
            throw e;
        }
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        owner(name).read(name, offset, target);
    }

    @Override
    public String location(String name) {
        return owner(name).location(name);
    }

    @Override
    public void close() throws IOException {
        Closing.all(shards);
    }

    private void add(TensorSource shard, Path file, List<String> listed) throws CheckpointException {
        shards.add(shard);
        for (String name : listed) {
            TensorInfo tensor = shard.tensors().get(name);
            if (tensor == null) {
                throw new CheckpointException("Tensor " + Messages.quote(name) + " is not in " + file + ", where "
                        + index + " places it: the index and the shard do not belong together");
            }
            tensors.put(name, tensor);
            owners.put(name, shard);
        }
        for (String name : shard.tensors().keySet()) {
            if (owners.get(name) != shard) {
                throw new CheckpointException("Tensor " + Messages.quote(name) + " is in " + file + ", but " + index
                        + " does not place it there: the index and the shard do not belong together");
            }
        }
    }

    private TensorSource owner(String name) {
        TensorSource owner = owners.get(name);
        if (owner == null) {
            throw new IllegalArgumentException(
                    "There is no tensor " + Messages.quote(name) + " in the shards of " + index);
        }
        return owner;
    }

    private static Map<String, List<String>> readIndex(Path index) throws IOException {
        if (!(JsonFiles.readObject(index).get("weight_map") instanceof Map<?, ?> weightMap) || weightMap.isEmpty()) {
            throw new CheckpointException(
                    index + ": key 'weight_map' must be an object from tensor names to file names");
        }
        Map<String, List<String>> namesByFile = new TreeMap<>();
        for (Map.Entry<?, ?> entry : weightMap.entrySet()) {
            String tensor = String.valueOf(entry.getKey());
            if (!(entry.getValue() instanceof String file) || !isPlainFileName(file)) {
                throw new CheckpointException(index + ": tensor " + Messages.quote(tensor) + " is placed in "
                        + Messages.quote(String.valueOf(entry.getValue()))
                        + ", expected the plain name of a file beside the index");
            }
            namesByFile.computeIfAbsent(file, key -> new ArrayList<>()).add(tensor);
        }
        return namesByFile;
    }

    /** An index comes from strangers: it may name files beside it, nothing else. */
    private static boolean isPlainFileName(String name) {
        return !name.isEmpty()
                && !name.equals(".")
                && !name.equals("..")
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ');
    }
}
