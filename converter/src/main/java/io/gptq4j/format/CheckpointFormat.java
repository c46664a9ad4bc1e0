package io.gptq4j.format;

import java.util.Optional;

/** How an artifact stores its zero points: the {@code checkpoint_format} of quantize_config.json. */
public enum CheckpointFormat {
    /** AutoGPTQ's format, which every consumer reads: zero - 1 is stored, so a zero of 0 has no encoding. */
    GPTQ("gptq", 1),
    /** GPTQModel's second format: the zero itself is stored. AutoGPTQ refuses it. */
    GPTQ_V2("gptq_v2", 0);

    private final String jsonName;
    private final int zeroOffset;

    CheckpointFormat(String jsonName, int zeroOffset) {
        this.jsonName = jsonName;
        this.zeroOffset = zeroOffset;
    }

    /** The name in quantize_config.json. */
    public String jsonName() {
        return jsonName;
    }

    /** What is taken from a zero point before it is stored, and added again on reading: 1 or 0. */
    public int zeroOffset() {
        return zeroOffset;
    }

    /** The format with this name in quantize_config.json, or empty if it is not one of these two. */
    public static Optional<CheckpointFormat> of(String jsonName) {
        for (CheckpointFormat format : values()) {
            if (format.jsonName.equals(jsonName)) {
                return Optional.of(format);
            }
        }
        return Optional.empty();
    }
}
