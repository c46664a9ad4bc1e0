package io.gptq4j.hub.error;

/** There is no token where one is needed, or the Hub does not accept it. */
public class AuthenticationException extends HubException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public AuthenticationException(String message) {
        super(message);
    }
}
