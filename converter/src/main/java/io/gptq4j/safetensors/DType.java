package io.gptq4j.safetensors;

import java.util.Optional;

/**
 * The element types of the safetensors format, in the format's alignment order: the writer lays tensors out by
 * descending order of this enum, so that every tensor is aligned to its own element size.
 */
public enum DType {
    BOOL(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private final int bits;

    DType(int bits) {
        this.bits = bits;
    }

    /** Width of one element in bits; 4 and 6 bit elements are packed without gaps. */
    public int bits() {
        return bits;
    }

    /** Whether this is one of the floating types a model's weights may have: F16, BF16, F32 or F64. */
    public boolean isFloatingPoint() {
        return this == F16 || this == BF16 || this == F32 || this == F64;
    }

    /** The type with this name as it stands in a header, or empty if the format has no such type. */
    public static Optional<DType> of(String name) {
        for (DType dtype : values()) {
            if (dtype.name().equals(name)) {
                return Optional.of(dtype);
            }
        }
        return Optional.empty();
    }
}
