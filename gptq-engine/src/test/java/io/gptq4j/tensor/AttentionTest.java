package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.gptq.Samples;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Causal attention, which goes its own way where windows are of a length that the operator is slow with. */
class AttentionTest {
    private static final int WINDOWS = 2;
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int SIZE = 8;

    /** A mask that hides what comes later says the same, and is another branch of the library. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 64, 65, 127, 128, 300, 511, 512, 513})
    void isThatOfAMaskThatHidesWhatComesLater(int tokens) {
        try (Torch torch = Torch.open("cpu");
                Scope scope = torch.scope()) {
            Tensor q = heads(scope, 1, tokens, HEADS);
            Tensor k = heads(scope, 2, tokens, KEY_HEADS);
            Tensor v = heads(scope, 3, tokens, KEY_HEADS);
            Tensor mask = scope.call("decoder", "window_mask", q, tokens, tokens);
            Tensor y = scope.call("decoder", "attend", q, k, v, 0.3); // [B, T, H * D]
            assertThat(y.shape()).containsExactly(WINDOWS, tokens, HEADS * SIZE);
            assertThat(y.toFloats())
                    .as("seeds 1, 2 and 3")
                    .containsExactly(
                            scope.call("decoder", "attend_masked", q, k, v, mask, 0.3)
                                    .toFloats(),
                            within(2e-6f));
        }
    }

    /** [B, heads, T, D] */
    private static Tensor heads(Scope scope, int seed, int tokens, int heads) {
        float[] values = Samples.gaussians(seed, WINDOWS * tokens * heads * SIZE);
        return scope.call("decoder", "heads", scope.floats(values, WINDOWS, tokens, (long) heads * SIZE), heads);
    }
}
