package io.gptq4j.tensor;

import java.util.Locale;

/** The floating types a forward pass can compute in, under torch's names. */
public enum FloatType {
    FLOAT32(6, 4),
    FLOAT16(5, 2),
    BFLOAT16(15, 2);

    private final int torchCode;
    private final int bytes;

    FloatType(int torchCode, int bytes) {
        this.torchCode = torchCode;
        this.bytes = bytes;
    }

    /** Bytes of a number. */
    public int bytes() {
        return bytes;
    }

    /** The number of this type in torch's {@code ScalarType}, which TorchScript text uses in place of its name. */
    int torchCode() {
        return torchCode;
    }

    /** torch's name: {@code float32}, {@code float16} or {@code bfloat16}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
