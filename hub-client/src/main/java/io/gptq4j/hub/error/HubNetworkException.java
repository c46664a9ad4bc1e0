package io.gptq4j.hub.error;

import org.jspecify.annotations.Nullable;

/** No answer, or not a whole one: no connection, a time-out, a connection that broke. */
public final class HubNetworkException extends HubException {
    private static final long serialVersionUID = 1L;

    private final boolean permanent;

    /**
     * A connection that failed.
     *
     * @param message a sentence for the user
     * @param cause what the network said
     * @param permanent whether another try would end the same way: a certificate or a proxy that is refused
     */
    public HubNetworkException(String message, @Nullable Throwable cause, boolean permanent) {
        super(message, cause);
        this.permanent = permanent;
    }

    /** Whether another try would end the same way. */
    public boolean isPermanent() {
        return permanent;
    }
}
