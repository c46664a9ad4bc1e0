package io.gptq4j.it.hub;

import java.io.IOException;

/** A fault closes the connection here. */
final class Cut extends IOException {
    private static final long serialVersionUID = 1;
}
