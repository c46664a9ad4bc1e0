package io.gptq4j.hub.internal.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileLocksTest {
    @TempDir
    Path folder;

    private Path lock() {
        return folder.resolve(".locks").resolve("models--a--b").resolve("etag.lock");
    }

    @Test
    void aLockIsAnEmptyFileThatStays() throws IOException {
        try (FileLocks.Lease lease = new FileLocks().acquire(lock())) {
            assertThat(lease.isExclusive()).isTrue();
        }
        assertThat(lock()).isEmptyFile();
        try (FileLocks.Lease again = new FileLocks().acquire(lock())) {
            assertThat(again.isExclusive()).isTrue();
        }
    }

    @Test
    void oneThreadAtATimeHoldsIt() throws IOException, ExecutionException, InterruptedException {
        FileLocks locks = new FileLocks();
        excludes(locks, locks);
    }

    @Test
    void oneClientAtATimeHoldsIt() throws IOException, ExecutionException, InterruptedException {
        excludes(new FileLocks(), new FileLocks());
    }

    private void excludes(FileLocks first, FileLocks second)
            throws IOException, ExecutionException, InterruptedException {
        AtomicInteger holders = new AtomicInteger();
        CountDownLatch started = new CountDownLatch(1);
        CompletableFuture<Integer> other;
        try (FileLocks.Lease held = first.acquire(lock())) {
            assertThat(held.isExclusive()).isTrue();
            other = CompletableFuture.supplyAsync(() -> {
                started.countDown();
                try (FileLocks.Lease lease = second.acquire(lock())) {
                    assertThat(lease.isExclusive()).isTrue();
                    return holders.get();
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            });
            started.await();
            holders.set(7);
        }
        assertThat(other.get()).isEqualTo(7);
    }

    @Test
    void whoWaitsCanBeInterrupted() throws IOException {
        try (FileLocks.Lease held = new FileLocks().acquire(lock())) {
            assertThat(held.isExclusive()).isTrue();
            Thread.currentThread().interrupt();
            assertThatThrownBy(() -> new FileLocks().acquire(lock())).isInstanceOf(InterruptedIOException.class);
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    @Test
    void whereLocksDoNotWorkTheLeaseSaysSo() throws IOException {
        Files.writeString(folder.resolve(".locks"), "no folder");
        FileLocks locks = new FileLocks();
        for (int time = 0; time < 2; time++) {
            try (FileLocks.Lease lease = locks.acquire(lock())) {
                assertThat(lease.isExclusive()).isFalse();
            }
        }
    }
}
