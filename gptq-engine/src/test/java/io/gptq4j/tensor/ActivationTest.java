package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.pytorch.jni.JniUtils;
import io.gptq4j.gptq.Samples;
import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Functions of single elements where libtorch's threads do not share a tensor out in whole vectors. */
class ActivationTest extends CpuTest {
    private static final int[] THREADS = {2, 3, 5, 6, 7, 12};

    @ParameterizedTest
    @EnumSource(
            value = FloatType.class,
            names = {"FLOAT32", "BFLOAT16"})
    void isTheSameOnAnyNumberOfThreads(FloatType type) {
        for (String function : new String[] {"silu", "gelu", "gelu_tanh", "relu", "relu_squared", "quick_gelu"}) {
            for (int size : new int[] {63, 32_767, 32_781, 65_546, 98_307, 131_072, 299_993, 1 << 20}) {
                float[] one = activated(1, function, size, type);
                for (int threads : THREADS) {
                    assertThat(Arrays.mismatch(activated(threads, function, size, type), one))
                            .as("the first other element of %d under %s on %d threads, seed 1", size, function, threads)
                            .isEqualTo(-1);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {33_000, 70_001})
    void theGateOfSharedExpertsIsTheSameOnAnyNumberOfThreads(int tokens) {
        float[] one = gate(1, tokens);
        for (int threads : THREADS) {
            assertThat(Arrays.mismatch(gate(threads, tokens), one))
                    .as("the first other one of %d tokens on %d threads, seed 2", tokens, threads)
                    .isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = FloatType.class,
            names = {"FLOAT32", "BFLOAT16"})
    void aScaledSumIsTheSameOnAnyNumberOfThreads(FloatType type) {
        for (int size : new int[] {65_546, 299_993}) {
            float[] one = scaledSum(1, size, type);
            for (int threads : THREADS) {
                assertThat(Arrays.mismatch(scaledSum(threads, size, type), one))
                        .as("the first other element of %d on %d threads, seeds 3 and 4", size, threads)
                        .isEqualTo(-1);
            }
        }
    }

    private static float[] activated(int threads, String function, int size, FloatType type) {
        return on(
                threads,
                scope -> plain(
                        scope,
                        scope.call("decoder", "activate", typed(scope, 1, size, type), function, scope.threads()),
                        type));
    }

    private static float[] scaledSum(int threads, int size, FloatType type) {
        return on(threads, scope -> {
            Tensor x = typed(scope, 3, size, type);
            return plain(scope, scope.call("decoder", "add_to", x, typed(scope, 4, size, type), 0.22), type);
        });
    }

    private static Tensor typed(Scope scope, long seed, int size, FloatType type) {
        Tensor bytes = scope.call("tensors", "to_bytes", scope.floats(Samples.gaussians(seed, size), size));
        return scope.call("tensors", "decode_as", bytes, FloatType.FLOAT32, type, new long[] {size});
    }

    private static Tensor plain(Scope scope, Tensor x, FloatType type) {
        Tensor bytes = scope.call("tensors", "to_bytes", x);
        return scope.call("tensors", "decode_as", bytes, type, FloatType.FLOAT32, x.shape());
    }

    private static float[] gate(int threads, int tokens) {
        return on(
                threads,
                scope -> scope.call("experts", "logistic", scope.floats(Samples.gaussians(2, tokens), tokens, 1)));
    }

    private static float[] on(int threads, Function<Scope, Tensor> function) {
        int before = JniUtils.getNumThreads();
        JniUtils.setNumThreads(threads);
        try (Scope scope = torch.scope()) {
            return function.apply(scope).toFloats();
        } finally {
            JniUtils.setNumThreads(before);
        }
    }
}
