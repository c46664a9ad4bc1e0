package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.gptq.Fallback.Cause;
import io.gptq4j.gptq.Fallback.Remedy;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Experts that saw few tokens learn from their siblings. */
class SiblingsTest extends CpuTest {
    private static final int IN = 64;
    private static final int OUT = 32;

    private static float[] inputs(int expert, long seed, int tokens) {
        return inputs(expert, 0.3, seed, tokens);
    }

    /** Inputs of expert e: what all experts share, something of its own, and a power of its own. */
    private static float[] inputs(int expert, double apart, long seed, int tokens) {
        Random shared = new Random(77);
        Random own = new Random(1000 + expert);
        double[][] mix = new double[IN][IN];
        for (double[] row : mix) {
            for (int i = 0; i < IN; i++) {
                row[i] = (shared.nextGaussian() + apart * own.nextGaussian()) / Math.sqrt(1 + i); // a falling spectrum
            }
        }
        double power = Math.exp(own.nextGaussian());
        Random random = new Random(seed);
        float[] x = new float[tokens * IN];
        double[] z = new double[IN];
        for (int t = 0; t < tokens; t++) {
            for (int i = 0; i < IN; i++) {
                z[i] = random.nextGaussian();
            }
            for (int i = 0; i < IN; i++) {
                for (int k = 0; k < IN; k++) {
                    x[t * IN + i] += (float) (power * mix[i][k] * z[k]);
                }
            }
        }
        return x;
    }

    private static Hessian hessian(Scope scope, float[] x) {
        Hessian hessian = new Hessian(scope, IN);
        if (x.length > 0) {
            hessian.add(scope.floats(x, x.length / IN, IN));
        }
        return hessian;
    }

    private static Siblings siblings(Scope scope) {
        return siblings(scope, 0.3);
    }

    private static Siblings siblings(Scope scope, double apart) {
        Siblings siblings = new Siblings(scope, IN);
        for (int expert = 1; expert < 8; expert++) {
            try (Hessian hessian = hessian(scope, inputs(expert, apart, expert, 600))) {
                siblings.add(hessian);
            }
        }
        return siblings;
    }

    private static double error(Scope scope, Hessian hessian, float[] w, float[] x) {
        GptqSolver solver = new GptqSolver(new GptqOptions(4, 32, true, true, true, 0.01, 0, 128, false));
        float[] q = solver.solve(
                        scope,
                        solver.factor(scope, hessian),
                        List.of(new GptqSolver.Module("m", scope.floats(w, OUT, IN))),
                        FloatType.FLOAT32)
                .modules()
                .get(0)
                .weight()
                .toFloats();
        return Samples.error(w, q, x, IN);
    }

    @ParameterizedTest(name = "{0} tokens for 64 inputs, {1} apart")
    @CsvSource({
        "0,   0.3, 0.7",
        "1,   0.3, 0.6",
        "16,  0.3, 0.85",
        "64,  0.3, 0.95",
        "128, 0.3, 1.02",
        "255, 0.3, 1.05",
        "16,  3,   1.0001", // left to their own
        "64,  3,   1.0001",
        "255, 3,   1.0001",
    })
    void aStarvedExpertGainsWhereSiblingsAreAlikeAndLosesLittleWhereTheyAreNot(int tokens, double apart, double most) {
        double alone = 0;
        double filled = 0;
        double rounded = 0;
        for (long seed = 30; seed < 33; seed++) {
            float[] x = inputs(0, apart, seed, tokens);
            float[] others = inputs(0, apart, 500 + seed, 800); // that nobody saw
            float[] w = Samples.gaussians(600 + seed, OUT * IN);
            try (Scope scope = torch.scope();
                    Siblings siblings = siblings(scope, apart)) {
                alone += error(
                        scope, hessian(scope, x), w, others); // with its own diagonal as prior, if it saw anything
                rounded += error(scope, hessian(scope, new float[0]), w, others);
                Hessian hessian = hessian(scope, x);
                siblings.fill(hessian);
                assertThat(hessian.tokens()).isEqualTo(tokens);
                filled += error(scope, hessian, w, others);
            }
        }
        System.out.printf(
                "%d tokens, %.1f apart: %.3f of rounding, %.3f alone%n",
                tokens, apart, filled / rounded, alone / rounded);
        assertThat(filled).isLessThan(most * alone).isLessThan(rounded);
    }

