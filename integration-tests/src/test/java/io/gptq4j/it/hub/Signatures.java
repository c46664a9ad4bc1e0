package io.gptq4j.it.hub;

import java.util.concurrent.atomic.AtomicInteger;

/** Signatures of storage URLs; all that were handed out can be made to expire at once. */
final class Signatures {
    private final AtomicInteger generation = new AtomicInteger();

    int generation() {
        return generation.get();
    }

    void expire() {
        generation.incrementAndGet();
    }

    String sign(String resource) {
        return Hex.id("signature " + generation.get() + " " + resource, 24);
    }
}
