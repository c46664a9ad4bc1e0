package io.gptq4j.format;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.internal.Closing;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.SafetensorsWriter;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The weight files of an artifact while it is written. A file is begun when something is to be written to it, first of all
 * its carried tensors, and is finished with the last of its modules; so only one or two of them are open, whatever the
 * artifact's size. Safe for concurrent use on different modules.
 */
final class ShardFiles implements Closeable {
    /** Bytes of a buffer between memory and file; a multiple of every element's size. */
    static final int CHUNK = 4 << 20;

    private final Path directory;
    private final ArtifactWriter.Plan plan;
    private final ShardLayout layout;
    private final ArtifactWriter.ShardListener listener;
    private final List<Shard> shards = new ArrayList<>();
    private final Map<String, Shard> shardOf = new HashMap<>();
    /** The listener hears of one file at a time. */
    private final Object telling = new Object();

    /** One file. Its monitor guards what changes. */
    private static final class Shard {
        final int number;
        final List<TensorInfo> tensors;
        /** Modules that have a tensor here and are not complete. */
        final Set<String> open = new HashSet<>();

        @Nullable
        SafetensorsWriter writer;

        boolean finished;

        Shard(int number, List<TensorInfo> tensors) {
            this.number = number;
            this.tensors = tensors;
        }
    }

    ShardFiles(Path directory, ArtifactWriter.Plan plan, ShardLayout layout, ArtifactWriter.ShardListener listener) {
        this.directory = directory;
        this.plan = plan;
        this.layout = layout;
        this.listener = listener;
        for (int s = 0; s < layout.shards().size(); s++) {
            Shard shard = new Shard(s, layout.shards().get(s));
            shards.add(shard);
            shard.tensors.forEach(tensor -> shardOf.put(tensor.name(), shard));
        }
        for (ArtifactWriter.ModuleShape module : plan.modules()) {
            for (String tensor : PackedLinear.tensorNames(module.name())) {
                shard(tensor).open.add(module.name());
            }
        }
    }

    /**
     * Writes the files without modules and begins the first one with some, which is where large tensors lie. Those of the
     * other files are only looked at, so that a value that cannot be stored is found now.
     */
    void start() throws IOException {
        boolean begun = false;
        for (Shard shard : shards) {
            if (shard.open.isEmpty() || !begun) {
                writer(shard);
                begun |= !shard.open.isEmpty();
                finishIfComplete(shard);
            } else {
                for (TensorInfo tensor : shard.tensors) {
                    if (plan.carried().containsKey(tensor.name())) {
                        copy(tensor, (offset, piece) -> {});
                    }
                }
            }
        }
    }

    /** Writes a part of a module's tensor. */
    void write(String tensor, long offset, ByteBuffer bytes) throws IOException {
        writer(shard(tensor)).write(tensor, offset, bytes);
    }

    /**
     * Reads a module back, whose tensors have all been written, and finishes the files that lacked nothing else.
     *
     * @throws VerificationException if it is not what it should be
     */
    void complete(QuantizedLinear module) throws IOException {
        try (Written written = new Written(module.name())) {
            ReadBack.require(module, written, plan.config());
        }
        for (Shard shard : shardsOf(module.name())) {
            synchronized (shard) {
                shard.open.remove(module.name());
            }
            finishIfComplete(shard);
        }
    }

    @Override
    public void close() throws IOException {
        List<Closeable> writers = new ArrayList<>();
        for (Shard shard : shards) {
            synchronized (shard) {
                if (shard.writer != null) {
                    writers.add(shard.writer);
                }
            }
        }
        Closing.all(writers);
    }

    private SafetensorsWriter writer(Shard shard) throws IOException {
        synchronized (shard) {
            if (shard.writer == null) {
                SafetensorsWriter writer = SafetensorsWriter.create(
                        directory.resolve(layout.fileName(shard.number)), shard.tensors, Map.of("format", "pt"));
                try {
                    for (TensorInfo tensor : shard.tensors) {
                        if (plan.carried().containsKey(tensor.name())) {
                            copy(tensor, (offset, piece) -> writer.write(tensor.name(), offset, piece));
                        }
                    }
                } catch (IOException | RuntimeException e) {
                    Closing.after(e, writer);
                    throw e;
                }
                shard.writer = writer;
            }
            return shard.writer;
        }
    }

