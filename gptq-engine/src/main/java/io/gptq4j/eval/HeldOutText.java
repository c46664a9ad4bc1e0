package io.gptq4j.eval;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * The embedded text to judge a model on: 120 kB of the same kinds of public-domain English prose as the embedded
 * calibration text, with no passage in common with it. A perplexity on what a model was calibrated on would flatter it.
 */
public final class HeldOutText {
    /** What the text is called where its perplexity is reported. */
    public static final String NAME = "the embedded held-out text";

    private HeldOutText() {}

    /** The whole text. */
    public static String read() throws IOException {
        try (InputStream in = Objects.requireNonNull(HeldOutText.class.getResourceAsStream("heldout.txt"))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
