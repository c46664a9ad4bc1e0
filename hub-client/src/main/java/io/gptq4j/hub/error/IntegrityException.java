package io.gptq4j.hub.error;

/** What arrived is not what the Hub announced: its size or its hash differs. */
public class IntegrityException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public IntegrityException(String message) {
        super(message);
    }
}
