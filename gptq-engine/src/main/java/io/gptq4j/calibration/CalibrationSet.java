package io.gptq4j.calibration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Token windows to calibrate on, all of one length.
 *
 * @param windows [samples][seqlen] token ids
 * @param source where they come from, in words
 */
public record CalibrationSet(int[][] windows, String source) {
    /** Tokens that one forward call of a part takes at a time. */
    private static final int TOKENS_PER_BATCH = 2048;

    /** Text read per tokenizer call; it ends at a line's end, so that no word is cut. */
    private static final int PIECE = 1 << 18;

    /** The stream of tokens is cut off after this many times the tokens asked for, or a huge file would take hours. */
    private static final int OVERSAMPLING = 16;

    private static final ObjectMapper JSON = new ObjectMapper();

    /** Checks that there is something, all of one length. */
    public CalibrationSet {
        if (windows.length == 0 || Arrays.stream(windows).anyMatch(w -> w.length != windows[0].length)) {
            throw new IllegalArgumentException("A calibration set needs at least one window, all of one length");
        }
    }

    /** Tokens per window. */
    public int seqlen() {
        return windows[0].length;
    }

    /** The windows in batches of equal length, in order. */
    public List<int[][]> batches() {
        return batches(windows);
    }

    /** Windows of one length in batches that fill a forward call. */
    public static List<int[][]> batches(int[][] windows) {
        int size = Math.max(1, TOKENS_PER_BATCH / windows[0].length);
        List<int[][]> batches = new ArrayList<>();
        for (int start = 0; start < windows.length; start += size) {
            batches.add(Arrays.copyOfRange(windows, start, Math.min(windows.length, start + size)));
        }
        return batches;
    }

    /**
     * Windows from the embedded text: public-domain English prose (speeches, a novel, the Bible, a glossary).
     *
     * @see #fromFile
     */
    public static CalibrationSet embedded(Tokenizer tokenizer, int samples, int seqlen, long seed) throws IOException {
        try (InputStream in = Objects.requireNonNull(CalibrationSet.class.getResourceAsStream("default.txt"))) {
            String source = "the embedded calibration text";
            return sample(tokens(reader(in), source, tokenizer, samples, seqlen), source, samples, seqlen, seed);
        }
    }

    /**
     * Windows from a file. From text, the tokens form one stream, which is cut into windows without overlap; if there
     * are more than asked for, a seeded choice is taken, in their order. Rows of token ids are taken in order.
     *
     * @param file UTF-8 text; or {@code .jsonl} / {@code .json} with strings, objects with a "text", or token ids as
     *     arrays or as objects with "input_ids"
     * @param samples windows wanted; fewer are returned if the file has no more
     * @param seqlen tokens per window
     * @throws CalibrationException if the file is not what its name says, or is shorter than one window
     */
    public static CalibrationSet fromFile(Path file, Tokenizer tokenizer, int samples, int seqlen, long seed)
            throws IOException {
        TextFile.requireFile(file);
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        try (InputStream in = Files.newInputStream(file)) {
            return name.endsWith(".jsonl") || name.endsWith(".json")
                    ? fromJson(in, file.toString(), tokenizer, samples, seqlen, seed)
                    : sample(
                            tokens(reader(in), file.toString(), tokenizer, samples, seqlen),
                            file.toString(),
                            samples,
                            seqlen,
                            seed);
        }
    }

    private static CalibrationSet fromJson(
            InputStream in, String source, Tokenizer tokenizer, int samples, int seqlen, long seed) throws IOException {
        List<int[]> rows = new ArrayList<>();
        TokenStream stream = new TokenStream(limit(samples, seqlen));
        int tooShort = 0;
        ObjectReader reader = JSON.readerFor(JsonNode.class);
        // Of a stream, Jackson takes a first value that is an array apart: right for one array of texts, not for rows.
        try (MappingIterator<JsonNode> values = source.toLowerCase(Locale.ROOT).endsWith(".jsonl")
                ? reader.readValues(JSON.createParser(in))
                : reader.readValues(in)) {
            for (int number = 1; values.hasNextValue() && rows.size() < samples && !stream.full(); number++) {
                JsonNode value = values.nextValue();
                JsonNode ids = value.isArray() ? value : value.path("input_ids");
                JsonNode text = value.isTextual() ? value : value.path("text");
                if (ids.isArray()) {
                    if (ids.size() >= seqlen) {
                        rows.add(ids(ids, seqlen, source, number));
                    } else {
                        tooShort++;
                    }
                } else if (text.isTextual()) {
                    stream.add(tokenizer.encode(text.asText() + "\n\n"));
                } else {
                    throw new CalibrationException(source + ": value " + number
                            + " is neither a text, an object with \"text\", nor token ids (\"input_ids\")");
                }
            }
        } catch (JsonProcessingException e) {
            throw new CalibrationException(
                    source + " is not valid JSON: " + e.getOriginalMessage() + " at line "
                            + e.getLocation().getLineNr(),
                    e);
        }
        if (rows.isEmpty() && tooShort > 0) {
            throw tooShort(source, "none of its " + tooShort + " rows has", seqlen);
        }
        return rows.isEmpty()
                ? sample(stream.toArray(), source, samples, seqlen, seed)
                : new CalibrationSet(rows.toArray(int[][]::new), source);
    }

