package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.EOFException;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A request whose head has been read. */
final class Request {
    private final String method;
    private final String path;
    private final String query;
    private final String version;
    private final Headers headers;
    private final RequestBody body;

    private Request(String method, String path, String query, String version, Headers headers, RequestBody body) {
        this.method = method;
        this.path = path;
        this.query = query;
        this.version = version;
        this.headers = headers;
        this.body = body;
    }

    /** Reads a head, or null when the client has closed the connection. */
    static @Nullable Request read(SocketIn in) throws IOException {
        String first = in.line();
        if (first == null) {
            return null;
        }
        String[] parts = first.split(" ", -1);
        if (parts.length != 3 || !parts[2].startsWith("HTTP/1.")) {
            throw new IOException("not a request line of HTTP/1.1: " + first);
        }
        Headers headers = new Headers();
        for (String line = in.line(); !"".equals(line); line = in.line()) {
            if (line == null) {
                throw new EOFException("the connection ended within the header");
            }
            int colon = line.indexOf(':');
            if (colon <= 0) {
                throw new IOException("not a header line: " + line);
            }
            headers.add(line.substring(0, colon), line.substring(colon + 1).strip());
        }
        int mark = parts[1].indexOf('?');
        return new Request(
                parts[0],
                mark < 0 ? parts[1] : parts[1].substring(0, mark),
                mark < 0 ? "" : parts[1].substring(mark + 1),
                parts[2],
                headers,
                bodyOf(in, headers));
    }

    private static RequestBody bodyOf(SocketIn in, Headers headers) throws IOException {
        String type = String.valueOf(headers.get("Content-Type")).toLowerCase(Locale.ROOT);
        boolean textual = type.contains("json") || type.startsWith("text/") || type.contains("urlencoded");
        String encoding = headers.get("Transfer-Encoding");
        if (encoding != null) {
            return new RequestBody(in, -1, textual);
        }
        String length = headers.get("Content-Length");
        try {
            return new RequestBody(in, length == null ? 0 : Long.parseLong(length), textual);
        } catch (NumberFormatException e) {
            throw new IOException("not a Content-Length: " + length, e);
        }
    }

    String method() {
        return method;
    }

    boolean isHead() {
        return method.equals("HEAD");
    }

    /** GET or HEAD. */
    boolean isRead() {
        return method.equals("GET") || isHead();
    }

    String path() {
        return path;
    }

    String query() {
        return query;
    }

    Headers headers() {
        return headers;
    }

    RequestBody body() {
        return body;
    }

    boolean keepAlive() {
        return version.equals("HTTP/1.1") && !"close".equalsIgnoreCase(headers.get("Connection"));
    }

    JsonNode json() throws IOException, InterruptedException {
        return Json.object(body.bytes());
    }

    /** The path's segments, decoded. */
    List<String> segments() {
        List<String> segments = new ArrayList<>();
        for (String segment : path.substring(1).split("/", -1)) {
            segments.add(decoded(segment.replace("+", "%2B")));
        }
        return segments;
    }

    @Nullable
    String param(String name) {
        List<String> all = params(query, name);
        return all.isEmpty() ? null : all.get(0);
    }

    List<String> params(String name) {
        return params(query, name);
    }

    boolean flag(String name) {
        String value = param(name);
        return "1".equals(value) || "true".equalsIgnoreCase(value);
    }

    /** All values of a name in a form-encoded text. */
    static List<String> params(String form, String name) {
        List<String> values = new ArrayList<>();
        for (String pair : form.split("&", -1)) {
            int equals = pair.indexOf('=');
            if (equals >= 0 && decoded(pair.substring(0, equals)).equals(name)) {
                values.add(decoded(pair.substring(equals + 1)));
            }
        }
        return values;
    }

    private static String decoded(String text) {
        try {
            return URLDecoder.decode(text, StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw HubError.badRequest("Malformed percent-encoding: " + text);
        }
    }
}
