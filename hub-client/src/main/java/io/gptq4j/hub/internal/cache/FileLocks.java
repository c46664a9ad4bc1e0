package io.gptq4j.hub.internal.cache;

import io.gptq4j.hub.internal.io.AtomicFiles;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One download of a blob at a time, over all threads and processes of ours. A convenience, not a condition: names of
 * temporary files and atomic renames keep the cache right where locks do not work, as on some network file systems, or
 * where the other process is huggingface_hub, whose locks Java does not see. Safe for concurrent use.
 */
public final class FileLocks {
    private static final Logger LOG = LoggerFactory.getLogger(FileLocks.class);
    private static final long POLL_MILLIS = 100;
    private static final int POLLS_BEFORE_FIRST = 20;
    private static final int POLLS_PER_MESSAGE = 600;

    private final Map<Path, ReentrantLock> threads = new ConcurrentHashMap<>();

    /** A lock that is held, or the knowledge that locks do not work here. */
    public static final class Lease implements Closeable {
        private final ReentrantLock thread;
        private final @Nullable FileChannel channel;

        private Lease(ReentrantLock thread, @Nullable FileChannel channel) {
            this.thread = thread;
            this.channel = channel;
        }

        /** Whether no other process of ours holds the lock. */
        public boolean isExclusive() {
            return channel != null;
        }

        @Override
        public void close() throws IOException {
            try {
                if (channel != null) {
                    channel.close();
                }
            } finally {
                thread.unlock();
            }
        }
    }

    /** Waits for the lock, however long it takes. */
    public Lease acquire(Path lockFile) throws IOException {
        ReentrantLock thread = threads.computeIfAbsent(lockFile.toAbsolutePath(), path -> new ReentrantLock());
        try {
            thread.lockInterruptibly();
        } catch (InterruptedException e) {
            throw interrupted();
        }
        boolean held = false;
        try {
            Lease lease = new Lease(thread, lockedChannel(lockFile));
            held = true;
            return lease;
        } finally {
            if (!held) {
                thread.unlock();
            }
        }
    }

    private static @Nullable FileChannel lockedChannel(Path lockFile) throws IOException {
        FileChannel channel;
        try {
            Files.createDirectories(AtomicFiles.parent(lockFile));
            channel = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        } catch (IOException e) {
            LOG.debug("No lock at {}", lockFile, e);
            return null;
        }
        boolean locked = false;
        try {
            for (int polls = 0; !tryLock(channel); polls++) {
                if (polls % POLLS_PER_MESSAGE == POLLS_BEFORE_FIRST) {
                    LOG.warn("Waiting for another download that holds {}", lockFile);
                }
                TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
            }
            locked = true;
            return channel;
        } catch (InterruptedException | ClosedByInterruptException e) {
            throw interrupted();
        } catch (IOException e) {
            LOG.debug("Locks do not work at {}", lockFile, e);
            return null;
        } finally {
            if (!locked) {
                channel.close();
            }
        }
    }

    /** Polls, because a blocking lock would fail rather than wait for another client in this Java machine. */
    private static boolean tryLock(FileChannel channel) throws IOException {
        try {
            FileLock lock = channel.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException sameMachine) {
            return false;
        }
    }

    private static InterruptedIOException interrupted() {
        Thread.currentThread().interrupt();
        return new InterruptedIOException("Interrupted while waiting for another download");
    }
}
