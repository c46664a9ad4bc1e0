package io.gptq4j.calibration;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
    /** Text read per tokenizer call; it ends at a line's end where there is one, so that no word is cut. */
    private static final int PIECE = 1 << 18;

    /** A line is cut at a space, or else anywhere, rather than held in memory beyond this. */
    private static final int LONGEST_LINE = 8 * PIECE;

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

    /** These windows and others of the same length after them. */
    public CalibrationSet with(int[][] others) {
        int[][] all = Arrays.copyOf(windows, windows.length + others.length);
        System.arraycopy(others, 0, all, windows.length, others.length);
        return new CalibrationSet(all, source);
    }

    /** Windows of one length in batches of at most {@code tokens}, but at least one window, in order. */
    public static List<int[][]> batches(int[][] windows, int tokens) {
        int size = Math.max(1, tokens / windows[0].length);
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
        requireSizes(samples, seqlen);
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
     *     arrays or as objects with "input_ids". A .json file is one array of such values, or holds one after the other.
     *     Rows with fewer ids than {@code seqlen} are passed over, longer ones cut off; texts are passed over where there are rows
     * @param samples windows wanted; fewer are returned if the file has no more
     * @param seqlen tokens per window
     * @throws CalibrationException if the file is not what its name says, or is shorter than one window
     * @throws IllegalArgumentException if {@code samples} is less than 1 or {@code seqlen} less than 2
     */
    public static CalibrationSet fromFile(Path file, Tokenizer tokenizer, int samples, int seqlen, long seed)
            throws IOException {
        requireSizes(samples, seqlen);
        TextFile.requireFile(file);
        String source = file.toString();
        String name = source.toLowerCase(Locale.ROOT);
        boolean lines = name.endsWith(".jsonl");
        try (InputStream in = Files.newInputStream(file)) {
            return lines || name.endsWith(".json")
                    ? fromJson(in, lines, source, tokenizer, samples, seqlen, seed)
                    : sample(tokens(reader(in), source, tokenizer, samples, seqlen), source, samples, seqlen, seed);
        }
    }

    private static void requireSizes(int samples, int seqlen) {
        if (samples < 1 || seqlen < 2) {
            throw new IllegalArgumentException(
                    "Calibration needs 1 window or more of 2 tokens or more, not " + samples + " windows of " + seqlen);
        }
    }

    private static CalibrationSet fromJson(
            InputStream in, boolean lines, String source, Tokenizer tokenizer, int samples, int seqlen, long seed)
            throws IOException {
        List<int[]> rows = new ArrayList<>();
        TokenStream stream = new TokenStream(limit(samples, seqlen));
        int tooShort = 0;
        try (JsonParser parser = JSON.createParser(in)) {
            JsonToken token = parser.nextToken();
            if (token == JsonToken.START_ARRAY && !lines) { // the file is one array of values
                token = parser.nextToken();
            }
            for (int number = 1; token != null && token != JsonToken.END_ARRAY; number++) {
                JsonNode value = JSON.readTree(parser);
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
                token = rows.size() == samples || stream.full() ? null : parser.nextToken();
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
                int end = pending.length() < PIECE ? 0 : pieceEnd(pending);
                if (end > 0) {
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

    /** Where a piece of text to tokenize ends; 0 if more should be read first. */
    private static int pieceEnd(StringBuilder text) {
        int end = text.lastIndexOf("\n") + 1;
        if (end > 0 || text.length() < LONGEST_LINE) {
            return end;
        }
        int space = text.lastIndexOf(" "); // goes with the word after it, as tokenizers have it
        int last = text.length() - 1;
        return space > 0 ? space : Character.isHighSurrogate(text.charAt(last)) ? last : last + 1;
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
