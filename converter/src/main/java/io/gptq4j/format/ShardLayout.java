package io.gptq4j.format;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Which tensor lies in which file, known before the first byte is written. Tensors are taken in natural order, so that a
 * block's tensors lie together, and a file is closed when the next tensor would exceed the limit.
 *
 * @param shards the tensors of every file; never empty
 */
record ShardLayout(List<List<TensorInfo>> shards) {
    /** Other types than floating ones that are carried over. */
    private static final Set<DType> COPYABLE = EnumSet.of(
            DType.BOOL, DType.U8, DType.I8, DType.I16, DType.U16, DType.I32, DType.U32, DType.I64, DType.U64);

    /**
     * Lays out the tensors of a plan.
     *
     * @throws CheckpointException if a carried tensor is missing in the source or has a dtype without meaning here
     * @throws IllegalArgumentException if two tensors have one name or a module cannot be packed in its shape
     */
    static ShardLayout of(ArtifactWriter.Plan plan) throws CheckpointException {
        List<TensorInfo> ordered = new ArrayList<>(tensors(plan).values());
        ordered.sort((a, b) -> TensorNames.NATURAL_ORDER.compare(a.name(), b.name()));
        List<List<TensorInfo>> shards = new ArrayList<>();
        List<TensorInfo> shard = new ArrayList<>();
        long size = 0;
        for (TensorInfo tensor : ordered) {
            if (!shard.isEmpty() && tensor.byteLength() > plan.shardSize() - size) {
                shards.add(shard);
                shard = new ArrayList<>();
                size = 0;
            }
            shard.add(tensor);
            size += tensor.byteLength();
        }
        shards.add(shard);
        return new ShardLayout(shards);
    }

    /** The name every loader expects: plain for one file, numbered from 1 for several. */
    String fileName(int shard) {
        return shards.size() == 1
                ? "model.safetensors"
                : String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", shard + 1, shards.size());
    }

    /** Bytes of all tensors, without the files' headers. */
    long totalSize() {
        return sizeOf(shards.size());
    }

    /** Bytes of the tensors of so many shards at most, the largest ones. */
    long sizeOf(int count) {
        return shards.stream()
                .map(shard -> shard.stream().mapToLong(TensorInfo::byteLength).sum())
                .sorted(Comparator.reverseOrder())
                .limit(count)
                .reduce(0L, Math::addExact);
    }

    /** The text of model.safetensors.index.json. */
    String indexJson() {
        Map<String, String> weightMap = new TreeMap<>();
        for (int s = 0; s < shards.size(); s++) {
            for (TensorInfo tensor : shards.get(s)) {
                weightMap.put(tensor.name(), fileName(s));
            }
        }
        Map<String, Object> index = new TreeMap<>();
        index.put("metadata", Map.of("total_size", totalSize()));
        index.put("weight_map", weightMap);
        return JsonText.of(index);
    }

    /** All tensors of the artifact by name. */
    private static Map<String, TensorInfo> tensors(ArtifactWriter.Plan plan) throws CheckpointException {
        Map<String, TensorInfo> tensors = new HashMap<>();
        for (ArtifactWriter.ModuleShape module : plan.modules()) {
            QuantizedLinear.require(
                    module.name(),
                    module.inFeatures() > 0
                            && module.outFeatures() > 0
                            && module.inFeatures() % 32 == 0
                            && module.outFeatures() % 32 == 0,
                    "inputs and outputs must be multiples of 32 to be packed, not " + module.inFeatures() + " and "
                            + module.outFeatures());
            QuantizeConfig config = plan.config().forModule(module.name());
            int groups = QuantizedLinear.groups(module.inFeatures(), config.groupSize());
            for (TensorInfo tensor : PackedLinear.tensors(
                    module.name(), config.bits(), module.inFeatures(), module.outFeatures(), groups)) {
                add(tensors, tensor);
            }
        }
        for (Map.Entry<String, String> carried : plan.carried().entrySet()) {
            String name = carried.getKey();
            if (name.endsWith(".weight")
                    && tensors.containsKey(name.substring(0, name.length() - ".weight".length()) + ".qweight")) {
                throw new IllegalArgumentException("Tensor " + name + " is to be quantized and carried over, too");
            }
            TensorInfo source = plan.source().tensors().tensors().get(carried.getValue());
            if (source == null) {
                throw new CheckpointException("Tensor " + carried.getValue() + " is missing in "
                        + plan.source().directory() + ": it is needed as " + carried.getKey());
            }
            DType dtype = type(plan, carried.getKey(), source);
            if (!COPYABLE.contains(dtype) && !dtype.isFloatingPoint()) {
                throw new CheckpointException(plan.source().tensors().location(source.name()) + ": tensor "
                        + source.name() + " is " + dtype + ", expected F16, BF16, F32, F64, an integer type or BOOL");
            }
            add(tensors, new TensorInfo(carried.getKey(), dtype, source.shape()));
        }
        return tensors;
    }

    private static DType type(ArtifactWriter.Plan plan, String name, TensorInfo source) {
        if (!source.dtype().isFloatingPoint()) {
            return source.dtype();
        }
        if (!plan.untouched().contains(name)) {
            return DType.F16;
        }
        return plan.source().tensors().storedType(source.name()) == DType.F8_E4M3 ? DType.BF16 : source.dtype();
    }

    private static void add(Map<String, TensorInfo> tensors, TensorInfo tensor) {
        if (tensors.put(tensor.name(), tensor) != null) {
            throw new IllegalArgumentException("Two tensors of the artifact are named " + tensor.name());
        }
    }
}
