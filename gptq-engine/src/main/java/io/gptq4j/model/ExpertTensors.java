package io.gptq4j.model;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.ScaledFloats;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Experts under names of their own where a checkpoint has them stacked, as transformers 5 keeps them in memory: {@code
 * experts.gate_up_proj} [E, 2 * inner, C] (gate first) and {@code experts.down_proj} [E, C, inner], with or without {@code
 * .weight}, or gate and up in a stack each; or with the last two dimensions exchanged; or as {@code input_linear} and {@code
 * output_linear} beside the router. Of a stack only the bytes of the expert that is asked for are read. Whatever a family calls
 * its block of experts, transformers 5 calls it {@code mlp}; those names are found, too. Safe for concurrent use.
 */
final class ExpertTensors implements TensorSource {
    private static final String WEIGHT = ".weight";

    /** Most bytes that are asked of the source at a time, which over a network is a request. */
    private static final int PIECE = 16 << 20;

    private final TensorSource source;
    private final Map<String, Slice> slices = new HashMap<>();
    private final Set<String> taken = new HashSet<>();
    private final Map<String, TensorInfo> tensors = new TreeMap<>();
    private @Nullable Slab last;

    /**
     * A matrix [rows, columns] within a tensor of the source, which consists of slabs.
     *
     * @param slab which of them
     * @param first the matrix's first row in it, or its first column if it is transposed
     * @param transposed whether the slab is [columns, slabRows], not [slabRows, columns]
     */
    private record Slice(
            String stored, long slab, long slabRows, long first, long rows, long columns, boolean transposed) {}

    /** A transposed slab that was read, so that gate and up cost one reading. */
    private record Slab(String stored, long number, List<ByteBuffer> pieces) {}

    private ExpertTensors(TensorSource source) {
        this.source = source;
    }

    /**
     * The same tensors with stacked experts of the architecture apart; the source itself if there are none.
     *
     * @throws CheckpointException if a stack does not fit the experts, or could be meant either way round
     */
    static TensorSource over(TensorSource source, Architecture architecture) throws CheckpointException {
        ExpertTensors result = new ExpertTensors(source);
        for (int layer = 0; layer < architecture.layers(); layer++) {
            if (architecture.block(layer).mlp() instanceof Mlp.Experts moe) {
                result.add(architecture, layer, moe);
            }
        }
        if (result.slices.isEmpty()) {
            return source;
        }
        source.tensors().forEach((name, info) -> {
            if (!result.taken.contains(name)) {
                result.tensors.put(name, info);
            }
        });
        result.slices.forEach((name, slice) -> result.tensors.put(
                name, TensorInfo.of(name, source.tensor(slice.stored()).dtype(), slice.rows(), slice.columns())));
        return result;
    }

