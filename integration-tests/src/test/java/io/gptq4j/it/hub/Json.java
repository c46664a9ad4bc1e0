package io.gptq4j.it.hub;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** JSON in and out. */
final class Json {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    static byte[] bytes(Object value) {
        try {
            return MAPPER.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not expressible as JSON: " + value, e);
        }
    }

    /** Reads an object or answers 400. */
    static JsonNode object(byte[] body) {
        try {
            JsonNode node = MAPPER.readTree(body);
            if (node != null && node.isObject()) {
                return node;
            }
        } catch (IOException e) {
            throw HubError.badRequest("Invalid JSON: " + e.getMessage());
        }
        throw HubError.badRequest("Invalid JSON: expected an object");
    }

    /** The text of a field, or null when it is missing or null; 400 when it is something else. */
    static @Nullable String text(JsonNode object, String field) {
        JsonNode node = object.get(field);
        if (node == null || node.isNull()) {
            return null;
        }
        if (!node.isTextual()) {
            throw HubError.badRequest("\"" + field + "\" must be a string");
        }
        return node.textValue();
    }

    static String requiredText(JsonNode object, String field) {
        String text = text(object, field);
        if (text == null) {
            throw HubError.badRequest("\"" + field + "\" is required");
        }
        return text;
    }

    static long requiredSize(JsonNode object, String field) {
        JsonNode node = object.get(field);
        if (node == null || !node.isIntegralNumber() || node.longValue() < 0) {
            throw HubError.badRequest("\"" + field + "\" must be a number of bytes");
        }
        return node.longValue();
    }

    /** A JSON object in the order of its fields: name, value, name, value. */
    static Map<String, Object> map(Object... namesAndValues) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            map.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return map;
    }
}
