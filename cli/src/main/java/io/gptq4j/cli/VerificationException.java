package io.gptq4j.cli;

import java.io.IOException;

/** What was written is not what was computed. */
final class VerificationException extends IOException {
    private static final long serialVersionUID = 1;

    VerificationException(String message) {
        super(message);
    }
}
