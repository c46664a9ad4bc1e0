package io.gptq4j.hub.internal.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import okhttp3.Headers;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import org.jspecify.annotations.Nullable;

/**
 * One request, and what messages call it.
 *
 * @param action what it is for, completing "Cannot ...", such as {@code list model 'a/b'}
 * @param method the HTTP method
 * @param url the address; never with a token in it
 * @param headers headers of its own
 * @param body the body, or null
 * @param patience how long the other side may be silent
 * @param withToken whether the Hub, and nobody else, may see the token
 */
public record HubRequest(
        String action,
        String method,
        HttpUrl url,
        Headers headers,
        @Nullable RequestBody body,
        Patience patience,
        boolean withToken) {
    /** The media type of the Hub's JSON, without the charset that OkHttp would add to a string. */
    public static final MediaType JSON = MediaType.get("application/json");

    /** JSON as a body, in bytes: to the media type of a string, OkHttp would add a charset that strict servers refuse. */
    public static RequestBody body(ObjectNode json, MediaType type) {
        return RequestBody.create(json.toString().getBytes(StandardCharsets.UTF_8), type);
    }

    /** A GET of the API. */
    public static HubRequest get(String action, HttpUrl url) {
        return new HubRequest(action, "GET", url, Headers.EMPTY, null, Patience.API, true);
    }

    /** A HEAD of a file. */
    public static HubRequest head(String action, HttpUrl url) {
        return new HubRequest(action, "HEAD", url, Headers.EMPTY, null, Patience.METADATA, true);
    }

    /** A request with a body, to the API. */
    public static HubRequest send(String method, String action, HttpUrl url, RequestBody body) {
        return new HubRequest(action, method, url, Headers.EMPTY, body, Patience.API, true);
    }

    /** With one more header. */
    public HubRequest header(String name, String value) {
        return new HubRequest(
                action, method, url, headers.newBuilder().set(name, value).build(), body, patience, withToken);
    }

    /** With another patience. */
    public HubRequest patience(Patience patience) {
        return new HubRequest(action, method, url, headers, body, patience, withToken);
    }

    /** Without the token, whoever is asked. */
    public HubRequest withoutToken() {
        return new HubRequest(action, method, url, headers, body, patience, false);
    }

    /** The same to another address, as a redirect asks for. */
    public HubRequest at(HttpUrl url) {
        return at(url, withToken);
    }

    HubRequest at(HttpUrl url, boolean withToken) {
        return new HubRequest(action, method, url, headers, body, patience, withToken);
    }

    /** The address without its query, which may hold a signature. */
    String shownUrl() {
        return shown(url);
    }

    static String shown(HttpUrl url) {
        return url.newBuilder()
                .query(null)
                .fragment(null)
                .username("")
                .password("")
                .build()
                .toString();
    }
}
