package io.gptq4j.hub.error;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Something about the Hub went wrong; the message is a sentence for the user. */
public class HubException extends IOException {
    private static final long serialVersionUID = 1L;

    /** A failure without a cause of its own. */
    public HubException(String message) {
        super(message);
    }

    /** A failure with its cause. */
    public HubException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
