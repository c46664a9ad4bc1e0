package io.gptq4j.hub.error;

/** The repository is there, but access has to be asked for or was not granted. */
public class GatedRepositoryException extends RepositoryNotFoundException {
    private static final long serialVersionUID = 1L;

    /** With a sentence for the user. */
    public GatedRepositoryException(String message) {
        super(message);
    }
}
