package io.gptq4j.it.hub;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Serves the requests of one connection, one after the other, and applies faults. */
final class Connection implements Runnable {
    /** A reset destroys what the peer has not read yet; so much time is left for reading what was promised. */
    private static final long MILLIS_BEFORE_RESET = 100;

    /** What makes an answer of a request. */
    interface Handler {
        Answer handle(Request request) throws IOException, InterruptedException;
    }

    private final SocketChannel channel;
    private final SocketIn in;
    private final long number;
    private final String listener;
    private final ExchangeLog log;
    private final Faults faults;
    private final Handler handler;

    Connection(SocketChannel channel, long number, String listener, ExchangeLog log, Faults faults, Handler handler) {
        this.channel = channel;
        this.in = new SocketIn(channel);
        this.number = number;
        this.listener = listener;
        this.log = log;
        this.faults = faults;
        this.handler = handler;
    }

    @Override
    public void run() {
        try (channel) {
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            boolean open = true;
            while (open) {
                Request request = Request.read(in);
                if (request == null) {
                    break;
                }
                ExchangeLog.Entry entry = log.begin(listenerOf(request), number, request);
                try {
                    open = serve(request, entry);
                } finally {
                    request.body().finish();
                    log.end();
                }
            }
        } catch (IOException e) {
            // Clients may go away at any time; the exchange says so.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private String listenerOf(Request request) {
        return Storage.owns(request.path()) ? "cdn" : listener;
    }

    private boolean serve(Request request, ExchangeLog.Entry entry) throws IOException, InterruptedException {
        Fault fault = faults.take(request);
        if (fault != Fault.NONE) {
            entry.fault(fault.toString());
        }
        FaultySender sender = new FaultySender(channel, fault, entry);
        try {
            return serve(request, entry, fault, sender);
        } catch (Cut e) {
            if (fault.rst) {
                entry.sleep(MILLIS_BEFORE_RESET);
                channel.setOption(StandardSocketOptions.SO_LINGER, 0);
            }
            return false;
        } catch (IOException e) {
            entry.fault("client went away");
            throw e;
        }
    }

    private boolean serve(Request request, ExchangeLog.Entry entry, Fault fault, FaultySender sender)
            throws IOException, InterruptedException {
        if ("100-continue".equalsIgnoreCase(request.headers().get("Expect"))) {
            write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        boolean faultyUpload = request.method().equals("PUT");
        if (faultyUpload) {
            request.body().pace(sender::allow);
        }
        if (fault.ignoreRange) {
            request.headers().remove("Range");
        }
        if (fault.refuse) {
            request.body().drain();
            throw new Cut();
        }
        if (!fault.delay.isZero()) {
            entry.sleep(fault.delay.toMillis());
        }
        Answer answer = answer(request, fault);
        request.body().drain();
        if (fault.loseAnswer) {
            throw new Cut();
        }
        answer.header("X-Request-Id", String.format("Root=1-fake-%08d", entry.number()));
        fault.headers.entries().forEach(header -> answer.header(header.getKey(), header.getValue()));
        answer.gzipOrShorten(fault);
        fault.withoutHeaders.forEach(answer.headers()::remove);
        boolean keep = request.keepAlive()
                && fault.contentLength < 0
                && (answer.headers().has("Content-Length") || answer.headers().has("Transfer-Encoding"));
        if (!keep) {
            answer.header("Connection", "close");
        }
        entry.answered(answer);
        write(head(answer));
        if (!request.isHead()) {
            sender.body(answer, !faultyUpload);
        }
        return keep;
    }

    private Answer answer(Request request, Fault fault) throws IOException, InterruptedException {
        if (fault.status != 0) {
            return fault.answer();
        }
        try {
            return handler.handle(request);
        } catch (HubError e) {
            return Answer.error(e);
        } catch (RuntimeException e) {
            // A defect of the fake itself must be seen in the test that hits it.
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            return Answer.text(500, "defect of the fake hub: " + trace);
        }
    }

    private static String head(Answer answer) {
        StringBuilder head =
                new StringBuilder("HTTP/1.1 " + answer.status() + " " + Reason.of(answer.status()) + "\r\n");
        for (Map.Entry<String, String> header : answer.headers().entries()) {
            head.append(header.getKey()).append(": ").append(header.getValue()).append("\r\n");
        }
        return head.append("\r\n").toString();
    }

    private void write(String text) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
