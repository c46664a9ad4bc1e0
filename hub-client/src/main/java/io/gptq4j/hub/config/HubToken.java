package io.gptq4j.hub.config;

/**
 * An access token and where it was found, so that a refusal can say which one to mend. Its text never shows it.
 *
 * @param value the secret
 * @param source for messages, such as {@code the environment variable HF_TOKEN}
 */
public record HubToken(String value, String source) {
    private static final int SHOWN = 4;

    /**
     * Strips white space, which hand-edited files have, and checks that the rest can stand in a header.
     *
     * @throws IllegalArgumentException if nothing or no token remains
     */
    public HubToken {
        value = value.strip();
        if (value.isEmpty() || !value.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
            throw new IllegalArgumentException("The token from " + source + " is not a token: it is empty or holds"
                    + " characters other than visible ASCII; tokens look like hf_...");
        }
    }

    /** The first three and the last four characters, enough to tell two tokens apart. */
    public String masked() {
        return value.length() < 3 * SHOWN
                ? "****"
                : value.substring(0, SHOWN - 1) + "****" + value.substring(value.length() - SHOWN);
    }

    @Override
    public String toString() {
        return "token " + masked() + " from " + source;
    }
}
