package io.gptq4j.hub.error;

/** The revision has no such file. */
public class EntryNotFoundException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public EntryNotFoundException(String message) {
        super(message);
    }
}
