package io.gptq4j.calibration;

import java.io.IOException;

/** A tokenizer or a calibration text that cannot be used; the message says which, why, and what to do. */
public final class CalibrationException extends IOException {
    private static final long serialVersionUID = 1;

    CalibrationException(String message) {
        super(message);
    }

    CalibrationException(String message, Throwable cause) {
        super(message, cause);
    }
}
