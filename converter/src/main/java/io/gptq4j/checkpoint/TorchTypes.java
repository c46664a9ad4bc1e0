package io.gptq4j.checkpoint;

import io.gptq4j.safetensors.DType;
import java.util.Map;
import java.util.Optional;

/** PyTorch's names of element types, as they stand in files: typed storages, and dtypes for types newer than those. */
final class TorchTypes {
    static final String UNTYPED_STORAGE = "UntypedStorage";

    private static final Map<String, DType> STORAGES = Map.of(
            "DoubleStorage", DType.F64,
            "FloatStorage", DType.F32,
            "HalfStorage", DType.F16,
            "BFloat16Storage", DType.BF16,
            "LongStorage", DType.I64,
            "IntStorage", DType.I32,
            "ShortStorage", DType.I16,
            "CharStorage", DType.I8,
            "ByteStorage", DType.U8,
            "BoolStorage", DType.BOOL);

    private static final Map<String, DType> DTYPES = Map.ofEntries(
            Map.entry("float64", DType.F64),
            Map.entry("float32", DType.F32),
            Map.entry("float16", DType.F16),
            Map.entry("bfloat16", DType.BF16),
            Map.entry("int64", DType.I64),
            Map.entry("int32", DType.I32),
            Map.entry("int16", DType.I16),
            Map.entry("int8", DType.I8),
            Map.entry("uint64", DType.U64),
            Map.entry("uint32", DType.U32),
            Map.entry("uint16", DType.U16),
            Map.entry("uint8", DType.U8),
            Map.entry("bool", DType.BOOL),
            Map.entry("float8_e5m2", DType.F8_E5M2),
            Map.entry("float8_e4m3fn", DType.F8_E4M3),
            Map.entry("float8_e8m0fnu", DType.F8_E8M0),
            Map.entry("float8_e5m2fnuz", DType.F8_E5M2FNUZ),
            Map.entry("float8_e4m3fnuz", DType.F8_E4M3FNUZ));

    private TorchTypes() {}

    /** Whether torch has a storage or dtype of this name that can be read. */
    static boolean isKnown(String name) {
        return name.equals(UNTYPED_STORAGE) || STORAGES.containsKey(name) || DTYPES.containsKey(name);
    }

    static Optional<DType> ofStorage(String name) {
        return Optional.ofNullable(STORAGES.get(name));
    }

    static Optional<DType> ofDtype(String name) {
        return Optional.ofNullable(DTYPES.get(name));
    }
}
