package io.gptq4j.safetensors;

import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.SafetensorsException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The header of a safetensors file: which tensors there are, where their bytes lie, and the free-form metadata. An
 * instance satisfies every rule of the format: the tensors cover the data section exactly, without hole or overlap.
 *
 * <p>A file is the header's length N as unsigned little-endian 64-bit integer, N bytes of JSON, and the data section.
 * Immutable.
 */
public final class SafetensorsHeader {
    /** Longest header in bytes that the format allows. The Hub's own previews stop at 25 000 000. */
    public static final int MAX_LENGTH = 100_000_000;

    static final String METADATA_KEY = "__metadata__";

    /** The format orders names by their UTF-8 bytes, that is by code point; Java's own order differs beyond U+D7FF. */
    private static final Comparator<String> BY_CODE_POINT = (a, b) -> {
        int limit = Math.min(a.length(), b.length());
        int i = 0;
        while (i < limit && a.charAt(i) == b.charAt(i)) {
            i++;
        }
        if (i == limit) {
            return Integer.compare(a.length(), b.length());
        }
        char x = a.charAt(i);
        char y = b.charAt(i);
        return Character.isSurrogate(x) == Character.isSurrogate(y)
                ? Character.compare(x, y)
                : Character.isSurrogate(x) ? 1 : -1;
    };

    private static final Comparator<TensorInfo> LAYOUT_ORDER = Comparator.comparing(
                    TensorInfo::dtype, Comparator.reverseOrder())
            .thenComparing(TensorInfo::name, BY_CODE_POINT);

    private final Map<String, Entry> entries;
    private final Map<String, TensorInfo> tensors;
    private final Map<String, String> metadata;
    private final long dataStart;

    private SafetensorsHeader(Collection<Entry> entries, Map<String, String> metadata, long dataStart) {
        List<Entry> ordered = new ArrayList<>(entries);
        ordered.sort(Comparator.comparing(entry -> entry.info().name()));
        Map<String, Entry> byName = new LinkedHashMap<>();
        Map<String, TensorInfo> infos = new LinkedHashMap<>();
        for (Entry entry : ordered) {
            byName.put(entry.info().name(), entry);
            infos.put(entry.info().name(), entry.info());
        }
        this.entries = Collections.unmodifiableMap(byName);
        this.tensors = Collections.unmodifiableMap(infos);
        this.metadata = Collections.unmodifiableMap(metadata);
        this.dataStart = dataStart;
    }

    /**
     * A tensor and its place.
     *
     * @param info name, dtype and shape
     * @param begin its first byte, counted from the start of the data section
     * @param end the byte after its last one
     */
    public record Entry(TensorInfo info, long begin, long end) {}

    /**
     * Parses and validates a header.
     *
     * @param source the file's name for messages
     * @param json the N bytes after the length field
     * @param fileLength length of the whole file in bytes, against which the tensors are checked
     * @throws SafetensorsException naming the first rule that is broken
     */
    public static SafetensorsHeader parse(String source, byte[] json, long fileLength) throws SafetensorsException {
        HeaderParser parser = new HeaderParser(source);
        parser.parse(json);
        long dataStart = (long) Long.BYTES + json.length;
        checkCoverage(source, parser.entries(), fileLength - dataStart);
        return new SafetensorsHeader(parser.entries(), parser.metadata(), dataStart);
    }

    /** All tensors with their places, by name in natural order. Unmodifiable. */
    public Map<String, Entry> entries() {
        return entries;
    }

    /** All tensors by name in natural order. Unmodifiable. */
    public Map<String, TensorInfo> tensors() {
        return tensors;
    }

    /** The metadata in key order; empty if there is none. Unmodifiable. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** Position in the file of the data section's first byte. */
    public long dataStart() {
        return dataStart;
    }

