package io.gptq4j.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.SafetensorsException.Reason;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads the header's JSON token by token. Data binding would be too kind: it turns 2.5 into 2, "2" into 2, null into 0
 * and lets missing offsets pass.
 */
final class HeaderParser {
    /** Names are not pooled: they are unique, and a pool of hostile names is a cost without a use. */
    private static final JsonFactory JSON = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxStringLength(SafetensorsHeader.MAX_LENGTH)
                    .maxNameLength(SafetensorsHeader.MAX_LENGTH)
                    .build())
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build();

    private final String source;
    private final List<SafetensorsHeader.Entry> entries = new ArrayList<>();
    private final Map<String, String> metadata = new TreeMap<>();

    HeaderParser(String source) {
        this.source = source;
    }

    List<SafetensorsHeader.Entry> entries() {
        return entries;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    void parse(byte[] json) throws SafetensorsException {
        Reader text = new InputStreamReader(
                new ByteArrayInputStream(json),
                StandardCharsets.UTF_8
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT));
        try (JsonParser parser = JSON.createParser(text)) {
            parseHeader(parser);
        } catch (SafetensorsException e) {
            throw e;
        } catch (CharacterCodingException e) {
            throw caused(e, Reason.HEADER_NOT_UTF8, "the header is not valid UTF-8");
        } catch (JsonProcessingException e) {
            throw caused(
                    e,
                    Reason.HEADER_NOT_JSON,
                    "the header is not valid JSON: " + e.getOriginalMessage() + " at character "
                            + e.getLocation().getCharOffset());
        } catch (IOException e) {
            throw caused(e, Reason.HEADER_NOT_JSON, "the header cannot be parsed: " + e.getMessage());
        }
    }

    private void parseHeader(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw fail(null, Reason.HEADER_NOT_JSON, "the header must be a JSON object");
        }
        Set<String> names = new HashSet<>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = checked(parser.currentName());
            if (!names.add(name)) {
                throw fail(null, Reason.DUPLICATE_KEY, "the header names " + Messages.quote(name) + " twice");
            }
            parser.nextToken();
            if (name.equals(SafetensorsHeader.METADATA_KEY)) {
                parseMetadata(parser);
            } else {
                entries.add(parseEntry(parser, name));
            }
        }
        if (parser.nextToken() != null) {
            throw fail(null, Reason.HEADER_NOT_JSON, "something follows the header's JSON object");
        }
    }

    private void parseMetadata(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw fail(null, Reason.INVALID_METADATA, "__metadata__ must be an object of strings");
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String key = checked(parser.currentName());
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw fail(
                        null,
                        Reason.INVALID_METADATA,
                        "__metadata__ must be an object of strings, but " + Messages.quote(key) + " is none");
            }
            if (metadata.put(key, checked(parser.getText())) != null) {
                throw fail(null, Reason.DUPLICATE_KEY, "__metadata__ names " + Messages.quote(key) + " twice");
            }
        }
    }

    private SafetensorsHeader.Entry parseEntry(JsonParser parser, String name) throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw fail(name, Reason.INVALID_ENTRY, "must be described by a JSON object");
        }
        String dtypeName = null;
        List<Long> shape = null;
        List<Long> offsets = null;
        Set<String> others = Set.of();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String key = parser.currentName();
            parser.nextToken();
            boolean repeated;
            switch (key) {
                case "dtype" -> {
                    repeated = dtypeName != null;
                    if (parser.currentToken() != JsonToken.VALUE_STRING) {
                        throw fail(name, Reason.INVALID_ENTRY, "dtype must be a string");
                    }
                    dtypeName = parser.getText();
                }
                case "shape" -> {
                    repeated = shape != null;
                    shape = parseIntegers(parser, name, "shape");
                }
                case "data_offsets" -> {
                    repeated = offsets != null;
                    offsets = parseIntegers(parser, name, "data_offsets");
                }
                default -> { // the format lets writers add keys; only their syntax matters
                    others = others.isEmpty() ? new HashSet<>() : others;
                    repeated = !others.add(key);
                    parser.skipChildren();
                }
            }
            if (repeated) {
                throw fail(name, Reason.DUPLICATE_KEY, "is described with " + Messages.quote(key) + " twice");
            }
        }
        if (dtypeName == null || shape == null || offsets == null || offsets.size() != 2) {
            throw fail(name, Reason.INVALID_ENTRY, "needs a dtype, a shape and data_offsets of exactly two numbers");
        }
        return entry(name, dtypeName, shape, offsets.get(0), offsets.get(1));
    }

    private SafetensorsHeader.Entry entry(String name, String dtypeName, List<Long> shape, long begin, long end)
            throws SafetensorsException {
        DType dtype = DType.of(dtypeName).orElse(null);
        if (dtype == null) {
            throw fail(name, Reason.UNKNOWN_DTYPE, "has the unknown dtype " + Messages.quote(dtypeName));
        }
        if (end < begin) {
            throw fail(name, Reason.OUT_OF_ORDER, "ends at byte " + end + ", before it begins at byte " + begin);
        }
        TensorInfo info;
        try {
            info = new TensorInfo(name, dtype, shape);
        } catch (ArithmeticException e) {
            throw fail(name, Reason.OVERFLOW, "of dtype " + dtype + " and shape " + shape + " is too large to exist");
        } catch (IllegalArgumentException e) { // the dimensions were checked, so it is the size
            throw fail(
                    name,
                    Reason.MISALIGNED,
                    "of dtype " + dtype + " and shape " + shape + " is not a whole number of bytes");
        }
        if (end - begin != info.byteLength()) {
            throw fail(
                    name,
                    Reason.SIZE_MISMATCH,
                    "needs " + info.byteLength() + " bytes by dtype " + dtype + " and shape " + shape
                            + ", but its data_offsets [" + begin + ", " + end + "] hold " + (end - begin));
        }
        return new SafetensorsHeader.Entry(info, begin, end);
    }

    private List<Long> parseIntegers(JsonParser parser, String name, String key) throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw fail(name, Reason.INVALID_ENTRY, key + " must be an array of non-negative integers");
        }
        List<Long> numbers = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
                    || parser.getText().startsWith("-")) {
                throw fail(
                        name,
                        Reason.INVALID_ENTRY,
                        key + " must be an array of non-negative integers, not " + Messages.quote(parser.getText()));
            }
            if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
                throw fail(
                        name,
                        Reason.OVERFLOW,
                        key + " holds " + Messages.quote(parser.getText()) + ", more than " + Long.MAX_VALUE);
            }
            numbers.add(parser.getLongValue());
        }
        return numbers;
    }

    /** JSON escapes can spell half of a surrogate pair, which no UTF-8 text can hold and no other reader accepts. */
    private String checked(String text) throws SafetensorsException {
        if (!Messages.isWellFormed(text)) {
            throw fail(
                    null,
                    Reason.HEADER_NOT_JSON,
                    "the string " + Messages.quote(text) + " in the header has half of a surrogate pair");
        }
        return text;
    }

    private SafetensorsException fail(@Nullable String tensor, Reason reason, String message) {
        String where = tensor == null ? "" : "tensor " + Messages.quote(tensor) + " ";
        return new SafetensorsException(source, reason, where + message);
    }

    private SafetensorsException caused(IOException cause, Reason reason, String message) {
        SafetensorsException failure = new SafetensorsException(source, reason, message);
        failure.initCause(cause);
        return failure;
    }
}
