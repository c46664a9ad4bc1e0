package io.gptq4j.hub.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WorkersTest {
    private final Queue<Integer> begun = new ConcurrentLinkedQueue<>();

    @Test
    void doesEverything() throws IOException {
        List<Integer> items = IntStream.range(0, 100).boxed().toList();
        new Workers("test", 4, () -> {}).run(items, begun::add);
        assertThat(begun).containsExactlyInAnyOrderElementsOf(items);
    }

    @Test
    void beginsNothingAfterAFailure() {
        Workers workers = new Workers("test", 1, () -> {});
        assertThatThrownBy(() -> workers.run(IntStream.range(0, 100_000).boxed().toList(), item -> {
                    begun.add(item);
                    if (item == 2) {
                        throw new IOException("the third");
                    }
                }))
                .isInstanceOf(IOException.class)
                .hasMessage("the third");
        assertThat(begun).containsExactly(0, 1, 2);
    }
}
