package io.gptq4j.it.hub;

/** The repository has another id now; the answer is a redirect. */
final class Moved extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String location;

    Moved(String location) {
        super(location, null, false, false);
        this.location = location;
    }

    String location() {
        return location;
    }
}
