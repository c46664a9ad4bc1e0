package io.gptq4j.hub.error;

/** The Hub has blocked the repository. */
public class DisabledRepositoryException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public DisabledRepositoryException(String message) {
        super(message);
    }
}
