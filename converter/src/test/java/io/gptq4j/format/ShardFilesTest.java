package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of the weight files of an artifact one after the other. */
class ShardFilesTest {
    private static final int BLOCKS = 6;
    /** Of qweight, qzeros, scales and g_idx of a module. */
    private static final long MODULE = 96 / 8 * 64 * 4 + 3 * 8 * 4 + 3 * 64 * 2 + 96 * 4;

    private static final QuantizeConfig CONFIG = QuantizeConfig.of(4, 32, false, true);

    @TempDir
    Path directory;

    private Path source;
    private Path out;

    @BeforeEach
    void makeSource() throws IOException {
        source = Files.createDirectory(directory.resolve("source"));
        out = directory.resolve("out");
        Files.writeString(source.resolve("config.json"), "{\"model_type\":\"llama\"}");
        weights(1).write(source.resolve("model.safetensors"));
    }

    /** An embedding, a norm for each block and one after them, whose value is given. */
    private static TestFiles weights(double last) {
        TestFiles weights = new TestFiles().floats("embed.weight", DType.F32, new double[64 * 32], 64, 32);
        for (int b = 0; b < BLOCKS; b++) {
            weights.floats("layers." + b + ".norm.weight", DType.F32, new double[64], 64);
        }
        return weights.floats("norm.weight", DType.F32, new double[] {last, 0, 0, 0}, 4);
    }

    private static ArtifactWriter.Plan plan(Checkpoint checkpoint, long shardSize) {
        List<ArtifactWriter.ModuleShape> modules = new ArrayList<>();
        Map<String, String> carried = new TreeMap<>();
        for (String name : checkpoint.tensors().tensors().keySet()) {
            carried.put(name, name);
        }
        for (int b = 0; b < BLOCKS; b++) {
            modules.add(new ArtifactWriter.ModuleShape("layers." + b + ".proj", 96, 64));
        }
        return new ArtifactWriter.Plan(checkpoint, CONFIG, modules, carried, shardSize, true, Map.of(), Set.of());
    }

    private static QuantizedLinear linear(int block) {
        return Linears.random("layers." + block + ".proj", 4, 32, 96, 64, true, false, block);
    }

