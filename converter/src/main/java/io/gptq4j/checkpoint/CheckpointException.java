package io.gptq4j.checkpoint;

import java.io.IOException;

/** A model repository is incomplete, inconsistent or not of a kind that can be read. The message says what to do. */
public final class CheckpointException extends IOException {
    private static final long serialVersionUID = 1L;

    /** @param message one sentence: file, key or tensor, what was found, what was expected */
    public CheckpointException(String message) {
        super(message);
    }

    /** The same with the failure behind it. */
    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
