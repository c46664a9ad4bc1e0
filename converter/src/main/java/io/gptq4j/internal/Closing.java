package io.gptq4j.internal;

import java.io.Closeable;
import java.io.IOException;
import java.util.Collection;

/** Closing without losing a failure. */
public final class Closing {
    private Closing() {}

    /** Closes what a failed operation had opened; if that fails too, it goes along with the failure. */
    public static void after(Exception failure, Closeable opened) {
        try {
            opened.close();
        } catch (IOException closing) {
            failure.addSuppressed(closing);
        }
    }

    /**
     * Closes all, in order, however many of them fail.
     *
     * @throws IOException the first failure, the others suppressed in it
     */
    public static void all(Collection<? extends Closeable> parts) throws IOException {
        IOException failure = null;
        for (Closeable part : parts) {
            try {
                part.close();
            } catch (IOException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
