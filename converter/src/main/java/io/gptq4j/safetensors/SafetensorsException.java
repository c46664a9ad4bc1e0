package io.gptq4j.safetensors;

import java.io.IOException;

/** A safetensors file breaks a rule of the format. The message is one sentence: file, tensor, what was expected. */
public final class SafetensorsException extends IOException {
    private static final long serialVersionUID = 1L;

    private final String source;
    private final Reason reason;

    SafetensorsException(String source, Reason reason, String message) {
        super(source + ": " + message);
        this.source = source;
        this.reason = reason;
    }

    /** The file's name, as given to whoever opened it. */
    public String source() {
        return source;
    }

    /** The rule that is broken. */
    public Reason reason() {
        return reason;
    }

    /** The rules of the format, one constant each. */
    public enum Reason {
        /** The file is shorter than the 8 bytes of the header's length. */
        HEADER_TOO_SMALL,
        /** The header claims more than {@link SafetensorsHeader#MAX_LENGTH} bytes. */
        HEADER_TOO_LARGE,
        /** The header claims more bytes than the file has. */
        HEADER_TRUNCATED,
        /** The header is not UTF-8. */
        HEADER_NOT_UTF8,
        /** The header is not exactly one JSON object, or a string in it has half of a surrogate pair. */
        HEADER_NOT_JSON,
        /** A key occurs twice in one object of the header. */
        DUPLICATE_KEY,
        /** {@code __metadata__} is not an object of strings. */
        INVALID_METADATA,
        /** A tensor's entry lacks dtype, shape or data_offsets, or one of them has the wrong type. */
        INVALID_ENTRY,
        /** The dtype is none of {@link DType}. */
        UNKNOWN_DTYPE,
        /** A dimension, an offset or the tensor's size does not fit a signed 64-bit integer. */
        OVERFLOW,
        /** The tensor's size in bits is not a whole number of bytes. */
        MISALIGNED,
        /** data_offsets end before they begin. */
        OUT_OF_ORDER,
        /** data_offsets and the size by dtype and shape differ. */
        SIZE_MISMATCH,
        /** Some bytes belong to no tensor. */
        HOLE,
        /** Some bytes belong to two tensors. */
        OVERLAP,
        /** The file ends before its tensors do. */
        TRUNCATED,
        /** The file goes on after its last tensor. */
        TRAILING_BYTES
    }
}
