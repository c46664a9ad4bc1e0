package io.gptq4j.rotation;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.FloatElements;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.ScaledFloats;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Tensors that are rotated while they are read. Rows are independent, so any range of a matrix whose rows are rotated costs
 * no more than its rows. A matrix whose columns are rotated has to be whole: it is computed with the first range that is
 * asked for and let go with its last byte, so that reading it in order costs one computation. Safe for concurrent use.
 */
final class RotatedTensors implements TensorSource {
    /** Most bytes that are asked of the source at a time, which over a network is a request. */
    private static final int PIECE = 16 << 20;

    /** Elements that are rotated together: with their scratch space they fit into a core's cache. */
    private static final int PANEL = 1 << 15;

    private static final int FLOATS = 1 << 14;

    private final TensorSource source;
    private final Rotation rotation;
    /** By the names here; the names in them are the source's. */
    private final Map<String, Change> changes = new HashMap<>();

    private final Map<String, TensorInfo> tensors;
    private @Nullable Whole whole;

    /** A tensor that was computed as a whole. */
    private record Whole(String name, float[] values) {}

    /**
     * Over a source, which is closed with this one.
     *
     * @param changes by canonical name
     * @param storedNames canonical names to the source's; a tensor that is missing there is made anew
     */
    RotatedTensors(
            TensorSource source, Rotation rotation, Map<String, Change> changes, Map<String, String> storedNames) {
        this.source = source;
        this.rotation = rotation;
        Map<String, TensorInfo> infos = new TreeMap<>(source.tensors());
        changes.forEach((name, change) -> {
            Change here = change.renamed(made -> Objects.requireNonNull(storedNames.get(made), made));
            String stored = storedNames.getOrDefault(name, name);
            if (!(here instanceof Change.None)) {
                this.changes.put(stored, here);
                infos.put(
                        stored,
                        new TensorInfo(
                                stored, DType.F32, source.tensor(here.source()).shape()));
            }
        });
        tensors = Collections.unmodifiableMap(infos);
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return tensors;
    }

    @Override
    public DType storedType(String name) {
        return changes.containsKey(name) ? tensor(name).dtype() : source.storedType(name);
    }

    @Override
    public Optional<ScaledFloats> scaled(String name) throws IOException {
        return changes.containsKey(name) ? Optional.empty() : source.scaled(name);
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        Change change = changes.get(name);
        if (change == null) {
            source.read(name, offset, target);
            return;
        }
        tensor(name).requireRange(offset, target.remaining());
        if (change instanceof Change.Rows rows) {
            readRows(rows, offset, target);
        } else {
            readWhole(name, change, offset, target);
        }
    }

    private void readRows(Change.Rows rows, long offset, ByteBuffer target) throws IOException {
        int n = rotation.size();
        double[] factors = rows.norm().isPresent() ? factors(rows.norm().get()) : ones(n);
        ByteBuffer row = littleEndian(n * Float.BYTES);
        long first = offset / row.capacity();
        long end = (offset + target.remaining() + row.capacity() - 1) / row.capacity();
        int skipped = (int) (offset % row.capacity());
        Elements elements = new Elements(rows.source(), first * n, end * n);
        double[] panel = new double[PANEL / n * n + n];
        double[] scratch = panel.clone();
        int most = panel.length / n;
        for (long at = first; at < end; at += most) {
            int count = (int) Math.min(most, end - at);
            for (int c = 0; c < count; c++) {
                for (int i = 0; i < n; i++) {
                    panel[i * count + c] = elements.next() * factors[i];
                }
            }
            rotation.apply(panel, scratch, count);
            for (int c = 0; c < count; c++) {
                row.clear();
                for (int i = 0; i < n; i++) {
                    row.putFloat((float) panel[i * count + c]);
                }
                copy(row, skipped, target);
                skipped = 0;
            }
        }
    }

    private synchronized void readWhole(String name, Change change, long offset, ByteBuffer target) throws IOException {
        float[] values = whole != null && whole.name.equals(name) ? whole.values : compute(name, change);
        boolean toTheEnd = offset + target.remaining() == (long) values.length * Float.BYTES;
        ByteBuffer chunk = littleEndian(FLOATS * Float.BYTES);
        int skipped = (int) (offset % Float.BYTES);
        int next = (int) (offset / Float.BYTES);
        while (target.hasRemaining()) {
            chunk.clear();
            while (chunk.hasRemaining() && next < values.length) {
                chunk.putFloat(values[next++]);
            }
            copy(chunk, skipped, target);
            skipped = 0;
        }
        whole = toTheEnd ? null : new Whole(name, values);
    }

    private float[] compute(String name, Change change) throws IOException {
        whole = null; // before there is another one
        float[] values = new float[Math.toIntExact(tensor(name).elements())];
        if (change instanceof Change.Constant constant) {
            Arrays.fill(values, constant.value());
            return values;
        }
        Elements elements = new Elements(change.source(), 0, values.length);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) elements.next();
        }
        int n = rotation.size();
        int columns = values.length / n;
        int most = Math.min(columns, PANEL / n + 1);
        double[] panel = new double[n * most];
        double[] scratch = panel.clone();
        for (int first = 0; first < columns; first += most) {
            int count = Math.min(most, columns - first);
            for (int i = 0; i < n; i++) {
                for (int c = 0; c < count; c++) {
                    panel[i * count + c] = values[i * columns + first + c];
                }
            }
            rotation.apply(panel, scratch, count);
            for (int i = 0; i < n; i++) {
                for (int c = 0; c < count; c++) {
                    values[i * columns + first + c] = (float) panel[i * count + c];
                }
            }
        }
        return values;
    }

    private double[] factors(Change.Fold norm) throws IOException {
        double[] factors = new double[rotation.size()];
        Elements elements = new Elements(norm.weight(), 0, factors.length);
        for (int i = 0; i < factors.length; i++) {
            factors[i] = norm.offset() + elements.next();
        }
        return factors;
    }

    private static double[] ones(int count) {
        double[] ones = new double[count];
        Arrays.fill(ones, 1);
        return ones;
    }

    /** What is in {@code from} after some bytes, as far as there is room. */
    private static void copy(ByteBuffer from, int skipped, ByteBuffer target) {
        from.flip().position(skipped);
        from.limit(Math.min(from.limit(), skipped + target.remaining()));
        target.put(from);
    }

    private static ByteBuffer littleEndian(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** A range of a tensor of the source, element by element. */
    private final class Elements {
        private final TensorInfo info;
        private final long end; // in bytes
        private final ByteBuffer piece;
        private long read;

        Elements(String name, long first, long end) {
            info = source.tensor(name);
            int width = info.dtype().bits() / Byte.SIZE;
            this.end = end * width;
            read = first * width;
            piece = littleEndian((int) Math.min(PIECE, this.end - read)).limit(0);
        }

        double next() throws IOException {
            if (!piece.hasRemaining()) {
                piece.clear().limit((int) Math.min(piece.capacity(), end - read));
                source.read(info.name(), read, piece);
                read += piece.flip().remaining();
            }
            double value = FloatElements.next(info.dtype(), piece);
            if (!Double.isFinite(value)) {
                throw new CheckpointException("Tensor " + info.name() + " in " + source.location(info.name())
                        + " holds " + value + "; the checkpoint is damaged");
            }
            return value;
        }
    }

    @Override
    public String location(String name) {
        Change change = changes.get(name);
        return source.location(change == null ? name : change.source());
    }

    @Override
    public void close() throws IOException {
        source.close();
    }
}
