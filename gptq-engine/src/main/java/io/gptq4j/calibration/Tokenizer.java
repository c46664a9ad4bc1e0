package io.gptq4j.calibration;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * A model's own tokenizer, from its tokenizer.json, by Hugging Face's tokenizers library. Adds no special tokens and
 * never truncates. Thread-safe.
 */
public final class Tokenizer implements AutoCloseable {
    private final HuggingFaceTokenizer tokenizer;

    private Tokenizer(HuggingFaceTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * Reads a tokenizer.json.
     *
     * @throws CalibrationException if the file is not a tokenizer
     */
    public static Tokenizer open(Path tokenizerJson) throws IOException {
        // Otherwise the library would fetch a CUDA build of itself on a machine with a GPU.
        System.setProperty("ai.djl.offline", "true");
        // The library truncates to 512 tokens and pads unless told not to.
        Map<String, String> options = Map.of("truncation", "false", "padding", "false", "addSpecialTokens", "false");
        try {
            return new Tokenizer(HuggingFaceTokenizer.newInstance(tokenizerJson, options));
        } catch (RuntimeException e) { // the library's only way to say that the file is bad
            throw new CalibrationException(tokenizerJson + " is not a usable tokenizer: " + e.getMessage(), e);
        }
    }

    /** The token ids of a text. A text of 10 MB takes seconds and some 500 MB of heap. */
    public int[] encode(String text) {
        long[] ids = tokenizer.encode(text).getIds();
        int[] result = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            result[i] = Math.toIntExact(ids[i]);
        }
        return result;
    }

    /** Whether a token stands for text: it is in the vocabulary, and not special. */
    public boolean isText(int id) {
        return !tokenizer.decode(new long[] {id}, true).isEmpty();
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
