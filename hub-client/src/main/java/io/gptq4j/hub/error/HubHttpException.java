package io.gptq4j.hub.error;

import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The Hub refused or failed, for a reason that has no class of its own. */
public final class HubHttpException extends HubException {
    private static final long serialVersionUID = 1L;

    private final int status;
    private final transient @Nullable Duration retryAfter;

    /**
     * An answer that is no success.
     *
     * @param message a sentence for the user
     * @param status the HTTP status
     * @param retryAfter how long the server asks to wait before the next try, or null if it does not say
     */
    public HubHttpException(String message, int status, @Nullable Duration retryAfter) {
        super(message);
        this.status = status;
        this.retryAfter = retryAfter;
    }

    /** The HTTP status, such as 503. */
    public int status() {
        return status;
    }

    /** How long the server asks to wait before the next try. */
    public Optional<Duration> retryAfter() {
        return Optional.ofNullable(retryAfter);
    }
}