    private void add(Architecture architecture, int layer, Mlp.Experts moe) throws CheckpointException {
        Mlp.Dense first = moe.experts().get(0);
        if (first.inputs().size() != 2
                || find(architecture, layer, first.output().name() + WEIGHT).isPresent()) {
            return;
        }
        Linear gate = first.inputs().get(0);
        String own = parent(parent(gate.name()));
        for (String path : List.of(own, "mlp.experts")) {
            Optional<TensorInfo> down = find(architecture, layer, path + ".down_proj")
                    .or(() -> find(architecture, layer, parent(path) + ".output_linear"));
            Optional<TensorInfo> fused = find(architecture, layer, path + ".gate_up_proj")
                    .or(() -> find(architecture, layer, parent(path) + ".input_linear"));
            Optional<TensorInfo> gates = find(architecture, layer, path + ".gate_proj");
            Optional<TensorInfo> ups = find(architecture, layer, path + ".up_proj");
            if (down.isPresent() && fused.isPresent()) {
                boolean transposed =
                        transposed(moe, List.of(fused.get(), down.get()), List.of(2L * gate.out(), (long) gate.in()));
                for (int e = 0; e < moe.experts().size(); e++) {
                    List<Linear> inputs = moe.experts().get(e).inputs();
                    slice(architecture, layer, inputs.get(0), fused.get(), e, 2L * gate.out(), 0, transposed);
                    slice(architecture, layer, inputs.get(1), fused.get(), e, 2L * gate.out(), gate.out(), transposed);
                }
                downs(architecture, layer, moe, down.get(), transposed);
            } else if (down.isPresent() && gates.isPresent() && ups.isPresent()) {
                boolean transposed = transposed(
                        moe,
                        List.of(gates.get(), ups.get(), down.get()),
                        List.of((long) gate.out(), (long) gate.out(), (long) gate.in()));
                for (int e = 0; e < moe.experts().size(); e++) {
                    List<Linear> inputs = moe.experts().get(e).inputs();
                    slice(architecture, layer, inputs.get(0), gates.get(), e, gate.out(), 0, transposed);
                    slice(architecture, layer, inputs.get(1), ups.get(), e, gate.out(), 0, transposed);
                }
                downs(architecture, layer, moe, down.get(), transposed);
            } else {
                continue;
            }
            if (find(architecture, layer, moe.router().name() + WEIGHT).isEmpty()) {
                Optional<TensorInfo> router = find(architecture, layer, parent(path) + ".gate")
                        .or(() -> find(architecture, layer, parent(path) + ".router"));
                if (router.isPresent() && router.get().shape().size() == 2) {
                    long rows = router.get().shape().get(0);
                    put(
                            architecture.inBlock(layer, moe.router().name()),
                            new Slice(
                                    router.get().name(),
                                    0,
                                    rows,
                                    0,
                                    rows,
                                    router.get().shape().get(1),
                                    false));
                }
            }
            return;
        }
    }

    private void downs(Architecture architecture, int layer, Mlp.Experts moe, TensorInfo stack, boolean transposed) {
        for (int e = 0; e < moe.experts().size(); e++) {
            Linear output = moe.experts().get(e).output();
            slice(architecture, layer, output, stack, e, output.out(), 0, transposed);
        }
    }

    private void slice(
            Architecture architecture,
            int layer,
            Linear module,
            TensorInfo stack,
            int expert,
            long slabRows,
            long first,
            boolean transposed) {
        put(
                architecture.inBlock(layer, module.name()),
                new Slice(stack.name(), expert, slabRows, first, module.out(), module.in(), transposed));
    }

    private void put(String module, Slice slice) {
        slices.put(module + WEIGHT, slice);
        taken.add(slice.stored());
    }

    /** Which way round stacks are, whose matrices have so many rows, from all their shapes together. */
    private boolean transposed(Mlp.Experts moe, List<TensorInfo> stacks, List<Long> rows) throws CheckpointException {
        long count = moe.experts().size();
        long inner = moe.experts().get(0).output().in();
        long hidden = moe.experts().get(0).output().out();
        boolean straight = true;
        boolean turned = true;
        for (int i = 0; i < stacks.size(); i++) {
            long columns = i == stacks.size() - 1 ? inner : hidden;
            straight &= stacks.get(i).shape().equals(List.of(count, rows.get(i), columns));
            turned &= stacks.get(i).shape().equals(List.of(count, columns, rows.get(i)));
        }
        TensorInfo first = stacks.get(0);
        if (!straight && !turned) {
            throw new CheckpointException("The stacked experts " + first.name() + " in "
                    + source.location(first.name()) + " have shape " + first.shape() + " and "
                    + stacks.get(stacks.size() - 1).name() + " "
                    + stacks.get(stacks.size() - 1).shape() + "; config.json makes them " + count
                    + " experts from " + hidden + " to " + inner + " channels and back");
        }
        if (straight && turned) {
            throw new CheckpointException("The stacked experts " + first.name() + " in "
                    + source.location(first.name()) + " have square matrices " + first.shape()
                    + ", so that it cannot be told whether they are stored [out, in] or [in, out]; save them one by one,"
                    + " as experts.0.gate_proj.weight and so on");
        }
        return turned;
    }

