package io.gptq4j.checkpoint;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.ScaledFloats;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Weights that are stored as 8-bit floats with scales, as the float32 numbers they stand for: each element times the scale of
 * its block, which is exact but for the one rounding of the product. The scales belong to the weights and are not seen.
 *
 * <p>A weight NAME has its scales in {@code NAME_scale_inv}, as DeepSeek-V3 calls them although they multiply, or in {@code
 * NAME_scale}: one for all, one for each row, or one for each block [ceil(rows / block rows), ceil(columns / block columns)]; a
 * stack of matrices has as many of each. Scales of activations and of caches are for servers that compute in 8 bits, and are
 * left out. Safe for concurrent use.
 */
final class Fp8Tensors implements TensorSource {
    /** Elements that are decoded at a time. */
    private static final int PIECE = 1 << 20;

    private static final List<String> FOR_ACTIVATIONS =
            List.of("input_scale", "input_scale_ub", "activation_scale", ".k_scale", ".v_scale", ".output_scale");
    private static final float[] VALUES = new float[256];

    static {
        for (int bits = 0; bits < VALUES.length; bits++) {
            // no infinities; all ones is the only NaN of either sign
            VALUES[bits] = (bits & 0x7f) == 0x7f ? Float.NaN : smallFloat(bits & 0x7f, 3, 7, (bits & 0x80) != 0);
        }
    }

    private final TensorSource source;
    private final Map<String, Encoded> encoded = new HashMap<>();
    private final Map<String, TensorInfo> tensors;
    private volatile @Nullable Scales last;

    /**
     * Where the scales of a weight lie and what each is for.
     *
     * @param rows of one matrix
     * @param columns of one matrix
     * @param blockRows rows that share a scale
     * @param blockColumns columns that share a scale
     */
    private record Encoded(TensorInfo scale, long rows, long columns, long blockRows, long blockColumns) {
        long scalesPerRow() {
            return blocks(columns, blockColumns);
        }

        long scalesPerMatrix() {
            return blocks(rows, blockRows) * scalesPerRow();
        }
    }

    /** The scales of the tensor that was read last. */
    private record Scales(String name, float[] values) {}

    private Fp8Tensors(TensorSource source, Map<String, TensorInfo> tensors) {
        this.source = source;
        this.tensors = tensors;
    }

    /**
     * Over a source, which is closed with this one.
     *
     * @throws CheckpointException if a tensor has another 8-bit type than E4M3, no scales, or scales that do not fit it
     */
    static Fp8Tensors over(TensorSource source, Fp8Scheme scheme) throws CheckpointException {
        Map<String, TensorInfo> tensors = new TreeMap<>();
        Fp8Tensors result = new Fp8Tensors(source, Collections.unmodifiableMap(tensors));
        for (TensorInfo info : source.tensors().values()) {
            switch (info.dtype()) {
                case F8_E4M3 -> result.encoded.put(info.name(), result.encoded(info, scheme));
                case F8_E5M2, F8_E5M2FNUZ, F8_E4M3FNUZ, F4, F6_E2M3, F6_E3M2 ->
                    throw result.error(info, "is " + info.dtype() + "; of the small floats only F8_E4M3 can be read");
                default -> {}
            }
        }
        Set<String> scales = result.encoded.values().stream()
                .map(weight -> weight.scale().name())
                .collect(Collectors.toSet());
        for (TensorInfo info : source.tensors().values()) {
            String name = info.name();
            if (!scales.contains(name) && FOR_ACTIVATIONS.stream().noneMatch(name::endsWith)) {
                boolean decoded = result.encoded.containsKey(name);
                tensors.put(name, decoded ? new TensorInfo(name, DType.F32, info.shape()) : info);
            }
        }
        return result;
    }

    private Encoded encoded(TensorInfo weight, Fp8Scheme scheme) throws CheckpointException {
        TensorInfo scale = source.tensors().get(weight.name() + "_scale_inv");
        if (scale == null) {
            scale = source.tensors().get(weight.name() + "_scale");
        }
        if (scale == null) {
            throw error(weight, "is F8_E4M3, but there is no " + weight.name() + "_scale_inv and no _scale for it");
        }
        List<Long> shape = weight.shape();
        int rank = shape.size();
        long columns = rank == 0 ? 1 : shape.get(rank - 1);
        long rows = rank < 2 ? 1 : shape.get(rank - 2);
        if (scale.elements() == 1) {
            long all = columns == 0 ? 0 : weight.elements() / columns;
            return new Encoded(scale, Math.max(1, all), columns, Math.max(1, all), columns);
        }
        if (rank >= 2) {
            List<Long> matrices = shape.subList(0, rank - 2);
            List<Long> perRow = shape.subList(0, rank - 1);
            if (scale.shape().equals(perRow) || scale.shape().equals(with(perRow, 1))) {
                return new Encoded(scale, rows, columns, 1, columns);
            }
            if (scale.shape().equals(with(matrices, 1, 1))) {
                return new Encoded(scale, rows, columns, rows, columns);
            }
            if (scheme.blockRows() > 0) {
                long down = blocks(rows, scheme.blockRows());
                if (scale.shape().equals(with(matrices, down, blocks(columns, scheme.blockColumns())))) {
                    return new Encoded(scale, rows, columns, scheme.blockRows(), scheme.blockColumns());
                }
            }
        }
        throw error(
                weight,
                "has shape " + weight.shape() + " and its scales " + scale.name() + " " + scale.shape() + ", "
                        + (scheme.blockRows() > 0
                                ? "expected one for each block of " + scheme.blockRows() + " by "
                                        + scheme.blockColumns()
                                : "expected one, or one for each row, as config.json says nothing of blocks"));
    }

