package io.gptq4j.model;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.RawTensor;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a checkpoint under their canonical names, whatever it calls them itself: a checkpoint saved from the
 * headless base model lacks the base prefix. Weights of GPTQ modules are de-quantized as they are loaded. All names and
 * shapes are checked on opening, before hours are spent. Safe for concurrent use.
 */
public final class ModelWeights {
    private static final String QWEIGHT = ".qweight";

    private final TensorSource source;
    private final Optional<ArtifactReader> artifact;
    private final Map<String, String> storedNames; // canonical -> stored
    private final Set<String> transposed; // canonical names of weights [in, out]

    private ModelWeights(
            TensorSource source,
            Optional<ArtifactReader> artifact,
            Map<String, String> storedNames,
            Set<String> transposed) {
        this.source = source;
        this.artifact = artifact;
        this.storedNames = storedNames;
        this.transposed = transposed;
    }

    /**
     * Finds every tensor the architecture needs.
     *
     * @throws CheckpointException naming the first tensor that is missing or has another shape or a dtype that is not
     *     a float
     */
    public static ModelWeights open(Checkpoint checkpoint, Architecture architecture) throws IOException {
        TensorSource source = ExpertTensors.over(checkpoint.tensors(), architecture);
        Optional<ArtifactReader> artifact =
                ArtifactReader.isArtifact(checkpoint) ? Optional.of(ArtifactReader.of(checkpoint)) : Optional.empty();
        Set<String> quantized =
                artifact.<Set<String>>map(a -> Set.copyOf(a.modules())).orElse(Set.of());
        Map<String, String> storedNames = new LinkedHashMap<>();
        Set<String> transposed = transposed(architecture);
        for (Map.Entry<String, List<Long>> needed : architecture.tensors().entrySet()) {
            String name = needed.getKey();
            String module = name.endsWith(".weight") ? name.substring(0, name.length() - ".weight".length()) : "";
            if (quantized.contains(module)) {
                List<Long> packed = source.tensor(module + QWEIGHT).shape(); // [in * bits / 32, out]
                long in = packed.get(0)
                        * 32
                        / artifact.orElseThrow().config().forModule(module).bits();
                List<Long> shape = transposed.contains(name) ? List.of(in, packed.get(1)) : List.of(packed.get(1), in);
                checkShape(checkpoint, module + QWEIGHT, shape, needed.getValue());
                continue;
            }
            String stored = architecture.storedNames(name).stream()
                    .filter(source.tensors()::containsKey)
                    .findFirst()
                    .orElseThrow(() -> new CheckpointException("Tensor " + name + " is missing from "
                            + checkpoint.directory() + "; " + architecture.family() + " needs it"));
            TensorInfo info = source.tensor(stored);
            if (!info.dtype().isFloatingPoint()) {
                throw new CheckpointException("Tensor " + stored + " in " + source.location(stored) + " has dtype "
                        + info.dtype() + "; weights must be F16, BF16, F32 or F64");
            }
            checkShape(checkpoint, stored, info.shape(), needed.getValue());
            storedNames.put(name, stored);
        }
        return new ModelWeights(source, artifact, storedNames, transposed);
    }

    private static Set<String> transposed(Architecture architecture) {
        Set<String> names = new HashSet<>();
        for (int layer = 0; layer < architecture.layers(); layer++) {
            for (Architecture.Linear linear : architecture.linears(layer)) {
                if (linear.transposed()) {
                    names.add(architecture.inBlock(layer, linear.name()) + ".weight");
                }
            }
        }
        return names;
    }

    private static void checkShape(Checkpoint checkpoint, String name, List<Long> found, List<Long> expected)
            throws CheckpointException {
        if (!found.equals(expected)) {
            throw new CheckpointException("Tensor " + name + " in " + checkpoint.directory() + " has shape " + found
                    + "; config.json makes it " + expected);
        }
    }

    /** Canonical name to the name in the checkpoint, for every tensor that is not quantized. */
    public Map<String, String> storedNames() {
        return Collections.unmodifiableMap(storedNames);
    }

    /**
     * The checkpoint's tensors, with experts that it has stacked as tensors of their own. What {@link #storedNames} tells are
     * names in it. Closed with the checkpoint.
     */
    public TensorSource source() {
        return source;
    }

    /** Whether this is a GPTQ checkpoint. */
    public boolean isQuantized() {
        return artifact.isPresent();
    }

    /** A tensor that was read but not converted yet; to be closed. */
    final class Stored implements AutoCloseable {
        private final String name;
        private final @Nullable RawTensor raw;
        private final @Nullable QuantizedLinear quantized;
        private final boolean turn;

        private Stored(String name, @Nullable RawTensor raw, @Nullable QuantizedLinear quantized, boolean turn) {
            this.name = name;
            this.raw = raw;
            this.quantized = quantized;
            this.turn = turn;
        }

        /**
         * Converts it; the weight of a module comes as [out, in], however it is stored.
         *
         * @throws CheckpointException if it holds a NaN or an infinity
         */
        Tensor load(Scope scope, FloatType type) throws IOException {
            if (quantized != null) {
                return QuantizedWeights.dequantize(scope, quantized, type);
            }
            Tensor tensor = scope.decode(Objects.requireNonNull(raw), type);
            try (Tensor count = scope.call("tensors", "count_not_finite", tensor)) {
                long bad = count.toLongs()[0];
                if (bad > 0) {
                    tensor.close();
                    throw notFinite(scope, type, bad);
                }
            }
            if (turn) {
                try (tensor) {
                    return scope.call("tensors", "transposed", tensor); // [out, in]
                }
            }
            return tensor;
        }

        /** Tells what is stored so from what {@code type} alone cannot hold. */
        private CheckpointException notFinite(Scope scope, FloatType type, long bad) throws IOException {
            String tensor = "Tensor " + name + " in " + source.location(name) + " holds ";
            try (Scope step = scope.child()) {
                Tensor wide = step.decode(Objects.requireNonNull(raw), FloatType.FLOAT32);
                long stored = step.call("tensors", "count_not_finite", wide).toLongs()[0];
                return new CheckpointException(
                        stored > 0
                                ? tensor + stored
                                        + " NaN or infinite values; the checkpoint is damaged, so get it again"
                                : tensor + bad + " values beyond the range of " + type
                                        + (type == FloatType.FLOAT16
                                                ? "; use --dtype bfloat16 or float32"
                                                : "; use --dtype float32"));
            }
        }

        @Override
        public void close() {
            if (raw != null) {
                raw.close();
            }
        }
    }

    /** Reads one tensor into host memory. May run on another thread than what {@code scope} is used on. */
    Stored read(Scope scope, String name) throws IOException {
        String stored = storedNames.get(name);
        if (stored == null) {
            String module = name.substring(0, name.length() - ".weight".length());
            return new Stored(name, null, artifact.orElseThrow().read(module), false);
        }
        return new Stored(stored, scope.read(source, source.tensor(stored)), null, transposed.contains(name));
    }

    /**
     * Loads one tensor and converts it.
     *
     * @throws CheckpointException if it holds a NaN or an infinity
     */
    public Tensor load(Scope scope, String name, FloatType type) throws IOException {
        try (Stored stored = read(scope, name)) {
            return stored.load(scope, type);
        }
    }
}
