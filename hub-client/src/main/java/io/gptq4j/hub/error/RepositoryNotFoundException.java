package io.gptq4j.hub.error;

/** There is no such repository, or the token does not let us see it. */
public class RepositoryNotFoundException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public RepositoryNotFoundException(String message) {
        super(message);
    }
}
