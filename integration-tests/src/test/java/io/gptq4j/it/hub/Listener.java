package io.gptq4j.it.hub;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** A port of the loopback interface, with a thread for each connection. */
final class Listener implements AutoCloseable {
    private static final int BACKLOG = 512;
    private static final long MILLIS_TO_END = 2000;

    private final String name;
    private final ExchangeLog log;
    private final Faults faults;
    private final Connection.Handler handler;
    private final AtomicLong connections;
    private final List<SocketChannel> open = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private ServerSocketChannel server;
    private final int port;

    Listener(String name, int port, ExchangeLog log, Faults faults, AtomicLong connections, Connection.Handler handler)
            throws IOException {
        this.name = name;
        this.log = log;
        this.faults = faults;
        this.connections = connections;
        this.handler = handler;
        this.server = bind(port);
        this.port = ((InetSocketAddress) server.getLocalAddress()).getPort();
        accept(server);
    }

    private static ServerSocketChannel bind(int port) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open();
        server.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        return server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), BACKLOG);
    }

    String url() {
        return "http://127.0.0.1:" + port;
    }

    private void accept(ServerSocketChannel listening) {
        start("fake-" + name, () -> {
            try {
                while (true) {
                    serve(listening.accept());
                }
            } catch (IOException e) {
                // Closed: this is how it ends.
            }
        });
    }

    private synchronized void serve(SocketChannel channel) throws IOException {
        if (!server.isOpen()) {
            channel.close();
            return;
        }
        open.removeIf(other -> !other.isOpen());
        threads.removeIf(thread -> !thread.isAlive());
        open.add(channel);
        long number = connections.incrementAndGet();
        threads.add(start("fake-" + name + "-" + number, new Connection(channel, number, name, log, faults, handler)));
    }

    private static Thread start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** Listens again on the same port. */
    synchronized void reopen() throws IOException {
        if (!server.isOpen()) {
            server = bind(port);
            accept(server);
        }
    }

    /** Stops listening and cuts every connection. */
    @Override
    public void close() {
        List<Thread> ending;
        synchronized (this) {
            try {
                server.close();
                for (SocketChannel channel : open) {
                    channel.close();
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            ending = List.copyOf(threads);
            ending.forEach(Thread::interrupt);
            open.clear();
            threads.clear();
        }
        try {
            for (Thread thread : ending) {
                thread.join(MILLIS_TO_END);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
