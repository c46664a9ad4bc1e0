package io.gptq4j.hub.error;

import org.jspecify.annotations.Nullable;

/** What was asked for is not on this disk, and the Hub was not to be, or could not be, asked. */
public final class LocalEntryNotFoundException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user, and why the Hub could not be asked. */
    public LocalEntryNotFoundException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