    private void finishIfComplete(Shard shard) throws IOException {
        synchronized (shard) {
            if (shard.finished || !shard.open.isEmpty() || shard.writer == null) {
                return;
            }
            shard.writer.commit();
            shard.finished = true;
        }
        synchronized (telling) {
            listener.finished(directory.resolve(layout.fileName(shard.number)));
        }
    }

    private Set<Shard> shardsOf(String module) {
        Set<Shard> found = new HashSet<>();
        PackedLinear.tensorNames(module).forEach(tensor -> found.add(shard(tensor)));
        return found;
    }

    private Shard shard(String tensor) {
        return Objects.requireNonNull(shardOf.get(tensor));
    }

    /** The tensors of one module in files that are being written, opened anew, as a stranger would. */
    private final class Written implements TensorSource {
        private final Map<Shard, SafetensorsReader> readers = new HashMap<>();
        private final Map<String, TensorInfo> tensors = new TreeMap<>();

        Written(String module) throws IOException {
            try {
                for (Shard shard : shardsOf(module)) {
                    SafetensorsReader reader =
                            SafetensorsReader.open(writer(shard).place());
                    readers.put(shard, reader);
                    for (String tensor : PackedLinear.tensorNames(module)) {
                        if (shard(tensor) == shard) {
                            tensors.put(tensor, reader.tensor(tensor));
                        }
                    }
                }
            } catch (IOException | RuntimeException e) {
                Closing.after(e, this);
                throw e;
            }
        }

        @Override
        public Map<String, TensorInfo> tensors() {
            return tensors;
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) throws IOException {
            Objects.requireNonNull(readers.get(shard(name))).read(name, offset, target);
        }

        @Override
        public String location(String name) {
            return directory.resolve(layout.fileName(shard(name).number)).toString();
        }

        @Override
        public void close() throws IOException {
            Closing.all(readers.values());
        }
    }

    private interface PieceSink {
        void accept(long offset, ByteBuffer piece) throws IOException;
    }

    /** Reads one carried tensor in pieces, in the type it has in the artifact. */
    private void copy(TensorInfo wanted, PieceSink sink) throws IOException {
        String name = wanted.name();
        TensorSource source = plan.source().tensors();
        String sourceName = plan.carried().getOrDefault(name, name);
        TensorInfo info = Objects.requireNonNull(source.tensors().get(sourceName));
        boolean converts = info.dtype() != wanted.dtype();
        ByteBuffer read = buffer(info.byteLength());
        ByteBuffer halves = buffer(converts ? 2 * info.elements() : 0);
        long to = 0;
        for (long from = 0; from < info.byteLength(); from += read.limit()) {
            read.clear().limit((int) Math.min(read.capacity(), info.byteLength() - from));
            source.read(sourceName, from, read);
            read.flip();
            ByteBuffer piece = read;
            if (converts) {
                long first = from * 8 / info.dtype().bits();
                HalfConversion.convert(info.dtype(), read, wanted.dtype(), halves.clear(), (index, value) -> {
                    throw new CheckpointException(source.location(sourceName) + ": element " + (first + index)
                            + " of tensor " + sourceName + " is " + value
                            + ", beyond the 65504 of F16: this model cannot be stored in half precision");
                });
                piece = halves.flip();
            }
            int count = piece.remaining();
            sink.accept(to, piece);
            to += count;
        }
    }

    /** A buffer for the pieces of a tensor. */
    static ByteBuffer buffer(long tensorBytes) {
        return ByteBuffer.allocate((int) Math.min(CHUNK, tensorBytes)).order(ByteOrder.LITTLE_ENDIAN);
    }
}
