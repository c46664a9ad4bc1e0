package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.pytorch.jni.JniUtils;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class HalvesTest extends CpuTest {
    private final Halves halves = new Halves(false);
    private final List<String> done = Collections.synchronizedList(new ArrayList<>());
    private int threads;

    @BeforeEach
    void useFourThreads() {
        threads = JniUtils.getNumThreads();
        JniUtils.setNumThreads(4);
    }

    @AfterEach
    void close() {
        Thread.interrupted();
        JniUtils.setNumThreads(threads);
        halves.close();
    }

    @Test
    void givesEveryOtherBatchToASecondThreadInOrder() throws Exception {
        Thread caller = Thread.currentThread();
        halves.forEach(5, (batch, half) -> {
            assertThat(Thread.currentThread() == caller).isEqualTo(half == 0);
            done.add(half + ":" + batch);
        });
        assertThat(done).containsExactlyInAnyOrder("0:0", "1:1", "0:2", "1:3", "0:4");
        assertThat(done).containsSubsequence("0:0", "0:2", "0:4").containsSubsequence("1:1", "1:3");
    }

    @Test
    void runsBothAtTheSameTime() throws Exception {
        CountDownLatch both = new CountDownLatch(2);
        halves.forEach(2, (batch, half) -> {
            both.countDown();
            await(both);
        });
        assertThat(both.getCount()).isZero();
    }

    @Test
    void sharesTheThreadsOfLibtorchOutAndGivesThemBack() throws Exception {
        halves.forEach(2, (batch, half) -> done.add(half + ":" + JniUtils.getNumThreads()));
        assertThat(done).containsExactlyInAnyOrder("0:2", "1:2");
        assertThat(JniUtils.getNumThreads()).isEqualTo(4);
    }

    @Test
    void countsTheHalvesAlikeWhereThereIsOneThread() throws Exception {
        JniUtils.setNumThreads(1);
        Thread caller = Thread.currentThread();
        halves.forEach(3, (batch, half) -> {
            assertThat(Thread.currentThread()).isSameAs(caller);
            done.add(half + ":" + batch);
        });
        assertThat(done).containsExactly("0:0", "1:1", "0:2");
    }

    @Test
    void isOneOnAGpu() throws Exception {
        try (Halves gpu = new Halves(true)) {
            assertThat(gpu.count()).isEqualTo(1);
            gpu.forEach(3, (batch, half) -> done.add(half + ":" + batch));
        }
        assertThat(done).containsExactly("0:0", "0:1", "0:2");
    }

    @Test
    void letsTheOtherHalfEndItsBatchBeforeItFails() {
        Thread caller = Thread.currentThread();
        CountDownLatch underWay = new CountDownLatch(1);
        assertThatThrownBy(() -> halves.forEach(6, (batch, half) -> {
                    if (half == 0) {
                        while (underWay.getCount() > 0) {
                            Thread.onSpinWait();
                        }
                        throw new IOException("batch " + batch);
                    }
                    underWay.countDown();
                    awaitEndOf(caller);
                    done.add(half + ":" + batch);
                }))
                .isInstanceOf(IOException.class)
                .hasMessage("batch 0");
        assertThat(done).containsExactly("1:1");
        assertThat(JniUtils.getNumThreads()).isEqualTo(4);
    }

    @Test
    void tellsTheOtherHalfsFailureOrItsOwnFirst() {
        assertThatThrownBy(() -> halves.forEach(4, (batch, half) -> {
                    if (batch == 3) {
                        throw new IllegalStateException("batch 3");
                    }
                }))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("batch 3");
        CountDownLatch underWay = new CountDownLatch(2);
        assertThatThrownBy(() -> halves.forEach(4, (batch, half) -> {
                    underWay.countDown();
                    await(underWay);
                    throw new IllegalStateException("half " + half);
                }))
                .hasMessage("half 0")
                .satisfies(failure -> assertThat(failure.getSuppressed())
                        .extracting(Throwable::getMessage)
                        .containsExactly("half 1"));
    }

    @Test
    void stopsTheOtherHalfWhenTheCallerIsInterrupted() {
        Thread caller = Thread.currentThread();
        CountDownLatch underWay = new CountDownLatch(1);
        assertThatThrownBy(() -> halves.forEach(1000, (batch, half) -> {
                    if (half == 0) {
                        while (underWay.getCount() > 0) {
                            Thread.onSpinWait();
                        }
                        caller.interrupt();
                        throw new CancellationException("Interrupted.");
                    }
                    underWay.countDown();
                    awaitEndOf(caller);
                    done.add(half + ":" + batch);
                }))
                .isInstanceOf(CancellationException.class);
        assertThat(done).containsExactly("1:1");
        assertThat(caller.isInterrupted()).isTrue();
    }

    /** Until the caller has done its half and waits for the other one. */
    private static void awaitEndOf(Thread caller) {
        while (caller.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
