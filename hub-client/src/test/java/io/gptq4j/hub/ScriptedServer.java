package io.gptq4j.hub;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import java.util.stream.Stream;
import javax.net.ServerSocketFactory;
import mockwebserver3.Dispatcher;
import mockwebserver3.MockResponse;
import mockwebserver3.MockResponseBody;
import mockwebserver3.MockWebServer;
import mockwebserver3.RecordedRequest;
import mockwebserver3.SocketEffect;
import okio.Buffer;
import okio.BufferedSink;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A server for what stubs cannot do: bodies that end early, connections that are reset, answers that depend on the request.
 * Answers are given by method and path, one after the other, the last one for ever; what nothing was said about is 501.
 */
final class ScriptedServer extends Dispatcher implements BeforeEachCallback, AfterEachCallback {
    private final MockWebServer server = new MockWebServer();
    private final Map<String, Deque<Function<RecordedRequest, MockResponse>>> script = new ConcurrentHashMap<>();
    private final List<RecordedRequest> requests = new CopyOnWriteArrayList<>();

    ScriptedServer() {
        server.setDispatcher(this);
    }

    /** Connections that the server closes look broken to the client, not ended. */
    ScriptedServer resettingConnections() {
        server.setServerSocketFactory(new ResettingSockets());
        return this;
    }

    MockWebServer server() {
        return server;
    }

    @Override
    public void beforeEach(ExtensionContext context) throws IOException {
        if (!server.getStarted()) {
            server.start();
        }
    }

    @Override
    public void afterEach(ExtensionContext context) {
        server.close();
    }

    /** Its address, without a slash at the end. */
    String address() {
        return server.url("/").toString().replaceFirst("/$", "");
    }

    /** Says what to answer, in turn. */
    @SafeVarargs
    final ScriptedServer on(String methodAndPath, Function<RecordedRequest, MockResponse>... answers) {
        script.put(methodAndPath, new ArrayDeque<>(List.of(answers)));
        return this;
    }

    /** Says what to answer, in turn. */
    ScriptedServer on(String methodAndPath, MockResponse... answers) {
        Deque<Function<RecordedRequest, MockResponse>> queue = new ArrayDeque<>();
        for (MockResponse answer : answers) {
            queue.add(request -> answer);
        }
        script.put(methodAndPath, queue);
        return this;
    }

    @Override
    public MockResponse dispatch(RecordedRequest request) {
        requests.add(request);
        String path = request.getTarget().replaceFirst("^https?://[^/]*", "").replaceFirst("\\?.*", "");
        Deque<Function<RecordedRequest, MockResponse>> answers = script.get(request.getMethod() + " " + path);
        if (answers == null) {
            return status(501)
                    .body("Nothing was said about " + request.getTarget())
                    .build();
        }
        Function<RecordedRequest, MockResponse> answer;
        synchronized (answers) {
            answer = answers.size() > 1 ? answers.remove() : answers.element();
        }
        return answer.apply(request);
    }

    /** All requests so far with that method, oldest first. */
    List<RecordedRequest> requests(String method) {
        return requests.stream()
                .filter(request -> request.getMethod().equals(method))
                .toList();
    }

    /** All requests so far as {@code METHOD target}, oldest first. */
    List<String> calls() {
        return requests.stream()
                .map(request -> request.getMethod() + " " + request.getTarget())
                .toList();
    }

    /** The header Range of all requests so far that fetched something, or {@code whole}. */
    List<String> ranges() {
        return requests("GET").stream()
                .map(request -> Stream.ofNullable(request.getHeaders().get("Range"))
                        .findFirst()
                        .orElse("whole"))
                .toList();
    }

    static MockResponse.Builder status(int status) {
        return new MockResponse.Builder().code(status);
    }

    static MockResponse.Builder json(String json) {
        return status(200).setHeader("Content-Type", "application/json").body(json);
    }

    /** A whole body. */
    static MockResponse.Builder bytes(byte[] content) {
        return status(200).body(new Buffer().write(content));
    }

    /** What a server that knows ranges answers. */
    static MockResponse ranged(RecordedRequest request, byte[] content) {
        String range = request.getHeaders().get("Range");
        if (range == null) {
            return bytes(content).build();
        }
        String[] ends = range.substring("bytes=".length()).split("-", -1);
        int from = Integer.parseInt(ends[0]);
        int to = ends[1].isEmpty() ? content.length : Integer.parseInt(ends[1]) + 1;
        if (from >= content.length) {
            return status(416)
                    .setHeader("Content-Range", "bytes */" + content.length)
                    .build();
        }
        return status(206)
                .setHeader("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + content.length)
                .body(new Buffer().write(content, from, to - from))
                .build();
    }

    /** The same answer, but the connection ends after so many bytes of the body. */
    static MockResponse cut(MockResponse whole, long bytes) {
        MockResponseBody body = whole.getBody();
        if (body == null) {
            throw new IllegalArgumentException("Nothing to cut");
        }
        return whole.newBuilder()
                .body(new MockResponseBody() {
                    @Override
                    public long getContentLength() {
                        return body.getContentLength();
                    }

                    @Override
                    public void writeTo(BufferedSink sink) throws IOException {
                        Buffer all = new Buffer();
                        body.writeTo(all);
                        sink.write(all, bytes);
                        sink.flush();
                    }
                })
                .onResponseEnd(new SocketEffect.CloseSocket())
                .build();
    }

    private static final class ResettingSockets extends ServerSocketFactory {
        @Override
        public ServerSocket createServerSocket() throws IOException {
            return new ServerSocket() {
                @Override
                public Socket accept() throws IOException {
                    Socket socket = super.accept();
                    socket.setSoLinger(true, 0);
                    return socket;
                }
            };
        }

        @Override
        public ServerSocket createServerSocket(int port) {
            throw new UnsupportedOperationException();
        }

        @Override
        public ServerSocket createServerSocket(int port, int backlog) {
            throw new UnsupportedOperationException();
        }

        @Override
        public ServerSocket createServerSocket(int port, int backlog, java.net.InetAddress address) {
            throw new UnsupportedOperationException();
        }
    }
}