    private static List<Long> with(List<Long> leading, long... more) {
        return LongStream.concat(leading.stream().mapToLong(Long::longValue), LongStream.of(more))
                .boxed()
                .toList();
    }

    /** How many blocks there are, the last of which may be cut off. */
    private static long blocks(long size, long blockSize) {
        return (size + blockSize - 1) / blockSize;
    }

    private CheckpointException error(TensorInfo tensor, String what) {
        return new CheckpointException(
                "Tensor " + tensor.name() + " in " + source.location(tensor.name()) + " " + what);
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return tensors;
    }

    @Override
    public DType storedType(String name) {
        return encoded.containsKey(name) ? DType.F8_E4M3 : source.storedType(name);
    }

    @Override
    public Optional<ScaledFloats> scaled(String name) throws IOException {
        Encoded weight = encoded.get(name);
        return weight == null
                ? Optional.empty()
                : Optional.of(new ScaledFloats(
                        (offset, target) -> source.read(name, offset, target),
                        scales(name, weight),
                        weight.rows(),
                        weight.columns(),
                        weight.blockRows(),
                        weight.blockColumns()));
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        Encoded weight = encoded.get(name);
        if (weight == null) {
            tensor(name); // scales are not to be had
            source.read(name, offset, target);
            return;
        }
        tensor(name).requireRange(offset, target.remaining());
        float[] scales = scales(name, weight);
        long next = offset / Float.BYTES;
        long end = (offset + target.remaining() + Float.BYTES - 1) / Float.BYTES;
        int most = (int) Math.min(PIECE, end - next);
        ByteBuffer raw = ByteBuffer.allocate(most);
        ByteBuffer floats = ByteBuffer.allocate(most * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        int skipped = (int) (offset % Float.BYTES);
        while (next < end) {
            raw.clear().limit((int) Math.min(most, end - next));
            source.read(name, next, raw);
            decode(weight, scales, next, raw.flip(), floats.clear());
            next += raw.limit();
            floats.flip().position(skipped);
            floats.limit(Math.min(floats.limit(), skipped + target.remaining()));
            target.put(floats);
            skipped = 0;
        }
    }

    /** Decodes the elements from {@code first} on, run by run of those in one row that share a scale. */
    private static void decode(Encoded weight, float[] scales, long first, ByteBuffer raw, ByteBuffer floats) {
        long element = first;
        while (raw.hasRemaining()) {
            long row = element / weight.columns();
            long column = element % weight.columns();
            long block = row / weight.rows() * weight.scalesPerMatrix()
                    + row % weight.rows() / weight.blockRows() * weight.scalesPerRow()
                    + column / weight.blockColumns();
            float scale = scales[Math.toIntExact(block)];
            long ends = Math.min(weight.columns(), (column / weight.blockColumns() + 1) * weight.blockColumns());
            int run = (int) Math.min(raw.remaining(), ends - column);
            for (int i = 0; i < run; i++) {
                floats.putFloat(VALUES[raw.get() & 0xff] * scale);
            }
            element += run;
        }
    }

    private float[] scales(String name, Encoded weight) throws IOException {
        Scales known = last;
        if (known != null && known.name.equals(name)) {
            return known.values;
        }
        TensorInfo info = weight.scale();
        ByteBuffer bytes =
                ByteBuffer.allocate(Math.toIntExact(info.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
        source.read(info.name(), 0, bytes);
        bytes.flip();
        float[] values = new float[Math.toIntExact(info.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (info.dtype()) {
                case F32 -> bytes.getFloat();
                case F64 -> (float) bytes.getDouble();
                case BF16 -> Float.intBitsToFloat(bytes.getShort() << 16);
                case F16 -> Half.toFloat(bytes.getShort());
                case F8_E8M0 -> (float) Math.scalb(1.0, (bytes.get() & 0xff) - 127);
                default -> throw error(info, "is " + info.dtype() + "; scales must be floats");
            };
            if (!Float.isFinite(values[i])) {
                throw error(info, "holds " + values[i] + "; the checkpoint is damaged");
            }
        }
        last = new Scales(name, values);
        return values;
    }

    /** A finite float of few bits, whose sign bit is taken off. */
    private static float smallFloat(int bits, int fractionBits, int bias, boolean negative) {
        int exponent = bits >>> fractionBits;
        int fraction = bits & ((1 << fractionBits) - 1);
        int whole = exponent == 0 ? fraction : fraction + (1 << fractionBits);
        float magnitude = Math.scalb((float) whole, Math.max(1, exponent) - bias - fractionBits);
        return negative ? -magnitude : magnitude;
    }

    @Override
    public String location(String name) {
        return source.location(name);
    }

    @Override
    public void close() throws IOException {
        source.close();
    }
}
