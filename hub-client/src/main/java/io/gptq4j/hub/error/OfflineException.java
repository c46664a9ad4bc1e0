package io.gptq4j.hub.error;

/** A request would be needed, but offline mode is on. */
public final class OfflineException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With what was attempted, such as {@code get the info of model 'a/b'}. */
    public OfflineException(String action) {
        super("Cannot " + action + ": offline mode is enabled; to reach the Hub, unset HF_HUB_OFFLINE");
    }
}
