package io.gptq4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A checkpoint whose weights are somewhere else, here in another folder, behind a channel that counts. */
class RemoteCheckpointTest {
    private static final long SEED = 11;
    private static final String HEAD = "lm_head.weight";
    private static final String NORM = "model.layers.0.norm.weight";
    private static final String MATRIX = "model.layers.0.proj.weight";

    @TempDir
    Path directory;

    private final Map<String, byte[]> content = new TreeMap<>();
    private final Counting remote = new Counting();
    private Path local = Path.of("");
    private Path away = Path.of("");
    private Path scratch = Path.of("");

    @BeforeEach
    void write() throws IOException {
        local = Files.createDirectory(directory.resolve("local"));
        away = Files.createDirectory(directory.resolve("away"));
        scratch = directory.resolve("scratch").resolve("deep");
        Files.writeString(local.resolve("config.json"), "{\"model_type\":\"opt\"}");
        write("model-1.safetensors", TensorInfo.of(HEAD, DType.F16, 300, 100));
        write("model-2.safetensors", TensorInfo.of(NORM, DType.F16, 100), TensorInfo.of(MATRIX, DType.F16, 100, 100));
        String index = content.keySet().stream()
                .map(name -> "\"" + name + "\":\"model-" + (name.equals(HEAD) ? 1 : 2) + ".safetensors\"")
                .collect(Collectors.joining(","));
        Files.writeString(local.resolve("model.safetensors.index.json"), "{\"weight_map\":{" + index + "}}");
    }

    private void write(String file, TensorInfo... tensors) throws IOException {
        Random random = new Random(SEED + file.hashCode());
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(away.resolve(file), List.of(tensors), Map.of("format", "pt"))) {
            for (TensorInfo tensor : tensors) {
                byte[] bytes = new byte[Math.toIntExact(tensor.byteLength())];
                random.nextBytes(bytes);
                content.put(tensor.name(), bytes);
                writer.write(tensor.name(), 0, ByteBuffer.wrap(bytes));
            }
            writer.commit();
        }
    }

    /** The files of the other folder, and the index that a listing of the repository has, too. */
    private final class Counting implements RemoteWeights {
        private Set<String> files =
                Set.of("model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json");
        private long bytes;
        private int open;

        @Override
        public Set<String> files() {
            return files;
        }

        @Override
        public SeekableByteChannel open(String file) throws IOException {
            FileChannel channel = FileChannel.open(away.resolve(file));
            open++;
            return new SeekableByteChannel() {
                @Override
                public int read(ByteBuffer target) throws IOException {
                    ByteBuffer some = target.slice(target.position(), Math.min(target.remaining(), 999));
                    int count = channel.read(some);
                    target.position(target.position() + Math.max(0, count));
                    bytes += Math.max(0, count);
                    return count;
                }

                @Override
                public int write(ByteBuffer source) {
                    throw new AssertionError("nothing is written");
                }

                @Override
                public long position() throws IOException {
                    return channel.position();
                }

                @Override
                public SeekableByteChannel position(long position) throws IOException {
                    channel.position(position);
                    return this;
                }

                @Override
                public long size() throws IOException {
                    return channel.size();
                }

                @Override
                public SeekableByteChannel truncate(long size) {
                    throw new AssertionError("nothing is written");
                }

                @Override
                public boolean isOpen() {
                    return channel.isOpen();
                }

                @Override
                public void close() throws IOException {
                    open--;
                    channel.close();
                }
            };
        }
    }

    private void assertContent(TensorSource tensors, String name, int from, int to) throws IOException {
        ByteBuffer target = ByteBuffer.allocate(to - from);
        tensors.read(name, from, target);
        assertThat(target.array()).isEqualTo(Arrays.copyOfRange(content.get(name), from, to));
    }

    @Test
    void matricesOfBlocksAreFetchedAsTheyAreReadAndTheRestOnce() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(local, remote, scratch)) {
            TensorSource tensors = checkpoint.tensors();
            assertThat(checkpoint.config().modelType()).isEqualTo("opt");
            assertThat(tensors.tensors().keySet()).containsExactly(HEAD, NORM, MATRIX);
            assertThat(tensors.location(MATRIX))
                    .isEqualTo(local.resolve("model-2.safetensors").toString());
            long headers = remote.bytes;
            assertContent(tensors, MATRIX, 0, 20_000);
            assertContent(tensors, MATRIX, 1_000, 2_000);
            assertThat(remote.bytes - headers).isEqualTo(21_000);
            assertContent(tensors, HEAD, 50_000, 60_000);
            assertContent(tensors, HEAD, 0, 60_000);
            assertContent(tensors, NORM, 0, 200);
            assertContent(tensors, HEAD, 1, 2);
            assertContent(tensors, NORM, 100, 101);
            assertThat(remote.bytes - headers).isEqualTo(21_000 + 60_000 + 200);
            assertThatThrownBy(() -> tensors.read(NORM, 199, ByteBuffer.allocate(2)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Bytes 199 to 201 leave '" + NORM + "' of 200 bytes");
            assertThatThrownBy(() -> tensors.read("x", 0, ByteBuffer.allocate(2)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
        assertThat(remote.open).isZero();
        try (Stream<Path> left = Files.list(scratch)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void aShardThatIsNotThereIsNamed() {
        remote.files = Set.of("model-1.safetensors", "model.safetensors.index.json");
        assertThatThrownBy(() -> Checkpoint.open(local, remote, scratch).close())
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("Shard " + local.resolve("model-2.safetensors") + " is missing");
        assertThat(remote.open).isZero();
    }

    @Test
    void weightsInAPickleAreRefusedBeforeAnythingIsFetched() {
        for (Set<String> files : List.of(Set.of("pytorch_model.bin"), Set.of("README.md", "pytorch_model.bin"))) {
            remote.files = files;
            assertThatThrownBy(() -> Checkpoint.open(local, remote, scratch).close())
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage("The weights of this model are in pytorch_model.bin and not in safetensors, the only"
                            + " format that can be read without the whole file being here");
        }
        assertThat(scratch).doesNotExist();
    }
}
