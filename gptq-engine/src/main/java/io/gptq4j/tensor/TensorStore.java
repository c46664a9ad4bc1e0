package io.gptq4j.tensor;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps tensors that nobody computes with at the moment: on the device as long as its budget lasts, then in host memory,
 * then in a scratch file. Where a tensor was does not change its value. Belongs to one session's thread, or to its {@link Halves}.
 */
public final class TensorStore implements AutoCloseable {
    private final Scope scope;
    private final Budget budget;
    private long onDevice;
    private long onHost;
    private @Nullable FileChannel file;
    private long fileEnd;
    private long peakFile;
    private final Set<Tensor> hosted = new HashSet<>();
    private final Map<Long, Deque<Long>> free = new HashMap<>(); // regions of the file by length

    /**
     * How much may be kept where.
     *
     * @param deviceBytes on a GPU; of no meaning on a CPU
     * @param hostBytes in host memory
     * @param scratch the directory of the scratch file, which has no name there and is gone with the process
     */
    public record Budget(long deviceBytes, long hostBytes, Path scratch) {
        /** Checks the numbers. */
        public Budget {
            if (deviceBytes < 0 || hostBytes < 0) {
                throw new IllegalArgumentException("A budget cannot be negative: " + deviceBytes + " on the device, "
                        + hostBytes + " on the host");
            }
        }
    }

    /** A store for tensors of {@code scope}'s device. */
    public TensorStore(Scope scope, Budget budget) {
        this.scope = scope.child();
        this.budget = budget;
    }

    /** A tensor in a store. */
    public abstract static class Kept {
        private Kept() {}

        /**
         * Takes the tensor out of the store; once.
         *
         * @param target owns it from now on
         * @throws IOException if the scratch file cannot be read
         */
        public abstract Tensor take(Scope target) throws IOException;
    }

    /**
     * Puts a tensor in; it belongs to the store from now on.
     *
     * @throws IOException if the scratch file cannot be written, for want of space for example
     */
    public Kept put(Tensor tensor) throws IOException {
        long[] shape = tensor.shape();
        long[] kind; // torch's number of the type, and bytes per element
        try (Tensor answer = scope.call("tensors", "type_and_width", tensor)) {
            kind = answer.toLongs();
        }
        long bytes = Arrays.stream(shape).reduce(kind[1], Math::multiplyExact);
        if (reserved(bytes)) {
            return onDevice(tensor, bytes);
        }
        try (tensor;
                Scope step = scope.child()) {
            Tensor encoded = step.call("tensors", "to_bytes", tensor).toHost(step);
            int type = (int) kind[0];
            return reservedOnHost(encoded, bytes)
                    ? onHost(encoded, bytes, type, shape)
                    : inFile(encoded, bytes, type, shape);
        }
    }

    private synchronized boolean reserved(long bytes) {
        boolean fits = onDevice + bytes <= (scope.isGpu() ? budget.deviceBytes : budget.hostBytes);
        onDevice += fits ? bytes : 0;
        return fits;
    }

    private synchronized boolean reservedOnHost(Tensor encoded, long bytes) {
        boolean fits = scope.isGpu() && onHost + bytes <= budget.hostBytes;
        if (fits) {
            onHost += bytes;
            hosted.add(encoded);
        }
        return fits;
    }

    private Kept onDevice(Tensor tensor, long bytes) {
        tensor.moveTo(scope);
        return new Kept() {
            @Override
            public Tensor take(Scope target) {
                synchronized (TensorStore.this) {
                    onDevice -= bytes;
                }
                return tensor.moveTo(target);
            }
        };
    }

    private Kept onHost(Tensor encoded, long bytes, int type, long[] shape) {
        return new Kept() {
            @Override
            public Tensor take(Scope target) {
                synchronized (TensorStore.this) {
                    onHost -= bytes;
                    hosted.remove(encoded);
                }
                try (encoded) {
                    return decoded(target, encoded, type, shape);
                }
            }
        };
    }

    private Kept inFile(Tensor encoded, long bytes, int type, long[] shape) throws IOException {
        long region = region(bytes);
        try (encoded) {
            FileChannel channel = channel();
            encoded.forEachPart(scope.chunk(), (offset, part) -> write(channel, region + offset, part));
        }
        return new Kept() {
            @Override
            public Tensor take(Scope target) throws IOException {
                FileChannel channel = channel();
                try (Tensor bytesRead =
                        target.hostBytes(bytes, (offset, part) -> read(channel, region + offset, part))) {
                    synchronized (TensorStore.this) {
                        free.computeIfAbsent(bytes, length -> new ArrayDeque<>())
                                .push(region);
                    }
                    return decoded(target, bytesRead, type, shape);
                }
            }
        };
    }

    private static Tensor decoded(Scope target, Tensor host, int type, long[] shape) {
        try (Scope step = target.child()) {
            return target.call("tensors", "decode_as", host.copyTo(step), type, type, shape);
        }
    }

    /** Bytes in memory now, on the device and the host together. */
    public synchronized long inMemory() {
        return onDevice + onHost;
    }

    /** The largest size that the scratch file had. */
    public long peakFile() {
        return peakFile;
    }

    private synchronized long region(long bytes) {
        Deque<Long> regions = free.get(bytes);
        if (regions != null && !regions.isEmpty()) {
            return regions.pop();
        }
        long start = fileEnd;
        fileEnd = Math.addExact(fileEnd, bytes);
        peakFile = Math.max(peakFile, fileEnd);
        return start;
    }

    private synchronized FileChannel channel() throws IOException {
        if (file == null) {
            Path path = Files.createTempFile(budget.scratch, ".gptq4j-states", ".tmp");
            file = FileChannel.open(
                    path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE);
        }
        return file;
    }

    private static void read(FileChannel channel, long position, ByteBuffer part) throws IOException {
        for (long at = position; part.hasRemaining(); ) {
            int count = channel.read(part, at);
            if (count < 0) {
                throw new EOFException("The scratch file of hidden states ends at byte " + at);
            }
            at += count;
        }
    }

    private void write(FileChannel channel, long position, ByteBuffer part) throws IOException {
        try {
            for (long at = position; part.hasRemaining(); ) {
                at += channel.write(part, at);
            }
        } catch (IOException e) {
            throw new IOException(
                    "Cannot write hidden states to a scratch file in " + budget.scratch + " (" + fileEnd
                            + " bytes so far): " + e.getMessage() + "; use --scratch with a directory that has more"
                            + " space, fewer windows, or a larger --states-memory",
                    e);
        }
    }

    @Override
    public void close() throws IOException {
        scope.close();
        hosted.forEach(Tensor::close);
        if (file != null) {
            file.close();
        }
    }
}
