package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TensorStoreTest {
    private static Torch torch;

    @TempDir
    private Path scratch;

    @BeforeAll
    static void open() {
        torch = Torch.open("cpu", 10); // so that every tensor below moves in several parts
    }

    @AfterAll
    static void close() {
        torch.close();
    }

    private static float[] values(int seed) {
        float[] values = new float[12];
        for (int i = 0; i < values.length; i++) {
            values[i] = seed + i / 16f;
        }
        return values;
    }

    @ParameterizedTest(name = "{0} bytes of memory")
    @ValueSource(longs = {0, 47, 48, 100, 1000}) // a tensor takes 48
    void givesBackWhatWasPutInWhereverItWas(long memory) throws Exception {
        TensorStore.Budget budget = new TensorStore.Budget(0, memory, scratch);
        try (Scope scope = torch.scope();
                TensorStore store = new TensorStore(scope, budget)) {
            for (int round = 0; round < 3; round++) {
                List<TensorStore.Kept> kept = new ArrayList<>();
                for (int i = 0; i < 5; i++) {
                    kept.add(store.put(scope.floats(values(100 * round + i), 3, 4)));
                    assertThat(store.inMemory()).isLessThanOrEqualTo(memory);
                }
                for (int i = 4; i >= 0; i--) {
                    try (Tensor tensor = kept.get(i).take(scope)) {
                        assertThat(tensor.shape()).containsExactly(3, 4);
                        assertThat(tensor.toFloats()).containsExactly(values(100 * round + i));
                    }
                }
                assertThat(store.inMemory()).isZero();
            }
            long inMemory = Math.min(5, memory / 48);
            assertThat(store.peakFile()).as("places of the file are used again").isEqualTo((5 - inMemory) * 48);
        }
        try (Stream<Path> left = Files.list(scratch)) {
            assertThat(left).isEmpty();
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    @Test
    void keepsTheTypeOfWhatIsInTheFile() throws Exception {
        try (Scope scope = torch.scope();
                TensorStore store = new TensorStore(scope, new TensorStore.Budget(0, 0, scratch))) {
            Tensor halves = converted(scope, scope.floats(values(3), 12), FloatType.FLOAT32, FloatType.BFLOAT16);
            Tensor back = store.put(halves).take(scope);
            assertThat(scope.call("tensors", "type_and_width", back).toLongs()).containsExactly(15, 2);
            assertThat(converted(scope, back, FloatType.BFLOAT16, FloatType.FLOAT32)
                            .toFloats())
                    .containsExactly(values(3));
            assertThat(store.peakFile()).isEqualTo(24);
        }
    }

    private static Tensor converted(Scope scope, Tensor twelve, FloatType from, FloatType to) {
        return scope.call("tensors", "decode_as", twelve, from, to, new long[] {12});
    }

    @Test
    void saysWhereThereIsNoPlace() throws Exception {
        Path nowhere = scratch.resolve("missing");
        try (Scope scope = torch.scope();
                TensorStore store = new TensorStore(scope, new TensorStore.Budget(0, 0, nowhere))) {
            assertThatThrownBy(() -> store.put(scope.floats(values(1), 12)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("missing");
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    @Test
    void refusesANegativeBudget() {
        assertThatThrownBy(() -> new TensorStore.Budget(0, -1, scratch))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("A budget cannot be negative: 0 on the device, -1 on the host");
    }
}
