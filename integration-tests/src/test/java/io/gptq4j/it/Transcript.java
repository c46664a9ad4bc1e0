package io.gptq4j.it;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.it.hub.Exchange;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with the hub in the form of src/test/resources/traces: what does not matter is left out, and what is
 * different each time has a name.
 */
final class Transcript {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Pattern UPLOAD = Pattern.compile("(?:/_s3/|complete/)([0-9a-f]{24})");
    private static final Pattern TRANSFER = Pattern.compile("(?:PUT /_s3/|POST \\S+/info/lfs/(?:complete|verify))");
    private static final Pattern TRANSFERRED = Pattern.compile("(?:upload of |\"size\":)(\\d+)");

    private final Map<String, String> names = new LinkedHashMap<>();

    /** The exchanges, a text each. */
    List<String> of(List<Exchange> log) {
        log.forEach(this::name);
        return ordered(log.stream().map(this::text).map(this::named).toList());
    }

    /**
     * The same conversation in the order that counts: files go up in parallel, so only the order within a file does, and a
     * commit names no path twice, so the order of its lines does not.
     */
    static List<String> ordered(List<String> blocks) {
        List<String> ordered = new ArrayList<>();
        List<String> transfers = new ArrayList<>();
        for (String block : blocks) {
            if (TRANSFER.matcher(block).lookingAt()) {
                transfers.add(block);
            } else {
                take(transfers, ordered);
                ordered.add(block.contains("application/x-ndjson") ? withSortedLines(block) : block);
            }
        }
        take(transfers, ordered);
        return ordered;
    }

    private static void take(List<String> transfers, List<String> ordered) {
        transfers.sort(Comparator.comparing(Transcript::size)); // stable
        ordered.addAll(transfers);
        transfers.clear();
    }

    private static int size(String transfer) {
        Matcher size = TRANSFERRED.matcher(transfer);
        return size.find() ? Integer.parseInt(size.group(1)) : 0;
    }

    private static String withSortedLines(String block) {
        String[] lines = block.split("\n");
        int first = 0;
        while (!lines[first].contains("\"key\":\"header\"")) {
            first++;
        }
        Arrays.sort(lines, first + 1, lines.length);
        return String.join("\n", lines);
    }

    /** Learns from an exchange which hash and which upload is of how many bytes. */
    private void name(Exchange exchange) {
        String etag = exchange.responseHeaders().get("X-Linked-ETag");
        if (etag != null) {
            names.put(
                    etag.replace("\"", ""),
                    "{sha256 of " + exchange.responseHeaders().get("X-Linked-Size") + " bytes}");
        }
        if (!exchange.path().endsWith("/objects/batch")) {
            return;
        }
        for (JsonNode object : json(exchange.bodyText()).path("objects")) {
            names.put(
                    object.path("oid").asText(),
                    "{sha256 of " + object.path("size").asText() + " bytes}");
        }
        String answer = exchange.status() == 200 ? exchange.responseText() : null;
        for (JsonNode object : json(answer).path("objects")) {
            Matcher upload = UPLOAD.matcher(
                    object.path("actions").path("upload").path("href").asText());
            if (upload.find()) {
                names.put(upload.group(1), "{upload of " + object.path("size").asText() + " bytes}");
            }
        }
    }

    private static JsonNode json(@Nullable String text) {
        try {
            return text == null ? JSON.createObjectNode() : JSON.readTree(text);
        } catch (JsonProcessingException e) {
            throw new AssertionError(text, e);
        }
    }

    private String named(String text) {
        String result = text;
        for (Map.Entry<String, String> name : names.entrySet()) {
            result = result.replace(name.getKey(), name.getValue());
        }
        return result.replaceAll("(?<![0-9a-f])(?!0{40})[0-9a-f]{40}(?![0-9a-f])", "{commit}")
                .replaceAll("\\\\\"[0-9a-f]{32}\\\\\"", "\\\\\"{etag}\\\\\"");
    }

    private String text(Exchange exchange) {
        StringBuilder text = new StringBuilder(exchange.method() + " " + exchange.path());
        String query = query(exchange);
        text.append(query.isEmpty() ? "" : "?" + query)
                .append(" -> ")
                .append(exchange.status() == 0 ? "closed" : String.valueOf(exchange.status()));
        header(text, exchange, "Authorization");
        header(text, exchange, "Range");
        if (exchange.method().equals("HEAD")) {
            header(text, exchange, "Accept-Encoding");
        }
        header(text, exchange, "Accept");
        header(text, exchange, "Content-Type");
        String length = exchange.header("Content-Length");
        if (length != null && !length.equals("0")) {
            boolean isExact = exchange.method().equals("PUT") && exchange.path().contains("/_s3/");
            text.append("\n  content-length: ").append(isExact ? length : "given");
        }
        String body = exchange.bodyText();
        if (body != null && !body.isEmpty()) {
            boolean isJson = String.valueOf(exchange.header("Content-Type")).contains("json");
            body.lines()
                    .filter(line -> !line.isEmpty())
                    .forEach(line -> text.append("\n  ").append(isJson ? canonical(json(line)) : line));
        }
        return text.toString();
    }

    private static void header(StringBuilder text, Exchange exchange, String name) {
        String value = exchange.header(name);
        if (value != null && !value.equals("*/*")) {
            text.append("\n  ")
                    .append(name.toLowerCase(Locale.ROOT))
                    .append(": ")
                    .append(value);
        }
    }

    /** Without signatures; those of stores have nothing else that matters but the number of a part. */
    private static String query(Exchange exchange) {
        boolean isStore = exchange.path().contains("/_s3/");
        if (exchange.query().isEmpty()
                || exchange.path().contains("/_cdn/")
                || exchange.path().contains("/resolve-cache/")) {
            return "";
        }
        return Arrays.stream(exchange.query().split("&"))
                .filter(pair -> !isStore || pair.startsWith("partNumber="))
                .map(pair -> pair.startsWith("cursor=") ? "cursor={cursor}" : pair)
                .map(pair -> URLDecoder.decode(pair, StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
    }

    /** Keys sorted, objects of a batch sorted by size, samples of binary files left out. */
    private static String canonical(JsonNode json) {
        try {
            return JSON.writeValueAsString(
                    JSON.convertValue(simplified(json), Object.class) instanceof Map<?, ?> map ? sorted(map) : json);
        } catch (JsonProcessingException e) {
            throw new AssertionError(e);
        }
    }

    private static Object sorted(Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> sorted = new TreeMap<>();
            map.forEach((key, element) -> sorted.put(String.valueOf(key), sorted(element)));
            return sorted;
        }
        return value instanceof List<?> list
                ? list.stream().map(Transcript::sorted).toList()
                : value;
    }

    private static JsonNode simplified(JsonNode json) {
        if (json instanceof ObjectNode object) {
            if (object.path("objects") instanceof ArrayNode objects) {
                List<JsonNode> list = JSON.convertValue(objects, new TypeReference<List<JsonNode>>() {});
                list.sort(Comparator.comparing(node -> node.path("size").asLong()));
                objects.removeAll().addAll(list);
            }
            for (JsonNode file : object.path("files")) {
                if (file.path("sample").asText().length() > 600) {
                    ((ObjectNode) file).put("sample", "{512 bytes}");
                }
            }
        }
        return json;
    }
}
