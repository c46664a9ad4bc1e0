package io.gptq4j.it.hub;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

/** Plain requests of the tests of the fake; nothing is followed, repeated or added. */
final class Asking {
    static final String LFS = "application/vnd.git-lfs+json";

    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final String base;
    private final String token;

    /** Requests below {@code base}; with an empty token, without one. */
    Asking(String base, String token) {
        this.base = base;
        this.token = token;
    }

    HttpResponse<byte[]> get(String target, String... headers) throws IOException, InterruptedException {
        return send("GET", target, BodyPublishers.noBody(), headers);
    }

    HttpResponse<byte[]> head(String target, String... headers) throws IOException, InterruptedException {
        return send("HEAD", target, BodyPublishers.noBody(), headers);
    }

    HttpResponse<byte[]> post(String target, String json, String... headers) throws IOException, InterruptedException {
        boolean typed = String.join("\n", headers).contains("Content-Type");
        return send(
                "POST",
                target,
                BodyPublishers.ofString(json),
                typed ? headers : new String[] {"Content-Type", "application/json"});
    }

    HttpResponse<byte[]> put(String target, byte[] body) throws IOException, InterruptedException {
        return send("PUT", target, BodyPublishers.ofByteArray(body));
    }

    HttpResponse<byte[]> send(String method, String target, BodyPublisher body, String... headers)
            throws IOException, InterruptedException {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(target.startsWith("http") ? target : base + target));
        if (!token.isEmpty()) {
            request.header("Authorization", "Bearer " + token);
        }
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        return client.send(request.method(method, body).build(), BodyHandlers.ofByteArray());
    }

    static JsonNode json(HttpResponse<byte[]> response) {
        try {
            return new ObjectMapper().readTree(response.body());
        } catch (IOException e) {
            throw new AssertionError("not JSON: " + text(response), e);
        }
    }

    static String text(HttpResponse<byte[]> response) {
        return new String(response.body(), StandardCharsets.UTF_8);
    }

    static String header(HttpResponse<?> response, String name) {
        return response.headers().firstValue(name).orElse("");
    }
}
