package io.gptq4j.format;

import java.io.IOException;

/** What was written is not what was computed. */
public final class VerificationException extends IOException {
    private static final long serialVersionUID = 1;

    /** With a sentence for the user. */
    public VerificationException(String message) {
        super(message);
    }
}
