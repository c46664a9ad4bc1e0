package io.gptq4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server with a few prepared answers, which remembers what it was asked. */
final class StubHub implements AutoCloseable {
    private final HttpServer server;
    private final Map<String, Answer> answers = new ConcurrentHashMap<>();
    private final List<String> requests = new CopyOnWriteArrayList<>();

    private record Answer(int status, String errorCode, String body) {}

    private StubHub(HttpServer server) {
        this.server = server;
        server.createContext("/", this::answer);
        server.start();
    }

    static StubHub start() {
        try {
            return new StubHub(HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    /** Prepares the answer to a method and path, such as {@code GET /api/whoami-v2}, with a query or for any query. */
    StubHub on(String request, int status, String body) {
        answers.put(request, new Answer(status, "", body));
        return this;
    }

    /** Prepares a refusal. */
    StubHub refuse(String request, int status, String errorCode) {
        answers.put(request, new Answer(status, errorCode, "{\"error\":\"refused\"}"));
        return this;
    }

    /** What was asked: method, path, token and body. */
    List<String> requests() {
        return requests;
    }

    private void answer(HttpExchange exchange) throws IOException {
        String request =
                exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath();
        String token = exchange.getRequestHeaders().getFirst("Authorization");
        String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
        requests.add((request + " " + (token == null ? "-" : token) + " " + body).strip());
        Answer otherwise = answers.getOrDefault(request, new Answer(404, "RepoNotFound", "{\"error\":\"not found\"}"));
        Answer answer =
                answers.getOrDefault(request + "?" + exchange.getRequestURI().getQuery(), otherwise);
        if (!answer.errorCode.isEmpty()) {
            exchange.getResponseHeaders().add("X-Error-Code", answer.errorCode);
        }
        byte[] bytes = answer.body.getBytes(UTF_8);
        exchange.sendResponseHeaders(answer.status, bytes.length == 0 ? -1 : bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
