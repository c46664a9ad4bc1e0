package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.format.Half;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqSolverTest {
    private static Torch torch;

    @BeforeAll
    static void open() {
        torch = Torch.open("cpu");
    }

    @AfterAll
    static void close() {
        torch.close();
    }

    private static float[] gaussians(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Correlated inputs [tokens, in]: each channel leans on the one before it, and channel 3 is an outlier. */
    private static float[] inputs(long seed, int tokens, int in) {
        float[] x = gaussians(seed, tokens * in);
        for (int i = 0; i < x.length; i++) {
            if (i % in > 0) {
                x[i] += 0.7f * x[i - 1];
            }
        }
        for (int t = 0; t < tokens; t++) {
            x[t * in + 3] *= 10;
        }
        return x;
    }

    private static GptqOptions options(int bits, int group, boolean actOrder, boolean staticGroups) {
        return new GptqOptions(bits, group, true, actOrder, staticGroups, 0.01, 0, 128, false);
    }

    @ParameterizedTest(name = "{0} bits, sym {1}, blocksize {2}, seed 7")
    @CsvSource({"2,true,128", "3,false,128", "4,true,32", "4,false,1", "8,true,64"})
    void kernelGivesThePlainJavaCodes(int bits, boolean sym, int blocksize) {
        int in = 192;
        int rows = 24;
        int maxq = (1 << bits) - 1;
        float[] w = gaussians(7, rows * in);
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(8, 400, in), 400, in));
            Tensor u = scope.callAll("gptq", "factor", hessian.sum(), 4.0).get(0);
            Tensor wt = scope.call("gptq", "stacked", List.of(scope.floats(w, rows, in)));
            List<Tensor> grids = scope.callAll("gptq", "grids", wt, 64, maxq, sym, 0.0, false);
            int[] groups = IntStream.range(0, in).map(i -> i / 64).toArray();
            byte[][] codes = scope.callAll(
                            "gptq",
                            "solve",
                            wt,
                            u,
                            grids.get(0),
                            grids.get(1),
                            Arrays.stream(groups).asLongStream().toArray(),
                            0,
                            maxq,
                            sym,
                            0.0,
                            false,
                            blocksize)
                    .get(0)
                    .toByteRows(); // [in][rows]

            float[] flat = u.toFloats();
            float[][] factor = new float[in][];
            Arrays.setAll(factor, i -> Arrays.copyOfRange(flat, i * in, (i + 1) * in));
            float[] scale = grids.get(0).toFloats(); // [groups][rows]
            float[] zero = grids.get(1).toFloats();
            int differing = 0;
            for (int r = 0; r < rows; r++) {
                int row = r;
                float[] s = new float[in / 64];
                float[] z = new float[in / 64];
                for (int g = 0; g < s.length; g++) {
                    s[g] = scale[g * rows + row];
                    z[g] = zero[g * rows + row];
                }
                int[] expected = RowSolver.solve(
                        Arrays.copyOfRange(w, r * in, (r + 1) * in), factor, groups, s, z, maxq, blocksize);
                for (int i = 0; i < in; i++) {
                    differing += (codes[i][row] & 0xff) != expected[i] ? 1 : 0;
                }
            }
            // Only the product after each block sums in another order; one such last bit may tip a code and what
            // follows it.
            assertThat(differing).isLessThanOrEqualTo(rows * in / 500);
        }
    }

    @Test
    void factorIsTheCholeskyFactorOfTheInverse() {
        int in = 96;
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(11, 300, in), 300, in));
            float[] h = hessian.sum().toFloats();
            float[] u =
                    scope.callAll("gptq", "factor", hessian.sum(), 3.0).get(0).toFloats();
            for (int i = 0; i < in; i++) { // U^T U (H + 3 I) = I, and U is upper triangular
                for (int j = 0; j < in; j++) {
                    if (j < i) {
                        assertThat(u[i * in + j]).isZero();
                    }
                    double sum = 0;
                    for (int k = 0; k < in; k++) {
                        double inverse = 0;
                        for (int l = 0; l < in; l++) {
                            inverse += (double) u[l * in + i] * u[l * in + k];
                        }
                        sum += inverse * (h[k * in + j] + (k == j ? 3.0 : 0));
                    }
                    assertThat(sum).isCloseTo(i == j ? 1 : 0, within(2e-3));
                }
            }
        }
    }

    @Test
    void swapsInExactlyWhatTheArtifactStores() {
        int in = 128;
        int out = 64;
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(3, 256, in), 256, in));
            Tensor weight = scope.floats(gaussians(4, out * in), out, in);
            GptqSolver.Solved solved = new GptqSolver(options(4, 32, true, false))
                    .solve(scope, hessian, List.of(new GptqSolver.Module("m", weight)), FloatType.FLOAT32)
                    .modules()
                    .get(0);
            QuantizedLinear linear = solved.linear();
            float[] swapped = solved.weight().toFloats();
            for (int o = 0; o < out; o++) {
                for (int i = 0; i < in; i++) {
                    int g = linear.gIdx()[i];
                    float scale = Half.toFloat(linear.scales()[g][o]);
                    float expected = scale * ((linear.codes()[o][i] & 0xff) - (linear.zeros()[g][o] & 0xff));
                    assertThat(swapped[o * in + i]).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void modulesSolvedTogetherEqualModulesSolvedAlone() {
        int in = 128;
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(5, 256, in), 256, in));
            GptqSolver.Module q = new GptqSolver.Module("q", scope.floats(gaussians(6, 64 * in), 64, in));
            GptqSolver.Module k = new GptqSolver.Module("k", scope.floats(gaussians(7, 32 * in), 32, in));
            GptqSolver solver = new GptqSolver(options(4, 64, true, true));
            GptqSolver.Solution together = solver.solve(scope, hessian, List.of(q, k), FloatType.FLOAT32);
            GptqSolver.Solution alone = solver.solve(scope, hessian, List.of(k), FloatType.FLOAT32);
            assertThat(together.modules().get(1).linear().codes())
                    .isDeepEqualTo(alone.modules().get(0).linear().codes());
            assertThat(together.modules().get(1).linear().scales())
                    .isDeepEqualTo(alone.modules().get(0).linear().scales());
        }
    }

    @ParameterizedTest(name = "act-order {0}")
    @ValueSource(booleans = {false, true})
    void staticGroupsKeepGroupIndicesTrivial(boolean actOrder) {
        int[] gIdx = solve(options(4, 32, actOrder, true), inputs(9, 256, 128), 128)
                .linear()
                .gIdx();
        assertThat(gIdx).isEqualTo(IntStream.range(0, 128).map(i -> i / 32).toArray());
    }

    @Test
    void dynamicActOrderScattersGroupIndicesByFallingImportance() {
        int[] gIdx = solve(options(4, 32, true, false), inputs(9, 256, 128), 128)
                .linear()
                .gIdx();
        assertThat(gIdx[3]).as("the outlier channel is solved first").isZero();
        for (int g = 0; g < 4; g++) {
            int group = g;
            assertThat(Arrays.stream(gIdx).filter(i -> i == group).count()).isEqualTo(32);
        }
        assertThat(gIdx).isNotEqualTo(IntStream.range(0, 128).map(i -> i / 32).toArray());
    }

    @Test
    void deadInputsKeepTheirRoundedWeights() {
        int in = 64;
        float[] x = inputs(12, 200, in);
        for (int t = 0; t < 200; t++) {
            x[t * in + 17] = 0;
        }
        float[] w = gaussians(13, 32 * in);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(4, 64, false, true), x, w, in);
            float[] q = solution.modules().get(0).weight().toFloats();
            assertThat(solution.deadColumns()).isEqualTo(1);
            for (int o = 0; o < 32; o++) {
                QuantizedLinear linear = solution.modules().get(0).linear();
                float scale = Half.toFloat(linear.scales()[0][o]);
                assertThat(Math.abs(q[o * in + 17] - w[o * in + 17])).isLessThanOrEqualTo(scale * 0.5001f);
            }
        }
    }

    @Test
    void inputsThatAreAlwaysZeroGiveRoundingToNearest() {
        float[] w = gaussians(14, 32 * 64);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(8, 64, true, true), new float[100 * 64], w, 64);
            float[] q = solution.modules().get(0).weight().toFloats();
            for (int i = 0; i < w.length; i++) {
                assertThat(q[i]).isCloseTo(w[i], within(0.02f));
            }
        }
    }

    @Test
    void raisesTheDampingWhereTheHessianIsSingular() {
        int in = 64;
        float[] x = new float[2000 * in]; // rank one and huge: float32 loses the damping's 1e-9 share of it
        for (int i = 0; i < x.length; i++) {
            x[i] = 1e4f * (1 + i / in % 7);
        }
        GptqOptions faint = new GptqOptions(4, 64, true, true, true, 1e-9, 0, 128, false);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, faint, x, gaussians(15, 32 * in), in);
            assertThat(solution.dampPercent()).isGreaterThan(1e-9).isLessThan(1);
        }
    }

    @Test
    void refusesInputsThatAreNotNumbers() {
        float[] x = inputs(16, 100, 64);
        x[5] = Float.NaN;
        try (Scope scope = torch.scope()) {
            assertThatThrownBy(() -> solve(scope, options(4, 64, true, true), x, gaussians(17, 32 * 64), 64))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessageContaining("NaN or infinite");
        }
    }

    @Test
    void beatsRoundingToNearestOnTheInputsItSaw() {
        int in = 128;
        float[] x = inputs(18, 512, in);
        float[] w = gaussians(19, 32 * in);
        try (Scope scope = torch.scope()) {
            double gptq = outputError(w, solve(scope, options(3, 64, true, true), x, w, in), x, in);
            // An all-zero input leaves no feedback between columns, which is rounding to nearest.
            double rtn = outputError(w, solve(scope, options(3, 64, true, true), new float[in], w, in), x, in);
            assertThat(gptq).isLessThan(0.5 * rtn);
        }
    }

    private static double outputError(float[] w, GptqSolver.Solution solution, float[] x, int in) {
        float[] q = solution.modules().get(0).weight().toFloats();
        double sum = 0;
        for (int o = 0; o < w.length / in; o++) {
            for (int t = 0; t < x.length / in; t++) {
                double y = 0;
                for (int i = 0; i < in; i++) {
                    y += (double) (w[o * in + i] - q[o * in + i]) * x[t * in + i];
                }
                sum += y * y;
            }
        }
        return sum;
    }

    private static GptqSolver.Solved solve(GptqOptions options, float[] x, int in) {
        try (Scope scope = torch.scope()) {
            return solve(scope, options, x, gaussians(10, 32 * in), in)
                    .modules()
                    .get(0);
        }
    }

    private static GptqSolver.Solution solve(Scope scope, GptqOptions options, float[] x, float[] w, int in) {
        Hessian hessian = new Hessian(scope, in);
        hessian.add(scope.floats(x, x.length / in, in));
        Tensor weight = scope.floats(w, w.length / in, in);
        return new GptqSolver(options)
                .solve(scope, hessian, List.of(new GptqSolver.Module("m", weight)), FloatType.FLOAT32);
    }
}
