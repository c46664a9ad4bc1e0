package io.gptq4j.format;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.internal.Closing;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Writes a quantized repository, module by module as they are solved, and shows it only when it is complete.
 *
 * <ol>
 *   <li>{@link #create} refuses what would fail in the end (an output that is taken, a plan that does not fit the source,
 *       too little disk), lays all tensors out over the shards, and looks at the tensors that are not quantized.
 *   <li>{@link #write} packs one module, writes it to its place and reads it back from there. Nothing of it stays in memory. A
 *       shard that lacks nothing any more is finished at once, which a {@link ShardListener} hears.
 *   <li>{@link #complete} adds index, configuration, tokenizer and licence files, all of them durable, for who wants to
 *       look at the artifact or {@link #add} to it before it has its name.
 *   <li>{@link #commit} renames the directory, atomically.
 * </ol>
 *
 * <p>Everything happens in the hidden directory {@code .NAME.partial} beside the output, which {@link #close} removes if
 * there was no commit; what a killed run left there goes with the next run. A lock file keeps two runs apart. The same
 * plan and modules give the same bytes.
 *
 * <p>{@link #write} is safe for concurrent use; the rest belongs to one thread.
 */
public final class ArtifactWriter implements Closeable {
    /** Shards that are being written: two, where a module's tensors lie in both. */
    private static final int OPEN_SHARDS = 2;

    private final Path out;
    private final Plan plan;
    private final StagingDirectory staging;
    private final ShardLayout layout;
    private final Map<String, ModuleShape> modules;
    private final ShardFiles shards;
    private final Set<String> written = ConcurrentHashMap.newKeySet();
    private boolean complete;

    private ArtifactWriter(Path out, Plan plan, ShardLayout layout, StagingDirectory staging, ShardListener listener) {
        this.out = out;
        this.plan = plan;
        this.layout = layout;
        this.staging = staging;
        shards = new ShardFiles(staging.path(), plan, layout, listener);
        modules = plan.modules().stream().collect(Collectors.toMap(ModuleShape::name, module -> module));
    }

    /** The shape of one module that will be {@linkplain ArtifactWriter#write written}. */
    public record ModuleShape(String name, int inFeatures, int outFeatures) {}

    /**
     * What the artifact will contain.
     *
     * @param source the checkpoint that is quantized; stays the caller's to close, after the writer
     * @param config how it is quantized
     * @param modules the quantized linears
     * @param carried the other tensors, by their name in the artifact, with their name in the source: embeddings, norms,
     *     biases (those of quantized linears, too), the output head
     * @param shardSize most bytes of tensors in a file; a larger tensor gets a file of its own
     * @param tieWordEmbeddings whether the output head is the embedding, that is, whether the artifact has no tensor for
     *     it
     * @param configEntries further entries of config.json; they replace the source's
     * @param untouched names of carried tensors that keep their type, instead of F16 if they are floating: those that no
     *     quantized part of the model computes with. What is stored in 8-bit floats becomes BF16, as it has no scales any more
     */
    public record Plan(
            Checkpoint source,
            QuantizeConfig config,
            List<ModuleShape> modules,
            Map<String, String> carried,
            long shardSize,
            boolean tieWordEmbeddings,
            Map<String, Object> configEntries,
            Set<String> untouched) {
        /** The shard size of transformers. */
        public static final long DEFAULT_SHARD_SIZE = 5_000_000_000L;

        /** Copies the collections. */
        public Plan {
            if (shardSize <= 0) {
                throw new IllegalArgumentException("shardSize must be positive, not " + shardSize);
            }
            modules = List.copyOf(modules);
            carried = Map.copyOf(carried);
            configEntries = Collections.unmodifiableMap(new LinkedHashMap<>(configEntries));
            untouched = Set.copyOf(untouched);
        }

        /** A plan with {@link #DEFAULT_SHARD_SIZE} and no further entries of config.json. */
        public static Plan of(
                Checkpoint source,
                QuantizeConfig config,
                List<ModuleShape> modules,
                Map<String, String> carried,
                boolean tieWordEmbeddings) {
            return new Plan(
                    source, config, modules, carried, DEFAULT_SHARD_SIZE, tieWordEmbeddings, Map.of(), Set.of());
        }
    }

    /** Hears of weight files that are finished. */
    public interface ShardListener {
        /** Lets them lie until the artifact has its name. */
        ShardListener NONE = file -> {};

        /**
         * A file is durable and under its name in the hidden directory; it is neither written nor read any more, so that it may
         * be taken away. Then the artifact can be {@linkplain ArtifactWriter#complete completed}, but is no whole one to be
         * committed. Called by the thread that writes, for one file at a time; may wait, which holds the writing back.
         */
        void finished(Path file) throws IOException;

        /** How many finished files lie there at the same time at most. */
        default int most() {
            return Integer.MAX_VALUE;
        }
    }

    /** An artifact whose files stay, see {@link #create(Path, Plan, ShardListener)}. */
    public static ArtifactWriter create(Path out, Plan plan) throws IOException {
        return create(out, plan, ShardListener.NONE);
    }

    /**
     * Starts an artifact: checks the plan, the disk and the carried tensors. Floating ones become F16, but for untouched ones.
     *
     * @param out the repository's directory; must not exist or be empty
     * @throws FileAlreadyExistsException if {@code out} is taken or being written
     * @throws CheckpointException if a carried tensor is missing in the source, holds a finite value beyond F16 or has a
     *     dtype without meaning here
     * @throws IllegalArgumentException if two tensors have one name or a module cannot be packed in its shape
     * @throws IOException if there is too little space or the source or the output fails; nothing is left behind then
     */
    public static ArtifactWriter create(Path out, Plan plan, ShardListener listener) throws IOException {
        ShardLayout layout = ShardLayout.of(plan);
        StagingDirectory staging = StagingDirectory.create(out);
        ArtifactWriter writer = new ArtifactWriter(out, plan, layout, staging, listener);
        try {
            writer.requireSpace(listener.most());
            writer.shards.start();
            return writer;
        } catch (IOException e) {
            Closing.after(e, writer);
            throw writer.explained(e);
        } catch (RuntimeException e) {
            Closing.after(e, writer);
            throw e;
        }
    }

    /**
     * Packs one module, writes its four tensors, and compares what is in the file with what was given.
     *
     * @throws IllegalArgumentException if the module is not in the plan or was written before, contradicts the
     *     configuration, or cannot be packed
     * @throws VerificationException if the file holds something else than it was given
     * @throws IOException if the output fails; the module may be written again then
     */
    public void write(QuantizedLinear linear) throws IOException {
        ModuleShape module = modules.get(linear.name());
        if (module == null) {
            throw QuantizedLinear.misfit(linear.name(), "is not among the modules of this artifact");
        }
        requireAsPlanned(linear, module);
        PackedLinear packed = Packing.pack(linear, plan.config().checkpointFormat());
        if (!written.add(linear.name())) {
            throw QuantizedLinear.misfit(linear.name(), "was written before");
        }
        try {
            writeInts(linear.name() + ".qweight", packed.qweight());
            writeInts(linear.name() + ".qzeros", packed.qzeros());
            writeShorts(linear.name() + ".scales", packed.scales());
            writeInts(linear.name() + ".g_idx", new int[][] {packed.gIdx()});
            shards.complete(linear);
        } catch (IOException e) {
            written.remove(linear.name());
            throw explained(e);
        }
    }

    /**
     * Completes the files: index, configuration, tokenizer and licence join the weights. Does nothing the second time.
     *
     * @return the directory they are in, under a name that nobody else sees; may be read until the commit
     * @throws IllegalStateException if a module of the plan was not written
     * @throws IOException if the output fails
     */
    public Path complete() throws IOException {
        for (ModuleShape module : plan.modules()) {
            if (!written.contains(module.name())) {
                throw new IllegalStateException("Module " + module.name() + " was not written, so " + out
                        + " would be incomplete: write all " + plan.modules().size() + " modules before the commit");
            }
        }
        if (complete) {
            return staging.path();
        }
        staging.requireFree();
        try {
            if (layout.shards().size() > 1) {
                RepositoryFiles.write(staging.path().resolve("model.safetensors.index.json"), layout.indexJson());
            }
            RepositoryFiles.copyCarried(plan.source(), staging.path());
            RepositoryFiles.writeConfigs(staging.path(), plan);
        } catch (IOException e) {
            throw explained(e);
        }
        complete = true;
        return staging.path();
    }

    /**
     * Adds a file of text to the complete artifact, such as a README.md that tells what came of it.
     *
     * @param name the file's name
     * @throws IllegalArgumentException if {@code name} is more than a file's name
     * @throws FileAlreadyExistsException if the artifact has such a file
     * @throws IOException as {@link #complete}
     */
    public void add(String name, String text) throws IOException {
        Path file = complete().resolve(name).normalize();
        if (!staging.path().equals(file.getParent()) || !name.equals(String.valueOf(file.getFileName()))) {
            throw new IllegalArgumentException("'" + name + "' is not the name of a file within the artifact");
        }
        try {
            RepositoryFiles.write(file, text);
        } catch (IOException e) {
            throw explained(e);
        }
    }

    /**
     * {@linkplain #complete Completes} the artifact and gives it its name.
     *
     * @return the output directory as it was given
     * @throws FileAlreadyExistsException if something has come into being at the output's name; once that is moved away,
     *     the commit may be tried again
     * @throws IOException as {@link #complete}
     */
    public Path commit() throws IOException {
        complete();
        try {
            staging.publish();
        } catch (IOException e) {
            throw explained(e);
        }
        return out;
    }

    /** Bytes of all tensors that the artifact has when it is complete. */
    public long weightBytes() {
        return layout.totalSize();
    }

    /** Without a {@link #commit}, removes everything that was written. */
    @Override
    public void close() throws IOException {
        Closing.all(List.of(shards, staging));
    }

    private void requireSpace(int most) throws IOException {
        long free = Files.getFileStore(staging.path()).getUsableSpace();
        long needed = layout.sizeOf((int) Math.min(Integer.MAX_VALUE, most + (long) OPEN_SHARDS));
        if (free < needed) {
            throw noSpace(needed, "only " + free + " are free", null);
        }
    }

    /** What kernels take from the configuration instead of the tensors must be true of the tensors. */
    private void requireAsPlanned(QuantizedLinear linear, ModuleShape module) {
        String name = linear.name();
        QuantizeConfig config = plan.config().forModule(name);
        QuantizedLinear.require(
                name,
                linear.inFeatures() == module.inFeatures() && linear.outFeatures() == module.outFeatures(),
                "has " + linear.inFeatures() + " inputs and " + linear.outFeatures() + " outputs, planned were "
                        + module.inFeatures() + " and " + module.outFeatures());
        QuantizedLinear.require(
                name,
                linear.bits() == config.bits() && linear.groupSize() == config.groupSize(),
                "has bits " + linear.bits() + " and group_size " + linear.groupSize() + ", the artifact "
                        + config.bits() + " and " + config.groupSize());
        int[] gIdx = linear.gIdx();
        for (int i = 0; i < gIdx.length && !config.descAct(); i++) {
            if (gIdx[i] != (config.groupSize() == -1 ? 0 : i / config.groupSize())) {
                throw QuantizedLinear.misfit(
                        name, "g_idx[" + i + "] is " + gIdx[i] + ", but kernels ignore g_idx where desc_act is false");
            }
        }
        int middle = 1 << (config.bits() - 1);
        for (int g = 0; g < linear.groups() && config.sym(); g++) {
            for (byte zero : linear.zeros()[g]) {
                if ((zero & 0xff) != middle) {
                    throw QuantizedLinear.misfit(
                            name,
                            "a zero point of group " + g + " is " + (zero & 0xff) + ", but kernels assume " + middle
                                    + " where sym is true");
                }
            }
        }
    }

    private void writeInts(String name, int[][] rows) throws IOException {
        ByteBuffer buffer = ShardFiles.buffer((long) rows.length * rows[0].length * Integer.BYTES);
        long offset = 0;
        for (int[] row : rows) {
            for (int i = 0, count; i < row.length; i += count) {
                offset = flush(name, offset, buffer, Integer.BYTES);
                count = Math.min(row.length - i, buffer.remaining() / Integer.BYTES);
                buffer.asIntBuffer().put(row, i, count);
                buffer.position(buffer.position() + count * Integer.BYTES);
            }
        }
        flush(name, offset, buffer, buffer.capacity());
    }

    private void writeShorts(String name, short[][] rows) throws IOException {
        ByteBuffer buffer = ShardFiles.buffer((long) rows.length * rows[0].length * Short.BYTES);
        long offset = 0;
        for (short[] row : rows) {
            for (short value : row) {
                offset = flush(name, offset, buffer, Short.BYTES);
                buffer.putShort(value);
            }
        }
        flush(name, offset, buffer, buffer.capacity());
    }

    /** Writes the buffer out if it has no space for so many bytes more; returns the offset behind what was written. */
    private long flush(String name, long offset, ByteBuffer buffer, int needed) throws IOException {
        if (buffer.remaining() >= needed) {
            return offset;
        }
        int count = buffer.flip().remaining();
        shards.write(name, offset, buffer);
        buffer.clear();
        return offset + count;
    }

    /** A full disk, said in a sentence; any other failure as it is. */
    private IOException explained(IOException failure) {
        String message = String.valueOf(failure.getMessage());
        return message.contains("No space left") || message.contains("quota exceeded")
                ? noSpace(layout.totalSize(), "the disk is full", failure)
                : failure;
    }

    private IOException noSpace(long needed, String found, @Nullable IOException cause) {
        return new IOException(
                "Too little space for " + out + ": its tensors need " + needed + " bytes, " + found
                        + "; free some or choose another disk",
                cause);
    }
}