    /**
     * Lays tensors out and writes the head of their file: length field, JSON and padding, all that precedes the data.
     * Equal input in any order gives equal bytes: tensors by descending {@link DType}, then name; metadata first, by
     * key; compact JSON; spaces up to a multiple of 8.
     *
     * @param tensors what the file is to hold
     * @param metadata free-form text; nothing is written if it is empty
     * @throws IllegalArgumentException if a name occurs twice, is {@code __metadata__} or no valid Unicode, or the
     *     header would exceed {@link #MAX_LENGTH}
     * @throws ArithmeticException if the tensors are larger than a file can be
     */
    public static byte[] encode(Collection<TensorInfo> tensors, Map<String, String> metadata) {
        StringBuilder json = new StringBuilder("{");
        if (!metadata.isEmpty()) {
            appendString(json, METADATA_KEY).append(":{");
            TreeMap<String, String> sorted = new TreeMap<>(BY_CODE_POINT);
            sorted.putAll(metadata);
            sorted.forEach((key, value) ->
                    appendString(appendString(json, key).append(':'), value).append(','));
            json.setCharAt(json.length() - 1, '}');
            json.append(',');
        }
        List<TensorInfo> ordered = new ArrayList<>(tensors);
        ordered.sort(LAYOUT_ORDER);
        Set<String> names = new HashSet<>();
        long begin = 0;
        for (TensorInfo tensor : ordered) {
            if (tensor.name().equals(METADATA_KEY) || !names.add(tensor.name())) {
                throw new IllegalArgumentException("Tensor name " + Messages.quote(tensor.name())
                        + (names.contains(tensor.name()) ? " occurs twice" : " is reserved by the format"));
            }
            long end = Math.addExact(begin, tensor.byteLength());
            appendString(json, tensor.name())
                    .append(":{\"dtype\":\"")
                    .append(tensor.dtype())
                    .append("\",\"shape\":[");
            for (int i = 0; i < tensor.shape().size(); i++) {
                json.append(i == 0 ? "" : ",").append(tensor.shape().get(i));
            }
            json.append("],\"data_offsets\":[")
                    .append(begin)
                    .append(',')
                    .append(end)
                    .append("]},");
            begin = end;
        }
        if (json.length() > 1) {
            json.setLength(json.length() - 1);
        }
        byte[] utf8 = json.append('}').toString().getBytes(StandardCharsets.UTF_8);
        int padded = (utf8.length + 7) / 8 * 8;
        if (padded > MAX_LENGTH) {
            throw new IllegalArgumentException("The header of " + tensors.size() + " tensors would take " + padded
                    + " bytes, but the format allows " + MAX_LENGTH + ": use more shards");
        }
        ByteBuffer head = ByteBuffer.allocate(Long.BYTES + padded).order(ByteOrder.LITTLE_ENDIAN);
        head.putLong(padded).put(utf8);
        while (head.hasRemaining()) {
            head.put((byte) ' ');
        }
        return head.array();
    }

    private static StringBuilder appendString(StringBuilder json, String text) {
        if (!Messages.isWellFormed(text)) {
            throw new IllegalArgumentException(
                    Messages.quote(text) + " has half of a surrogate pair and cannot be written as UTF-8");
        }
        json.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"', '\\' -> json.append('\\').append(c);
                case '\b' -> json.append("\\b");
                case '\f' -> json.append("\\f");
                case '\n' -> json.append("\\n");
                case '\r' -> json.append("\\r");
                case '\t' -> json.append("\\t");
                default -> {
                    if (c < ' ') {
                        json.append(String.format("\\u%04x", (int) c));
                    } else {
                        json.append(c);
                    }
                }
            }
        }
        return json.append('"');
    }

    private static void checkCoverage(String source, List<Entry> entries, long available) throws SafetensorsException {
        List<Entry> ordered = new ArrayList<>(entries);
        ordered.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long end = 0;
        for (Entry entry : ordered) {
            if (entry.begin() != end) {
                boolean hole = entry.begin() > end;
                throw new SafetensorsException(
                        source,
                        hole ? Reason.HOLE : Reason.OVERLAP,
                        "tensor " + Messages.quote(entry.info().name()) + " begins at byte " + entry.begin()
                                + " of the data, but the tensors before it end at byte " + end
                                + (hole ? ": bytes between tensors are not allowed" : ": tensors must not overlap"));
            }
            end = entry.end();
        }
        if (end > available) {
            throw new SafetensorsException(
                    source,
                    Reason.TRUNCATED,
                    "the tensors need " + end + " bytes after the header, but the file has only " + available
                            + ": it is truncated, fetch it again");
        }
        if (end < available) {
            throw new SafetensorsException(
                    source,
                    Reason.TRAILING_BYTES,
                    "the tensors end at byte " + end + " of the data, but " + (available - end)
                            + " more bytes follow, which the format does not allow");
        }
    }
}
