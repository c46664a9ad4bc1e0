package io.gptq4j.gptq;

import static io.gptq4j.gptq.Samples.error;
import static io.gptq4j.gptq.Samples.gaussians;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.gptq.Fallback.Cause;
import io.gptq4j.gptq.Fallback.Remedy;
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

/** Inputs that attack the solve: which rung holds, and that the result is no worse than rounding to nearest. */
class LadderTest extends CpuTest {
    private static final int IN = 64;
    private static final int OUT = 32;

    /** Correlated inputs [tokens, IN]: each channel leans on the one before it. */
    private static float[] inputs(long seed, int tokens) {
        return Samples.leaning(0.9f, seed, tokens, IN);
    }

    private static GptqOptions options(double damp, boolean reference) {
        return new GptqOptions(4, 32, true, true, true, damp, 0, 128, reference);
    }

    private static Hessian hessian(Scope scope, float[] x) {
        Hessian hessian = new Hessian(scope, IN);
        if (x.length > 0) {
            hessian.add(scope.floats(x, x.length / IN, IN));
        }
        return hessian;
    }

    private static GptqSolver.Solution solve(Scope scope, GptqOptions options, Hessian hessian, float[] w) {
        GptqSolver solver = new GptqSolver(options);
        return solve(scope, solver, solver.factor(scope, hessian), w);
    }

    private static GptqSolver.Solution solve(Scope scope, GptqSolver solver, GptqSolver.Factored factored, float[] w) {
        GptqSolver.Module module = new GptqSolver.Module("m", scope.floats(w, OUT, IN));
        return solver.solve(scope, factored, List.of(module), FloatType.FLOAT32);
    }

    private static float[] weights(GptqSolver.Solution solution) {
        return solution.modules().get(0).weight().toFloats();
    }

    /** The nearest points of the grids of w, in plain Java: 4 bits, symmetric, groups of 32. */
    private static float[] nearest(float[] w) {
        float[] q = new float[w.length];
        for (int start = 0; start < w.length; start += 32) {
            float largest = 0;
            for (int i = start; i < start + 32; i++) {
                largest = Math.max(largest, Math.abs(w[i]));
            }
            float scale = Half.toFloat(Half.fromFloat(2 * largest / 15));
            for (int i = start; i < start + 32; i++) {
                q[i] = scale * Math.max(-8, Math.min(7, (float) Math.rint(w[i] / scale)));
            }
        }
        return q;
    }

    private static void assertSound(GptqSolver.Solution solution, float[] w, float[] x) {
        float[] q = weights(solution);
        for (float value : q) {
            assertThat(value).isFinite();
        }
        for (short[] row : solution.modules().get(0).linear().scales()) {
            for (short half : row) {
                assertThat(Half.toFloat(half)).isFinite().isPositive();
            }
        }
        assertThat(error(w, q, x, IN)).isLessThanOrEqualTo(error(w, nearest(w), x, IN));
    }

    /** Matrices that no tokens give, but that rounding errors might: each needs one rung and no less. */
    @ParameterizedTest(name = "{0}, reference {5}")
    @CsvSource({
        "damping,  0.97, 1,   DAMPING,          0.04, false",
        "damping,  0.97, 1,   DAMPING,          0.04, true",
        "pair,     0.01, 0.2, DIAGONAL_FLOOR,   0.25, false",
        "pair,     0.01, 0.2, DIAGONAL_FLOOR,   0.25, true",
        "prior,    1,    1.5, DIAGONAL_PRIOR,   1,    false",
        "prior,    1,    1.5, DIAGONAL_PRIOR,   1,    true",
        "rounding, 1,    40,  ROUND_TO_NEAREST, 64,   false",
        "rounding, 1,    40,  ROUND_TO_NEAREST, 64,   true",
    })
    void negativeEigenvaluesAreMendedByTheFirstRungThatSuffices(
            String name, float diagonal, float beside, Remedy remedy, double amount, boolean reference) {
        float[] h = new float[IN * IN];
        for (int i = 0; i < IN; i++) {
            for (int j = 0; j < IN; j++) {
                boolean chosen = !name.equals("pair") || (i < 2 && j < 2);
                h[i * IN + j] = i == j ? (chosen ? diagonal : 1) : chosen ? beside : 0;
            }
        }
        float[] w = gaussians(1, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver solver = new GptqSolver(options(0.01, reference));
            GptqSolver.Factored factored = solver.factor(scope, scope.floats(h, IN, IN), 1);
            assertThat(factored.fallbacks()).containsExactly(new Fallback(Cause.NOT_POSITIVE_DEFINITE, remedy, amount));
            assertThat(factored.dampPercent()).isEqualTo(remedy == Remedy.DAMPING ? amount : 0.01);
            GptqSolver.Solution solution = solve(scope, solver, factored, w);
            assertThat(solution.fallbacks()).isEqualTo(factored.fallbacks());
            float[] q = weights(solution);
            for (int i = 0; i < q.length; i++) {
                assertThat(q[i]).isFinite();
            }
            if (remedy == Remedy.ROUND_TO_NEAREST) {
                assertNearest(q, w);
            } else if (!reference) {
                assertThat(q).as("columns still make up for each other").isNotEqualTo(nearest(w));
                float[] below = factored.u().toFloats(); // the Hessian is there on every rung, in the columns' order
                for (int k = 0; k < IN; k++) {
                    for (int l = 0; l < k; l++) {
                        assertThat(below[k * IN + l]).isEqualTo(h[k * IN + l]);
                    }
                }
            }
        }
    }