    /** A tensor of a block, with the base prefix or without, and with {@code .weight} or without. */
    private Optional<TensorInfo> find(Architecture architecture, int layer, String name) {
        return architecture.storedNames(architecture.inBlock(layer, name)).stream()
                .flatMap(path -> Stream.of(path, path + WEIGHT))
                .filter(source.tensors()::containsKey)
                .findFirst()
                .map(source::tensor);
    }

    private static String parent(String path) {
        return path.substring(0, path.lastIndexOf('.'));
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** Slices of a stack come decoded: their blocks may begin within one of the stack. */
    @Override
    public Optional<ScaledFloats> scaled(String name) throws IOException {
        return slices.containsKey(name) ? Optional.empty() : source.scaled(name);
    }

    @Override
    public DType storedType(String name) {
        Slice slice = slices.get(name);
        return source.storedType(slice == null ? name : slice.stored());
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        TensorInfo info = tensor(name);
        Slice slice = slices.get(name);
        if (slice == null) {
            source.read(name, offset, target);
            return;
        }
        info.requireRange(offset, target.remaining());
        int width = info.dtype().bits() / Byte.SIZE;
        if (slice.transposed()) {
            turn(slice, width, offset, target);
        } else {
            long start = (slice.slab() * slice.slabRows() + slice.first()) * slice.columns() * width;
            source.read(slice.stored(), start + offset, target);
        }
    }

    private void turn(Slice slice, int width, long offset, ByteBuffer target) throws IOException {
        List<ByteBuffer> pieces = slab(slice, width).pieces();
        int rowBytes = Math.toIntExact(slice.slabRows() * width);
        int perPiece = Math.max(1, PIECE / rowBytes); // rows of the slab, which are columns of the matrix
        long element = offset / width;
        int skipped = (int) (offset % width);
        ByteBuffer out = target.duplicate(); // in the byte order of the pieces
        while (out.hasRemaining()) {
            int place = Math.toIntExact((slice.first() + element / slice.columns()) * width); // in each row of the slab
            int column = Math.toIntExact(element % slice.columns());
            for (; column < slice.columns() && out.hasRemaining(); column++, element++) {
                ByteBuffer piece = pieces.get(column / perPiece);
                int at = column % perPiece * rowBytes + place + skipped;
                int count = Math.min(width - skipped, out.remaining());
                if (count == Float.BYTES) {
                    out.putInt(piece.getInt(at));
                } else if (count == Short.BYTES) {
                    out.putShort(piece.getShort(at));
                } else {
                    out.put(out.position(), piece, at, count);
                    out.position(out.position() + count);
                }
                skipped = 0;
            }
        }
        target.position(out.position());
    }

    private synchronized Slab slab(Slice slice, int width) throws IOException {
        Slab known = last;
        if (known != null && known.stored().equals(slice.stored()) && known.number() == slice.slab()) {
            return known;
        }
        last = null; // before there is another one
        long rowBytes = slice.slabRows() * width;
        long pieceBytes = Math.max(1, PIECE / rowBytes) * rowBytes;
        long size = slice.columns() * rowBytes;
        List<ByteBuffer> pieces = new ArrayList<>();
        for (long at = 0; at < size; at += pieceBytes) {
            ByteBuffer piece = ByteBuffer.allocate(Math.toIntExact(Math.min(pieceBytes, size - at)));
            source.read(slice.stored(), slice.slab() * size + at, piece);
            pieces.add(piece.flip());
        }
        last = new Slab(slice.stored(), slice.slab(), pieces);
        return last;
    }

    @Override
    public String location(String name) {
        Slice slice = slices.get(name);
        return source.location(slice == null ? name : slice.stored());
    }

    @Override
    public void close() throws IOException {
        source.close();
    }
}