    private static Map<String, byte[]> weightFiles(Path folder) throws IOException {
        Map<String, byte[]> found = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                String name = String.valueOf(file.getFileName());
                if (name.contains(".safetensors") && !name.endsWith(".json")) {
                    found.put(name, Files.readAllBytes(file));
                }
            }
        }
        return found;
    }

    /** Writes all blocks and takes each finished file away; gives the largest number of files in the making. */
    private int writeAndTakeAway(long shardSize, Path taken, List<String> events) throws IOException {
        List<Integer> counts = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint, shardSize), file -> {
                    counts.add(weightFiles(file.resolveSibling(".")).size());
                    events.add(String.valueOf(file.getFileName()));
                    Files.move(file, taken.resolve(file.getFileName()));
                })) {
            for (int b = 0; b < BLOCKS; b++) {
                events.add("block " + b);
                writer.write(linear(b));
            }
            Path staged = writer.complete();
            assertThat(weightFiles(staged)).isEmpty();
            for (String name : List.of("model.safetensors.index.json", "config.json", "quantize_config.json")) {
                Files.copy(staged.resolve(name), taken.resolve(name));
            }
        }
        assertThat(out).doesNotExist();
        return counts.stream().max(Integer::compare).orElseThrow();
    }

    private void writeWhole(long shardSize, Path to) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(to, plan(checkpoint, shardSize))) {
            for (int b = 0; b < BLOCKS; b++) {
                writer.write(linear(b));
            }
            writer.commit();
        }
    }

    @Test
    void aFileIsFinishedWithItsLastModuleAndMayBeTakenAway() throws IOException {
        Path taken = Files.createDirectory(directory.resolve("taken"));
        List<String> events = new ArrayList<>();
        long shardSize = MODULE + 64 * 2; // a block; the embedding is a file of its own
        assertThat(writeAndTakeAway(shardSize, taken, events)).isLessThanOrEqualTo(2);
        assertThat(events)
                .containsExactly(
                        "model-00001-of-00008.safetensors", // the embedding
                        "model-00008-of-00008.safetensors", // the last norm
                        "block 0",
                        "model-00002-of-00008.safetensors",
                        "block 1",
                        "model-00003-of-00008.safetensors",
                        "block 2",
                        "model-00004-of-00008.safetensors",
                        "block 3",
                        "model-00005-of-00008.safetensors",
                        "block 4",
                        "model-00006-of-00008.safetensors",
                        "block 5",
                        "model-00007-of-00008.safetensors");

        Path whole = directory.resolve("whole");
        writeWhole(shardSize, whole);
        assertThat(weightFiles(taken)).usingRecursiveComparison().isEqualTo(weightFiles(whole));
        try (Checkpoint checkpoint = Checkpoint.open(taken)) {
            assertThat(ArtifactReader.of(checkpoint).modules()).hasSize(BLOCKS);
        }
    }

    @Test
    void aModuleMayLieInTwoFilesAndInFour() throws IOException {
        for (long shardSize : new long[] {MODULE * 3 / 2, MODULE - 100, 500}) {
            Path taken = Files.createDirectory(directory.resolve("taken" + shardSize));
            assertThat(writeAndTakeAway(shardSize, taken, new ArrayList<>())).isLessThanOrEqualTo(4);
            Path whole = directory.resolve("whole" + shardSize);
            writeWhole(shardSize, whole);
            assertThat(weightFiles(taken)).usingRecursiveComparison().isEqualTo(weightFiles(whole));
        }
    }

    @Test
    void aValueThatCannotBeStoredIsFoundAtOnceWhereverItGoes() throws IOException {
        weights(65536).write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            for (long shardSize : new long[] {MODULE + 64 * 2, 2 * MODULE}) {
                assertThatThrownBy(() -> ArtifactWriter.create(out, plan(checkpoint, shardSize)))
                        .isInstanceOf(CheckpointException.class)
                        .hasMessageContaining("element 0 of tensor norm.weight is 65536.0");
            }
        }
        assertThat(out.resolveSibling(".out.partial")).doesNotExist();
    }

    @Test
    void aFailureOfTheListenerEndsTheWrite() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint, 1 << 20), file -> {
                    throw new IOException("the line is dead");
                })) {
            for (int b = 0; b < BLOCKS - 1; b++) {
                writer.write(linear(b));
            }
            assertThatThrownBy(() -> writer.write(linear(BLOCKS - 1)))
                    .isInstanceOf(IOException.class)
                    .hasMessage("the line is dead");
        }
        assertThat(out.resolveSibling(".out.partial")).doesNotExist();
    }

    @Test
    void aModuleThatTheDiskDoesNotGiveBackIsRefused() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint, 1 << 20))) {
            Path staged = out.resolveSibling(".out.partial");
            Path file = staged.resolve(weightFiles(staged).keySet().iterator().next());
            Path copy = Files.copy(file, directory.resolve("zeros"));
            // From now on the writer writes to one file, and the name leads to another.
            Files.move(copy, file, StandardCopyOption.REPLACE_EXISTING);
            assertThatThrownBy(() -> writer.write(linear(2)))
                    .isInstanceOf(VerificationException.class)
                    .hasMessage("Module layers.2.proj in " + staged.resolve("model.safetensors")
                            + " does not read back as it was computed; the disk or the memory is faulty");
        }
    }

    @Test
    void theSpaceThatIsNeededIsThatOfTheLargestFilesThatLieThere() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ShardLayout layout = ShardLayout.of(plan(checkpoint, MODULE + 64 * 2));
            assertThat(layout.sizeOf(1)).isEqualTo(64 * 32 * 2);
            assertThat(layout.sizeOf(3)).isEqualTo(64 * 32 * 2 + 2 * (MODULE + 64 * 2));
            assertThat(layout.sizeOf(Integer.MAX_VALUE)).isEqualTo(layout.totalSize());
            assertThat(layout.totalSize()).isEqualTo(64 * 32 * 2 + 6 * (MODULE + 64 * 2) + 4 * 2);
        }
    }
}