    private static void assertNearest(float[] q, float[] w) {
        float[] nearest = nearest(w);
        for (int i = 0; i < q.length; i++) { // the largest lie between two points, so that either is the nearest
            assertThat(Math.abs(q[i] - w[i])).isCloseTo(Math.abs(nearest[i] - w[i]), within(3e-3f));
        }
    }

    @ParameterizedTest(name = "reference {0}")
    @ValueSource(booleans = {false, true})
    void aHessianOfRankOneIsDampedUntilItHasAFactor(boolean reference) {
        float[] x = new float[2000 * IN]; // float32 loses the damping's 1e-9 share of it
        for (int i = 0; i < x.length; i++) {
            x[i] = 1e4f * (1 + i / IN % 7);
        }
        float[] w = gaussians(2, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(1e-9, reference), hessian(scope, x), w);
            assertThat(solution.fallbacks()).singleElement().satisfies(fallback -> {
                assertThat(fallback.cause()).isEqualTo(Cause.NOT_POSITIVE_DEFINITE);
                assertThat(fallback.remedy()).isEqualTo(Remedy.DAMPING);
                assertThat(fallback.amount()).isGreaterThan(1e-9).isLessThanOrEqualTo(0.25);
            });
            assertSound(solution, w, x);
        }
    }

    @Test
    void channelsThatDifferByTwelveOrdersOfMagnitudeNeedNoFallback() {
        float[] x = inputs(3, 400);
        for (int i = 0; i < x.length; i++) {
            x[i] *= (float) Math.pow(10, -3 + 6.0 * (i % IN) / (IN - 1));
        }
        float[] w = gaussians(4, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(0.01, false), hessian(scope, x), w);
            assertThat(solution.fallbacks()).isEmpty();
            assertSound(solution, w, x);
        }
    }

    @Test
    void anOutlyingChannelNeedsNoFallback() {
        float[] x = inputs(5, 400);
        for (int t = 0; t < 400; t++) {
            x[t * IN + 9] *= 1e6f;
        }
        float[] w = gaussians(6, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(0.01, false), hessian(scope, x), w);
            assertThat(solution.fallbacks()).isEmpty();
            assertSound(solution, w, x);
        }
    }

    @ParameterizedTest(name = "{0} tokens of zeros, reference {2}")
    @CsvSource({"0, NO_TOKENS, false", "0, NO_TOKENS, true", "200, ONLY_ZEROS, false", "20, ONLY_ZEROS, true"})
    void aModuleOfWhoseInputsNothingIsKnownIsRounded(int tokens, Cause cause, boolean reference) {
        float[] w = gaussians(7, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution =
                    solve(scope, options(0.01, reference), hessian(scope, new float[tokens * IN]), w);
            assertThat(solution.fallbacks()).containsExactly(new Fallback(cause, Remedy.ROUND_TO_NEAREST, IN));
            assertNearest(weights(solution), w);
        }
    }

    @Test
    void deadColumnsAreRoundedAndTheOthersSolved() {
        float[] x = inputs(8, 400);
        for (int t = 0; t < 400; t++) {
            x[t * IN + 17] = 0;
        }
        float[] w = gaussians(9, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(0.01, false), hessian(scope, x), w);
            assertThat(solution.fallbacks())
                    .containsExactly(new Fallback(Cause.DEAD_COLUMNS, Remedy.ROUND_TO_NEAREST, 1));
            float[] q = weights(solution);
            float[] nearest = nearest(w);
            for (int o = 0; o < OUT; o++) {
                assertThat(q[o * IN + 17]).isEqualTo(nearest[o * IN + 17]);
            }
            assertThat(error(w, q, x, IN)).isLessThan(0.5 * error(w, nearest, x, IN));
        }
    }

    @ParameterizedTest(name = "reference {0}")
    @ValueSource(booleans = {false, true})
    void oneTokenIsEnoughForASolve(boolean reference) {
        float[] x = gaussians(10, IN);
        float[] w = gaussians(11, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution solution = solve(scope, options(0.01, reference), hessian(scope, x), w);
            assertThat(solution.fallbacks())
                    .containsExactly(
                            reference
                                    ? new Fallback(Cause.FEW_TOKENS, Remedy.DAMPING, 0.01)
                                    : new Fallback(Cause.FEW_TOKENS, Remedy.DIAGONAL_PRIOR, IN / 4.0));
            assertSound(solution, w, x);
        }
    }

    @Test
    void enoughTokensNeedNoPriorAndTheReferenceNeverTakesOne() {
        float[] x = inputs(12, 2 * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver solver = new GptqSolver(options(0.01, false));
            Hessian enough = hessian(scope, x);
            GptqSolver.Factored factored = solver.factor(scope, enough);
            assertThat(factored.fallbacks()).isEmpty();
            assertThat(factored.u().toFloats())
                    .isEqualTo(solver.factor(scope, enough.sum(), 2.0 / (2 * IN))
                            .u()
                            .toFloats());
            Hessian few = hessian(scope, Arrays.copyOf(x, IN * IN));
            GptqSolver reference = new GptqSolver(options(0.01, true));
            assertThat(reference.factor(scope, few).u().toFloats())
                    .isEqualTo(reference.factor(scope, few.sum(), 2.0 / IN).u().toFloats());
        }
    }

    @ParameterizedTest(name = "{0} tokens for 64 inputs")
    @ValueSource(ints = {8, 16, 32, 64})
    void thePriorOfFewTokensHelpsOnOthers(int tokens) {
        double without = 0;
        double with = 0;
        double rounded = 0;
        for (long seed = 20; seed < 24; seed++) {
            float[] x = inputs(seed, tokens);
            float[] others = inputs(100 + seed, 1000);
            float[] w = gaussians(200 + seed, OUT * IN);
            try (Scope scope = torch.scope()) {
                GptqSolver solver = new GptqSolver(options(0.01, false));
                Hessian hessian = hessian(scope, x);
                with += error(w, weights(solve(scope, solver, solver.factor(scope, hessian), w)), others, IN);
                GptqSolver.Factored alone = solver.factor(scope, hessian.sum(), 2.0 / tokens);
                without += error(w, weights(solve(scope, solver, alone, w)), others, IN);
                rounded += error(w, nearest(w), others, IN);
            }
        }
        System.out.printf(
                "%d tokens: %.3f of rounding, %.3f without the prior%n", tokens, with / rounded, without / rounded);
        assertThat(with).isLessThan(0.97 * without).isLessThan(rounded);
    }

    @Test
    void inputsWhoseSquaresLeaveFloat32AreScaledByAPowerOfTwo() {
        float[] x = inputs(13, 400);
        float[] huge = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            huge[i] = x[i] * 0x1p90f;
        }
        float[] w = gaussians(14, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver.Solution plain = solve(scope, options(0.01, false), hessian(scope, x), w);
            Hessian hessian = hessian(scope, Arrays.copyOf(huge, 200 * IN));
            hessian.add(scope.floats(Arrays.copyOfRange(huge, 200 * IN, 400 * IN), 200, IN));
            GptqSolver.Solution solution = solve(scope, options(0.01, false), hessian, w);
            float largest = 0;
            for (float value : huge) {
                largest = Math.max(largest, Math.abs(value));
            }
            assertThat(solution.fallbacks()).hasSize(1);
            assertThat(solution.fallbacks().get(0).cause()).isEqualTo(Cause.LARGE_INPUTS);
            assertThat(solution.fallbacks().get(0).amount() * largest).isBetween(0x1p29, 0x1p30);
            assertThat(weights(solution)).isEqualTo(weights(plain));
            assertThat(solution.loss() / Math.scalb(plain.loss(), 180)).isCloseTo(1, within(1e-6));
        }
    }

    @Test
    void inputsBeforeAndAfterALargeOneCountAsTheyShould() {
        float[] x = inputs(15, 300);
        for (int i = 100 * IN; i < 200 * IN; i++) {
            x[i] *= 0x1p40f;
        }
        try (Scope scope = torch.scope()) {
            Hessian whole = hessian(scope, x);
            Hessian parts = hessian(scope, Arrays.copyOf(x, 100 * IN));
            Hessian others = hessian(scope, Arrays.copyOfRange(x, 100 * IN, 200 * IN));
            parts.add(others);
            parts.add(scope.floats(Arrays.copyOfRange(x, 200 * IN, 300 * IN), 100, IN));
            assertThat(parts.tokens()).isEqualTo(300);
            assertThat(parts.scale()).isEqualTo(whole.scale()).isGreaterThan(1);
            float[] expected = whole.sum().toFloats();
            float[] actual = parts.sum().toFloats();
            for (int i = 0; i < expected.length; i++) {
                assertThat(actual[i]).isCloseTo(expected[i], within(1e-4f * expected[i / IN * IN + i / IN]));
            }
            others.add(hessian(scope, Arrays.copyOf(x, 100 * IN))); // of another power of two
            assertThat(others.tokens()).isEqualTo(200);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void inputsThatAreNotFiniteAreRefusedAndLeaveTheHessianAsItWas(float value) {
        float[] x = inputs(16, 100);
        try (Scope scope = torch.scope()) {
            Hessian hessian = hessian(scope, x);
            float[] before = hessian.sum().toFloats();
            float[] bad = x.clone();
            bad[3 * IN + 41] = value;
            bad[5 * IN + 2] = value;
            Tensor tensor = scope.floats(bad, 2, 50, IN);
            assertThatThrownBy(() -> hessian.add(tensor))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessage("its input holds NaN or infinite values (2 of them, the first in input channel 41)");
            assertThat(hessian.tokens()).isEqualTo(100);
            assertThat(hessian.sum().toFloats()).isEqualTo(before);
        }
    }

    @ParameterizedTest(name = "static groups {0}")
    @ValueSource(booleans = {false, true})
    void aSolveThatLeavesFloat32IsDoneAgainByRounding(boolean staticGroups) {
        float[] u = new float[IN * IN]; // a factor so wrong that errors multiply from column to column
        for (int i = 0; i < IN; i++) {
            Arrays.fill(u, i * IN + i, (i + 1) * IN, 1e10f);
            u[i * IN + i] = 1e-3f;
        }
        float[] w = gaussians(17, OUT * IN);
        try (Scope scope = torch.scope()) {
            GptqSolver solver = new GptqSolver(new GptqOptions(4, 32, true, false, staticGroups, 0.01, 0, 128, false));
            GptqSolver.Factored factored = new GptqSolver.Factored(
                    scope.floats(u, IN, IN),
                    scope.zeros(IN),
                    1,
                    IntStream.range(0, IN).toArray(),
                    new int[0],
                    0.01,
                    1,
                    List.of());
            GptqSolver.Solution solution = solve(scope, solver, factored, w);
            assertThat(solution.fallbacks())
                    .containsExactly(new Fallback(Cause.SOLVE_OVERFLOW, Remedy.ROUND_TO_NEAREST, IN));
            assertThat(solution.loss()).isFinite();
            assertNearest(weights(solution), w);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.NEGATIVE_INFINITY})
    void weightsThatAreNotFiniteNeverBecomeAnArtifact(float value) {
        float[] w = gaussians(18, OUT * IN);
        w[100] = value;
        try (Scope scope = torch.scope()) {
            Hessian hessian = hessian(scope, inputs(19, 200));
            assertThatThrownBy(() -> solve(scope, options(0.01, false), hessian, w))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessage("m: 1 of its weights are NaN or infinite");
        }
    }
}
