package io.gptq4j.checkpoint;

import io.gptq4j.internal.Closing;
import io.gptq4j.internal.FileChannels;
import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * A source that is slow to read, with a scratch file for what a run reads more than once: embedding, head, norms and biases.
 * Each of these is fetched when it is first asked for. The matrices of blocks are read once, in order, and pass through.
 *
 * <p>The scratch file has no name while it is used, or vanishes when its process does, so that nothing is left of it.
 */
final class KeptTensors implements TensorSource {
    private static final int PIECE = 32 << 20;

    private final TensorSource source;
    private final FileChannel scratch;
    /** Where each tensor that was fetched begins. */
    private final Map<String, Long> places = new HashMap<>();

    private long end;

    private KeptTensors(TensorSource source, FileChannel scratch) {
        this.source = source;
        this.scratch = scratch;
    }

    /** Over a source, which is closed with this one, and if this call fails. */
    static KeptTensors over(TensorSource source, Path folder) throws IOException {
        try {
            Files.createDirectories(folder);
            return new KeptTensors(
                    source,
                    FileChannel.open(
                            folder.resolve(".weights-" + UUID.randomUUID() + ".tmp"),
                            StandardOpenOption.CREATE_NEW,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE,
                            StandardOpenOption.DELETE_ON_CLOSE));
        } catch (IOException | RuntimeException e) {
            Closing.after(e, source);
            throw e;
        }
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return source.tensors();
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        TensorInfo info = tensor(name);
        if (isBlockMatrix(info)) {
            source.read(name, offset, target);
            return;
        }
        if (offset < 0 || offset > info.byteLength() - target.remaining()) {
            throw new IllegalArgumentException("Bytes " + offset + " to " + (offset + target.remaining()) + " leave "
                    + Messages.quote(name) + " of " + info.byteLength() + " bytes");
        }
        FileChannels.readFully(scratch, place(info) + offset, target);
    }

    /** Two or more dimensions, and a name like {@code model.layers.7.mlp.up_proj.weight}, as all families have it. */
    private static boolean isBlockMatrix(TensorInfo info) {
        return info.shape().size() > 1 && info.name().matches("(.*\\.)?\\d+\\..*");
    }

    private synchronized long place(TensorInfo info) throws IOException {
        Long known = places.get(info.name());
        if (known != null) {
            return known;
        }
        long place = end;
        ByteBuffer piece = ByteBuffer.allocateDirect((int) Math.min(PIECE, info.byteLength()));
        for (long offset = 0; offset < info.byteLength(); offset += piece.limit()) {
            piece.clear().limit((int) Math.min(piece.capacity(), info.byteLength() - offset));
            source.read(info.name(), offset, piece);
            FileChannels.writeFully(scratch, place + offset, piece.flip());
        }
        places.put(info.name(), place);
        end = place + info.byteLength();
        return place;
    }

    @Override
    public String location(String name) {
        return source.location(name);
    }

    @Override
    public void close() throws IOException {
        Closing.all(List.of(source, scratch));
    }
}