    @ParameterizedTest(name = "{0} tokens")
    @ValueSource(ints = {0, 16, 255})
    void isARowOfTheReportWithTheTokensThatTheSiblingsStandFor(int tokens) {
        try (Scope scope = torch.scope();
                Siblings siblings = siblings(scope)) {
            Hessian hessian = hessian(scope, inputs(0, 40, tokens));
            siblings.fill(hessian);
            GptqSolver.Factored factored = new GptqSolver(GptqOptions.defaults()).factor(scope, hessian);
            assertThat(factored.fallbacks())
                    .containsExactly(
                            new Fallback(tokens == 0 ? Cause.NO_TOKENS : Cause.FEW_TOKENS, Remedy.SIBLINGS_PRIOR, IN));
        }
    }

    /** The rule, entry by entry in double precision: S + prior * P, and Ledoit and Wolf's weight for the prior. */
    @Test
    void addsTheSiblingsMeanTokenInTheExpertsOwnPower() {
        int tokens = 100;
        float[] x = inputs(0, 0.5, 41, tokens);
        try (Scope scope = torch.scope();
                Siblings siblings = siblings(scope, 0.5)) {
            float[] own = hessian(scope, x).sum().toFloats();
            float[] pool = new float[IN * IN];
            for (int expert = 1; expert < 8; expert++) {
                float[] sum =
                        hessian(scope, inputs(expert, 0.5, expert, 600)).sum().toFloats();
                for (int i = 0; i < pool.length; i++) {
                    pool[i] += sum[i];
                }
            }
            double power = trace(own) / tokens / trace(pool);
            double spread = 0; // of the tokens' x x^T around their mean
            double distance = 0; // of that mean from the prior
            for (int i = 0; i < IN; i++) {
                for (int j = 0; j < IN; j++) {
                    double mean = own[i * IN + j] / (double) tokens;
                    distance += Math.pow(mean - power * pool[i * IN + j], 2);
                    for (int t = 0; t < tokens; t++) {
                        spread += Math.pow((double) x[t * IN + i] * x[t * IN + j] - mean, 2);
                    }
                }
            }
            double rho = spread / tokens / (tokens - 1) / distance;
            double prior = Math.min(IN, tokens * rho / (1 - rho));
            assertThat(prior).isBetween(1.0, IN - 1.0); // else the weight would not be seen

            Hessian hessian = hessian(scope, x);
            siblings.fill(hessian);
            float[] filled = hessian.sum().toFloats();
            for (int i = 0; i < filled.length; i++) {
                double expected = own[i] + prior * power * pool[i];
                assertThat((double) filled[i]).isCloseTo(expected, within(1e-4 * trace(own) / IN));
            }
            assertThat(new GptqSolver(GptqOptions.defaults())
                            .factor(scope, hessian)
                            .fallbacks()
                            .get(0)
                            .amount())
                    .isCloseTo(prior, within(1e-3 * prior));
        }
    }

    private static double trace(float[] h) {
        double sum = 0;
        for (int i = 0; i < IN; i++) {
            sum += h[i * IN + i];
        }
        return sum;
    }

    @Test
    void anExpertWithEnoughTokensIsLeftAlone() {
        try (Scope scope = torch.scope();
                Siblings siblings = siblings(scope)) {
            Hessian hessian = hessian(scope, inputs(0, 42, 4 * IN));
            float[] before = hessian.sum().toFloats();
            siblings.fill(hessian);
            assertThat(hessian.sum().toFloats()).isEqualTo(before);
            assertThat(new GptqSolver(GptqOptions.defaults())
                            .factor(scope, hessian)
                            .fallbacks())
                    .isEmpty();
            assertThat(Siblings.isStarved(hessian)).isFalse();
            assertThat(Siblings.isStarved(hessian(scope, inputs(0, 42, 4 * IN - 1))))
                    .isTrue();
        }
    }

    @Test
    void siblingsThatSawNothingAreNoPrior() {
        try (Scope scope = torch.scope();
                Siblings siblings = new Siblings(scope, IN)) {
            siblings.add(hessian(scope, new float[0]));
            siblings.add(hessian(scope, new float[100 * IN]));
            Hessian hessian = hessian(scope, new float[0]);
            siblings.fill(hessian);
            assertThat(new GptqSolver(GptqOptions.defaults())
                            .factor(scope, hessian)
                            .fallbacks())
                    .containsExactly(new Fallback(Cause.NO_TOKENS, Remedy.ROUND_TO_NEAREST, IN));
        }
    }

    @Test
    void nobodysTokensCountTwice() {
        try (Scope scope = torch.scope();
                Siblings siblings = siblings(scope)) {
            Hessian hessian = hessian(scope, inputs(0, 43, 5));
            siblings.fill(hessian);
            assertThatThrownBy(() -> siblings.add(hessian))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("filled");
        }
    }
}
