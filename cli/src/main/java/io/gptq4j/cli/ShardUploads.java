package io.gptq4j.cli;

import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.jspecify.annotations.Nullable;

/**
 * Uploads weight files while others are being made, on a thread of its own. One file may wait beside the one on its way; the
 * next holds the run back, so that a slow line does not fill the disk. After a failure nothing more is uploaded.
 *
 * <p>Given files by one thread at a time; {@link #requireAlive} may be called by any.
 */
final class ShardUploads implements ArtifactWriter.ShardListener, AutoCloseable {
    private static final int WAITING = 1;
    /** One that waits, one on its way, one that is being given. */
    private static final int AT_A_TIME = WAITING + 2;

    private static final long GRACE_MILLIS = 8_000;

    private final Stage stage;
    private final CommitRequest target;
    private final boolean keeps;
    private final BlockingQueue<List<Path>> queue = new ArrayBlockingQueue<>(WAITING);
    private final Thread thread = new Thread(this::work, "upload");
    private final List<CommitOperation.Staged> staged = new ArrayList<>(); // of the thread until it has ended
    private volatile @Nullable IOException failure;
    private volatile boolean closed;

    /** Uploads what a request adds, see {@link io.gptq4j.hub.HubClient#stage}. */
    @FunctionalInterface
    interface Stage {
        /** Gives the request with what to name instead. */
        CommitRequest of(CommitRequest request) throws IOException;
    }

    /**
     * Begins to wait for files.
     *
     * @param stage uploads
     * @param target the commit to come
     * @param keeps whether files stay after their upload, and the run goes on after a failure
     */
    ShardUploads(Stage stage, CommitRequest target, boolean keeps) {
        this.stage = stage;
        this.target = target;
        this.keeps = keeps;
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void finished(Path file) throws IOException {
        requireAlive();
        put(List.of(file));
    }

    @Override
    public int most() {
        return keeps ? Integer.MAX_VALUE : AT_A_TIME;
    }

    /**
     * Ends a run whose files could go nowhere.
     *
     * @throws IOException what ended the uploads, unless files stay here
     */
    void requireAlive() throws IOException {
        IOException failed = failure;
        if (failed != null && !keeps) {
            throw failed;
        }
    }

    /** Waits for the uploads that are left, however they end. */
    void await() throws IOException {
        put(List.of());
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    /**
     * What the commit is to name; only after {@link #await}.
     *
     * @throws IOException what ended the uploads
     */
    List<CommitOperation.Staged> staged() throws IOException {
        IOException failed = failure;
        if (failed != null) {
            throw failed;
        }
        return List.copyOf(staged);
    }

    /** Breaks off what is on its way, so that nothing of the files is read afterwards. */
    @Override
    public void close() {
        closed = true;
        thread.interrupt();
        boolean interrupted = Thread.interrupted();
        try {
            thread.join(GRACE_MILLIS);
        } catch (InterruptedException e) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void put(List<Path> files) throws IOException {
        try {
            queue.put(files);
        } catch (InterruptedException e) {
            throw interrupted();
        }
    }

    private static InterruptedIOException interrupted() {
        Thread.currentThread().interrupt();
        return new InterruptedIOException("Interrupted during an upload");
    }

    /** Takes files until there is an empty list; after a failure for nothing, so that nobody waits for ever. */
    private void work() {
        try {
            for (List<Path> files = queue.take(); !files.isEmpty(); files = queue.take()) {
                for (Path file : files) {
                    if (failure == null) {
                        upload(file);
                    }
                }
                if (closed) { // the interrupt may have been used up by the upload
                    return;
                }
            }
        } catch (InterruptedException e) {
            failure = new InterruptedIOException("Interrupted during an upload");
        }
    }

    private void upload(Path file) {
        String name = String.valueOf(file.getFileName());
        try {
            CommitRequest named = stage.of(target.changing(List.of(new CommitOperation.Add(name, file))));
            for (CommitOperation operation : named.operations()) {
                if (operation instanceof CommitOperation.Staged uploaded) {
                    staged.add(uploaded);
                    if (!keeps) {
                        Files.delete(file);
                    }
                }
            }
        } catch (IOException e) {
            failure = e;
        } catch (RuntimeException | Error e) { // else the run would wait for this thread for ever
            failure = new IOException("The upload of " + name + " failed unexpectedly: " + e, e);
        }
    }
}
