package io.gptq4j.gptq;

import static io.gptq4j.gptq.Samples.gaussians;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqSolverTest extends CpuTest {
    /** Correlated inputs [tokens, in]: each channel leans on the one before it, and channel 3 is an outlier. */
    private static float[] inputs(long seed, int tokens, int in) {
        float[] x = Samples.leaning(0.7f, seed, tokens, in);
        for (int t = 0; t < tokens; t++) {
            x[t * in + 3] *= 10;
        }
        return x;
    }

    private static GptqOptions options(int bits, int group, boolean actOrder, boolean staticGroups) {
        return new GptqOptions(bits, group, true, actOrder, staticGroups, 0.01, 0, 128, false);
    }

    @ParameterizedTest(name = "{0} bits, sym {1}, act-order {2}, static groups {3}, blocksize {4}, seed 7")
    @CsvSource({
        "2,true,true,true,128",
        "3,false,true,true,128",
        "4,true,true,true,128",
        "4,false,false,true,1",
        "4,true,false,false,100",
        "4,false,true,false,128",
        "8,true,true,true,64",
    })
    void kernelGivesThePlainJavaCodes(int bits, boolean sym, boolean actOrder, boolean staticGroups, int blocksize) {
        int in = 192;
        int rows = 24;
        int maxq = (1 << bits) - 1;
        float[] w = gaussians(7, rows * in);
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(8, 400, in), 400, in));
            GptqOptions options = new GptqOptions(bits, 64, sym, actOrder, staticGroups, 0.01, 0, blocksize, false);
            GptqSolver solver = new GptqSolver(options);
            GptqSolver.Factored factored = solver.factor(scope, hessian);
            GptqSolver.Rows solved = solver.solve(scope, factored, List.of(scope.floats(w, rows, in)));
            byte[][] codes = solved.codes().toByteRows(); // [in][rows]

            float[] flat = factored.u().toFloats();
            float[][] factor = new float[in][];
            Arrays.setAll(factor, i -> Arrays.copyOfRange(flat, i * in, (i + 1) * in));
            float[] scale = solved.scale().toFloats(); // [groups][rows]
            float[] zero = solved.zero().toFloats();
            int[] groups =
                    Arrays.stream(factored.order()).map(i -> solved.gIdx()[i]).toArray();
            for (int r = 0; r < rows; r++) {
                int row = r;
                float[] ordered = new float[in];
                for (int k = 0; k < in; k++) {
                    ordered[k] = w[row * in + factored.order()[k]];
                }
                float[] s = new float[in / 64];
                float[] z = new float[in / 64];
                for (int g = 0; g < s.length; g++) {
                    s[g] = scale[g * rows + row];
                    z[g] = zero[g * rows + row];
                }
                int[] expected = RowSolver.solve(ordered, factor, groups, s, z, maxq);
                int[] actual = Arrays.stream(factored.order())
                        .map(i -> codes[i][row] & 0xff)
                        .toArray();
                assertThat(actual).as("row " + row).isEqualTo(expected);
            }
        }
    }

    @ParameterizedTest(name = "{0} inputs")
    @ValueSource(ints = {1, 63, 96, 600}) // one block, part of one, several, and more than one block of blocks
    void factorIsTheCholeskyFactorOfTheInverse(int in) {
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(gaussians(11, 2 * in * in), 2 * in, in));
            float[] h = hessian.sum().toFloats();
            GptqSolver.Factored factored = new GptqSolver(options(4, -1, false, true)).factor(scope, hessian);
            float[] u = factored.u().toFloats();
            double scale = 2.0 / (2 * in);
            double damp = 0.01
                    * IntStream.range(0, in)
                            .mapToDouble(i -> scale * h[i * in + i])
                            .average()
                            .orElseThrow();
            double[][] inverse = new double[in][in]; // U^T U
            for (int l = 0; l < in; l++) {
                for (int i = l; i < in; i++) {
                    for (int k = l; k < in; k++) {
                        inverse[i][k] += (double) u[l * in + i] * u[l * in + k];
                    }
                }
            }
            for (int i = 0; i < in; i++) { // U^T U (H + damp I) = I, and H stays below the diagonal
                for (int j = 0; j < in; j++) {
                    double sum = inverse[i][j] * damp;
                    for (int k = 0; k < in; k++) {
                        sum += inverse[i][k] * scale * h[k * in + j];
                    }
                    assertThat(sum).isCloseTo(i == j ? 1 : 0, within(2e-3));
                    if (j < i) {
                        assertThat(u[i * in + j]).isCloseTo((float) (scale * h[i * in + j]), within(1e-6f));
                    }
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
            GptqSolver solver = new GptqSolver(options(4, 32, true, false));
            GptqSolver.Solved solved = solver.solve(
                            scope,
                            solver.factor(scope, hessian),
                            List.of(new GptqSolver.Module("m", weight)),
                            FloatType.FLOAT32)
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
            GptqSolver.Factored factored = solver.factor(scope, hessian);
            GptqSolver.Solution together = solver.solve(scope, factored, List.of(q, k), FloatType.FLOAT32);
            GptqSolver.Solution alone = solver.solve(scope, factored, List.of(k), FloatType.FLOAT32);
            assertThat(together.modules().get(1).linear().codes())
                    .isDeepEqualTo(alone.modules().get(0).linear().codes());
            assertThat(together.modules().get(1).linear().scales())
                    .isDeepEqualTo(alone.modules().get(0).linear().scales());
        }
    }

    @ParameterizedTest(name = "{0} rows at a time")
    @ValueSource(longs = {16, 40, 96})
    void rowsSolvedInPortionsEqualRowsSolvedTogether(long most) {
        int in = 128;
        Refinement refinement = new Refinement(true, true, 3);
        GptqOptions options = new GptqOptions(3, 32, true, true, true, 0.01, 0, 128, false, refinement);
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(inputs(5, 512, in), 512, in));
            Tensor drift = scope.floats(gaussians(8, in * 64), in, 64);
            GptqSolver.Target target = (step, from, to) -> step.call("refine", "part", drift, from, to);
            GptqSolver.Module q = new GptqSolver.Module("q", scope.floats(gaussians(6, 64 * in), 64, in), target);
            GptqSolver.Module k = new GptqSolver.Module("k", scope.floats(gaussians(7, 32 * in), 32, in));
            GptqSolver.Factored factored = new GptqSolver(options).factor(scope, hessian);
            GptqSolver.Solution expected =
                    new GptqSolver(options).solve(scope, factored, List.of(q, k), FloatType.FLOAT32);
            GptqSolver.Solution found =
                    new GptqSolver(options, most).solve(scope, factored, List.of(q, k), FloatType.FLOAT32);
            assertThat(found.loss()).isCloseTo(expected.loss(), withinPercentage(0.1));
            for (int m = 0; m < 2; m++) {
                QuantizedLinear linear = found.modules().get(m).linear();
                QuantizedLinear whole = expected.modules().get(m).linear();
                assertThat(linear.codes()).isDeepEqualTo(whole.codes());
                assertThat(linear.scales()).isDeepEqualTo(whole.scales());
                assertThat(linear.gIdx()).isEqualTo(whole.gIdx());
            }
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
        Tensor weight = scope.floats(w, w.length / in, in);
        return new GptqSolver(options)
                .solve(
                        scope,
                        factor(scope, options, x, in),
                        List.of(new GptqSolver.Module("m", weight)),
                        FloatType.FLOAT32);
    }

    private static GptqSolver.Factored factor(Scope scope, GptqOptions options, float[] x, int in) {
        Hessian hessian = new Hessian(scope, in);
        hessian.add(scope.floats(x, x.length / in, in));
        return new GptqSolver(options).factor(scope, hessian);
    }
}
