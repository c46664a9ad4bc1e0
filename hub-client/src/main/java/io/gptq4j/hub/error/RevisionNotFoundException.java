package io.gptq4j.hub.error;

/** The repository has no such branch, tag or commit. */
public class RevisionNotFoundException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public RevisionNotFoundException(String message) {
        super(message);
    }
}