    private static int[] ids(JsonNode array, int seqlen, String source, int number) throws IOException {
        int[] ids = new int[seqlen];
        for (int i = 0; i < seqlen; i++) {
            if (!array.get(i).canConvertToInt() || !array.get(i).isIntegralNumber()) {
                throw new CalibrationException(
                        source + ": value " + number + " has a token id that is not a number: " + array.get(i));
            }
            ids[i] = array.get(i).asInt();
        }
        return ids;
    }

    private static CalibrationSet sample(int[] tokens, String source, int samples, int seqlen, long seed)
            throws IOException {
        int available = tokens.length / seqlen;
        if (available == 0) {
            throw tooShort(source, "it has only " + tokens.length + " tokens, not", seqlen);
        }
        int[] chosen = IntStream.range(0, available).toArray();
        if (available > samples) {
            Random random = new Random(seed);
            for (int i = 0; i < samples; i++) { // the first steps of a Fisher-Yates shuffle
                int j = i + random.nextInt(available - i);
                int other = chosen[j];
                chosen[j] = chosen[i];
                chosen[i] = other;
            }
            chosen = Arrays.stream(chosen, 0, samples).sorted().toArray();
        }
        return new CalibrationSet(
                Arrays.stream(chosen)
                        .mapToObj(w -> Arrays.copyOfRange(tokens, w * seqlen, (w + 1) * seqlen))
                        .toArray(int[][]::new),
                source);
    }

    private static CalibrationException tooShort(String source, String what, int seqlen) {
        return new CalibrationException("The calibration text " + source + " is too short: " + what + " the " + seqlen
                + " tokens of one window; use a longer text or a smaller --seqlen");
    }

    private static int[] tokens(Reader text, String source, Tokenizer tokenizer, int samples, int seqlen)
            throws IOException {
        TokenStream stream = new TokenStream(limit(samples, seqlen));
        StringBuilder pending = new StringBuilder();
        char[] buffer = new char[PIECE];
        try (text) {
            for (int count = text.read(buffer); count >= 0 && !stream.full(); count = text.read(buffer)) {
                pending.append(buffer, 0, count);
                int end = pending.lastIndexOf("\n") + 1;
                if (pending.length() >= PIECE && end > 0) {
                    stream.add(tokenizer.encode(pending.substring(0, end)));
                    pending.delete(0, end);
                }
            }
        } catch (CharacterCodingException e) {
            throw TextFile.notUtf8(source, e);
        }
        stream.add(tokenizer.encode(pending.toString()));
        return stream.toArray();
    }

    private static Reader reader(InputStream in) {
        return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder()));
    }

    private static int limit(int samples, int seqlen) {
        return (int) Math.min(1L << 29, (long) OVERSAMPLING * samples * seqlen);
    }

    /** A growing array of ids. */
    private static final class TokenStream {
        private final int limit;
        private int[] ids = new int[1 << 16];
        private int size;

        TokenStream(int limit) {
            this.limit = limit;
        }

        void add(int[] more) {
            if (size + more.length > ids.length) {
                ids = Arrays.copyOf(ids, Math.max(size + more.length, ids.length * 2));
            }
            System.arraycopy(more, 0, ids, size, more.length);
            size += more.length;
        }

        boolean full() {
            return size >= limit;
        }

        int[] toArray() {
            return Arrays.copyOf(ids, size);
        }
    }
}
