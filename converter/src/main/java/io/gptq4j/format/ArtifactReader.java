package io.gptq4j.format;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads the quantized modules of an artifact, its own or a foreign one. Shapes and dtypes of all modules are checked
 * against each other and against the configuration when it is made; one module is in memory at a time.
 *
 * <p>More lenient than kernels: scales may be F16, BF16 or F32 (see {@link #read}); dimensions need not be multiples of
 * 32 as long as they fill whole words; without a {@code g_idx}, input i belongs to group i / groupSize, as AutoGPTQ's
 * oldest files mean it, although TGI refuses them. A {@code g_idx} is obeyed whatever {@code desc_act} says.
 *
 * <p>Safe for concurrent use. The checkpoint stays the caller's to close.
 */
public final class ArtifactReader {
    private static final String QWEIGHT = ".qweight";
    /** Bytes per read; a longer row is still read whole. */
    private static final int CHUNK = 8 << 20;
    /** Inputs or outputs of a module whose row of 32-bit words still fits a buffer. */
    private static final int LARGEST = Integer.MAX_VALUE / Integer.BYTES;

    private final TensorSource tensors;
    private final QuantizeConfig config;
    private final Set<String> modules = new TreeSet<>(TensorNames.NATURAL_ORDER);

    private ArtifactReader(TensorSource tensors, QuantizeConfig config) {
        this.tensors = tensors;
        this.config = config;
    }

    /** Whether a checkpoint is quantized, by its configuration or by its tensors; not whether it can be read. */
    public static boolean isArtifact(Checkpoint checkpoint) {
        return checkpoint.config().has(QuantizeConfig.CONFIG_KEY)
                || checkpoint.tensors().tensors().keySet().stream().anyMatch(name -> name.endsWith(QWEIGHT));
    }

    /**
     * Finds and checks the quantized modules of a checkpoint.
     *
     * @throws CheckpointException if its configuration cannot be read, see {@link QuantizeConfig#read}, if it has no
     *     quantized module, or if a module's tensors do not fit together
     * @throws IOException if a file cannot be read
     */
    public static ArtifactReader of(Checkpoint checkpoint) throws IOException {
        QuantizeConfig config = QuantizeConfig.read(checkpoint.directory(), checkpoint.config());
        ArtifactReader reader = new ArtifactReader(checkpoint.tensors(), config);
        for (String tensor : reader.tensors.tensors().keySet()) {
            if (tensor.endsWith(QWEIGHT)) {
                String module = tensor.substring(0, tensor.length() - QWEIGHT.length());
                reader.shape(module);
                reader.modules.add(module);
            }
        }
        if (reader.modules.isEmpty()) {
            throw new CheckpointException(checkpoint.directory() + " says it is quantized, but no tensor is named *"
                    + QWEIGHT + ": expected the weights of a GPTQ artifact");
        }
        return reader;
    }

    /** One module of files that need not be complete, see {@link #read(String)}. */
    static QuantizedLinear read(TensorSource tensors, QuantizeConfig config, String module) throws IOException {
        ArtifactReader reader = new ArtifactReader(tensors, config);
        reader.modules.add(module);
        return reader.read(module);
    }

    /** How the artifact was quantized. */
    public QuantizeConfig config() {
        return config;
    }

    /** Paths of the quantized modules, in natural order: block 2 before block 10. */
    public List<String> modules() {
        return List.copyOf(modules);
    }

    /**
     * Reads and unpacks one module. F32 and BF16 scales are rounded to binary16, as TGI does with F32 ones, because that
     * is what its kernels compute with.
     *
     * @param module one of {@link #modules()}
     * @throws IllegalArgumentException if it is none of them
     * @throws CheckpointException if a group index is out of range or a scale overflows binary16
     * @throws IOException if the tensors cannot be read
     */
    public QuantizedLinear read(String module) throws IOException {
        if (!modules.contains(module)) {
            throw new IllegalArgumentException("There is no quantized module " + module);
        }
        Shape shape = shape(module);
        int[][] qweight = ints(module + QWEIGHT);
        int[][] qzeros = ints(module + ".qzeros");
        short[][] scales = scales(module + ".scales");
        int[] gIdx = gIdx(module, shape.in());
        try {
            QuantizeConfig own = config.forModule(module);
            PackedLinear packed = new PackedLinear(module, own.bits(), own.groupSize(), qweight, qzeros, scales, gIdx);
            return Packing.unpack(packed, own.checkpointFormat());
        } catch (IllegalArgumentException e) {
            throw new CheckpointException(tensors.location(module + QWEIGHT) + ": " + e.getMessage(), e);
        }
    }

    private record Shape(int in, int out, int groups) {}

    /** Shape of a module, all its tensors checked. */
    private Shape shape(String module) throws CheckpointException {
        QuantizeConfig own = config.forModule(module);
        int bits = own.bits();
        TensorInfo qweight = tensor(module + QWEIGHT, 2, DType.I32);
        long rows = qweight.shape().get(0);
        long out = qweight.shape().get(1);
        if (rows == 0 || out == 0 || rows * 32 % bits != 0 || rows * 32 / bits > LARGEST || out > LARGEST) {
            throw misfit(qweight, "no matrix of " + bits + "-bit codes packed along the inputs has this shape");
        }
        int in = (int) (rows * 32 / bits);
        int groups = QuantizedLinear.groups(in, own.groupSize());
        TensorInfo scales = tensor(module + ".scales", 2, DType.F16, DType.BF16, DType.F32);
        require(scales, own, groups, out);
        if (out * bits % 32 != 0) {
            throw misfit(
                    qweight, out + " outputs of " + bits + " bits fill no whole words, so some have no zero point");
        }
        require(tensor(module + ".qzeros", 2, DType.I32), own, groups, out * bits / 32);
        if (tensors.tensors().containsKey(module + ".g_idx")) {
            require(tensor(module + ".g_idx", 1, DType.I32), own, in);
        }
        return new Shape(in, (int) out, groups);
    }

    private TensorInfo tensor(String name, int dimensions, DType... dtypes) throws CheckpointException {
        TensorInfo info = tensors.tensors().get(name);
        if (info == null) {
            String module = name.substring(0, name.lastIndexOf('.'));
            throw new CheckpointException(
                    "Tensor " + name + " is missing, although " + tensors.location(module + QWEIGHT) + " has " + module
                            + QWEIGHT + ": fetch the complete artifact");
        }
        if (!List.of(dtypes).contains(info.dtype()) || info.shape().size() != dimensions) {
            throw misfit(info, "expected " + dimensions + " dimensions of " + List.of(dtypes));
        }
        return info;
    }

    private void require(TensorInfo info, QuantizeConfig own, long... shape) throws CheckpointException {
        List<Long> expected = TensorInfo.of(info.name(), info.dtype(), shape).shape();
        if (!info.shape().equals(expected)) {
            throw misfit(
                    info,
                    "expected " + expected + " beside its qweight at bits " + own.bits() + " and group_size "
                            + own.groupSize());
        }
    }

    private CheckpointException misfit(TensorInfo info, String message) {
        return new CheckpointException(tensors.location(info.name()) + ": tensor " + info.name() + " is " + info.dtype()
                + " " + info.shape() + ": " + message);
    }

    private int[][] ints(String name) throws IOException {
        List<Long> shape = tensors.tensor(name).shape();
        int[][] rows = new int[Math.toIntExact(shape.get(0))][Math.toIntExact(shape.get(1))];
        forEachRow(name, rows.length, (row, bytes) -> bytes.asIntBuffer().get(rows[row]));
        return rows;
    }

    private int[] gIdx(String module, int in) throws IOException {
        int[] gIdx = new int[in];
        String name = module + ".g_idx";
        if (tensors.tensors().containsKey(name)) {
            forEachRow(name, 1, (row, bytes) -> bytes.asIntBuffer().get(gIdx));
        } else {
            int group = config.forModule(module).groupSize();
            for (int i = 0; i < in && group != -1; i++) {
                gIdx[i] = i / group;
            }
        }
        return gIdx;
    }

    private short[][] scales(String name) throws IOException {
        TensorInfo info = tensors.tensor(name);
        short[][] scales = new short[Math.toIntExact(info.shape().get(0))]
                [Math.toIntExact(info.shape().get(1))];
        forEachRow(name, scales.length, (row, bytes) -> {
            ByteBuffer halves = ByteBuffer.allocate(2 * scales[row].length).order(ByteOrder.LITTLE_ENDIAN);
            HalfConversion.convert(info.dtype(), bytes, DType.F16, halves, (index, value) -> {
                throw new CheckpointException(tensors.location(name) + ": tensor " + name + " has a scale of " + value
                        + " at group " + row + ", output " + index + ", which does not fit binary16");
            });
            halves.flip().asShortBuffer().get(scales[row]);
        });
        return scales;
    }

    @FunctionalInterface
    private interface RowConsumer {
        /** @param bytes exactly the row, little-endian */
        void accept(int row, ByteBuffer bytes) throws IOException;
    }

    private void forEachRow(String name, int rows, RowConsumer consumer) throws IOException {
        int rowBytes = Math.toIntExact(tensors.tensor(name).byteLength() / rows);
        int perRead = Math.max(1, Math.min(rows, CHUNK / rowBytes));
        ByteBuffer chunk = ByteBuffer.allocate(Math.multiplyExact(perRead, rowBytes));
        for (int row = 0; row < rows; row += perRead) {
            int count = Math.min(perRead, rows - row);
            tensors.read(name, (long) row * rowBytes, chunk.clear().limit(count * rowBytes));
            for (int r = 0; r < count; r++) {
                consumer.accept(row + r, chunk.slice(r * rowBytes, rowBytes).order(ByteOrder.LITTLE_ENDIAN));
            }
        }
    }
}
