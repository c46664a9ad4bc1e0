package io.gptq4j.it.hub;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A hub and its storage on two ports of the loopback interface. Thread-safe.
 *
 * <p>Two accounts: alice ({@link #WRITE_TOKEN}, writes to {@code alice/} and {@code acme/}) and bob ({@link #READ_TOKEN},
 * only reads). Every other token is refused.
 */
public final class FakeHub implements AutoCloseable {
    /** Alice's token. */
    public static final String WRITE_TOKEN = "hf_fakewrite";

    /** Bob's token. */
    public static final String READ_TOKEN = "hf_fakeread";

    /** What {@code /resolve} answers for a small file. */
    public enum ResolveStyle {
        /** 307 to {@code /api/resolve-cache}, as the real service mostly does. */
        CACHE,
        /** 200 with the content. */
        DIRECT
    }

    /** Settings of a hub; each has a default. */
    public static final class Builder {
        private int pageSize = 1000;
        private long lfsThreshold = 10_000_000;
        private long multipartThreshold = 64_000_000;
        private long chunkSize = 16_000_000;
        private ResolveStyle resolveStyle = ResolveStyle.CACHE;
        private boolean cdnSameHost;
        private boolean xet;
        private @Nullable Path dataDirectory;
        private int port;
        private int cdnPort;

        private Builder() {}

        /** Entries on a page of a listing; 50 at most where the listing is expanded. */
        public Builder pageSize(int entries) {
            pageSize = entries;
            return this;
        }

        /** Files above this many bytes are LFS files whatever their names are. */
        public Builder lfsThreshold(long bytes) {
            lfsThreshold = bytes;
            return this;
        }

        /** Objects above this many bytes are uploaded in parts. */
        public Builder multipartThreshold(long bytes) {
            multipartThreshold = bytes;
            return this;
        }

        /** Bytes of a part. */
        public Builder chunkSize(long bytes) {
            chunkSize = bytes;
            return this;
        }

        public Builder resolveStyle(ResolveStyle style) {
            resolveStyle = style;
            return this;
        }

        /** Serves the storage on the hub's own port. */
        public Builder cdnSameHost(boolean same) {
            cdnSameHost = same;
            return this;
        }

        /** Advertises Xet on LFS files. */
        public Builder xet(boolean advertised) {
            xet = advertised;
            return this;
        }

        /** Where objects lie; without it, in a temporary directory that {@link FakeHub#close} deletes. */
        public Builder dataDirectory(Path directory) {
            dataDirectory = directory;
            return this;
        }

        /** The hub's port; 0, the default, takes a free one. */
        public Builder port(int number) {
            port = number;
            return this;
        }

        /** The storage's port; 0, the default, takes a free one. */
        public Builder cdnPort(int number) {
            cdnPort = number;
            return this;
        }

        public FakeHub start() {
            Options options =
                    new Options(pageSize, lfsThreshold, multipartThreshold, chunkSize, resolveStyle, cdnSameHost, xet);
            try {
                return new FakeHub(options, dataDirectory, port, cdnPort);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private final HubState state;
    private final ExchangeLog log = new ExchangeLog();
    private final Faults faults = new Faults();
    private final Listener hub;
    private final Listener cdn;
    private final @Nullable Path temporary;
    private final String storageUrl;

    private FakeHub(Options options, @Nullable Path dataDirectory, int port, int cdnPort) throws IOException {
        temporary = dataDirectory == null ? Files.createTempDirectory("fake-hub") : null;
        state = new HubState(options, dataDirectory != null ? dataDirectory : temporaryOrFail());
        Storage storage = new Storage(state, new Uploads());
        AtomicLong connections = new AtomicLong();
        hub = new Listener("hub", port, log, faults, connections, new HubRoutes(state, storage));
        cdn = new Listener("cdn", cdnPort, log, faults, connections, storage);
        storageUrl = options.cdnSameHost() ? hub.url() : cdn.url();
        state.listensAt(hub.url(), storageUrl);
    }

    private Path temporaryOrFail() {
        if (temporary == null) {
            throw new IllegalStateException("there is no temporary directory");
        }
        return temporary;
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Settings by which files of more than two megabytes go up in parts of one. */
    public static Builder inParts() {
        return builder().multipartThreshold(2_000_000).chunkSize(1_000_000);
    }

    /** A hub with the default settings. */
    public static FakeHub start() {
        return builder().start();
    }

    /** The hub, such as {@code http://127.0.0.1:40467}: a value for HF_ENDPOINT. */
    public String url() {
        return hub.url();
    }

    /** The storage; the same as {@link #url} with {@link Builder#cdnSameHost}. */
    public String cdnUrl() {
        return storageUrl;
    }

    /** The model repository of this id; it is made, with its initial commit, if it is missing. */
    public FakeRepo repo(String id) {
        return repo("model", id);
    }

    /** The repository of this type ({@code model}, {@code dataset} or {@code space}) and id, made if it is missing. */
    public FakeRepo repo(String type, String id) {
        return state.createOrGet(RepoType.ofWord(type), id);
    }

    /** Whether there is a repository of this type and id now. */
    public boolean hasRepo(String type, String id) {
        return state.find(RepoType.ofWord(type), id) != null;
    }

    /** Arms a fault; the first armed one that matches a request is used. */
    public FakeHub fault(Fault fault) {
        faults.add(fault);
        return this;
    }

    public void clearFaults() {
        faults.clear();
    }

    /** Faults that have not been used up. */
    public List<Fault> pendingFaults() {
        return faults.pending();
    }

    /** From now on every storage URL and upload that was handed out before is refused with 403. */
    public void expireSignatures() {
        state.signatures().expire();
    }

    /** Everything that was asked since the start or {@link #clearLog}, in the order of arrival. */
    public List<Exchange> log() {
        return log.all();
    }

    /** The exchanges of this method ({@code *} for any) whose raw path contains this text. */
    public List<Exchange> requests(String method, String pathPart) {
        return log.all().stream()
                .filter(exchange -> method.equals("*") || exchange.method().equals(method))
                .filter(exchange -> exchange.path().contains(pathPart))
                .toList();
    }

    public void clearLog() {
        log.clear();
    }

    /** Bytes of answers' bodies sent for raw paths that contain this text. */
    public long bytesSent(String pathPart) {
        return requests("*", pathPart).stream().mapToLong(Exchange::sentBytes).sum();
    }

    /** Waits until all exchanges have ended, also those whose client is gone; for at most half a minute. */
    public void awaitIdle() throws InterruptedException, TimeoutException {
        log.awaitIdle(Duration.ofSeconds(30));
    }

    /** Refuses connections, and cuts those there are, until {@link #comeUp}; the state stays. */
    public void goDown() {
        hub.close();
        cdn.close();
    }

    /** Listens again on the same ports. */
    public void comeUp() {
        try {
            hub.reopen();
            cdn.reopen();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        goDown();
        if (temporary != null) {
            try (Stream<Path> files = Files.walk(temporary)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
