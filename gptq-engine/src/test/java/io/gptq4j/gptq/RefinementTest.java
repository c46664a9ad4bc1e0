package io.gptq4j.gptq;

import static io.gptq4j.gptq.Samples.gaussians;
import static io.gptq4j.gptq.Samples.leaning;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the same mathematics in plain Java and double precision, in the order of the original columns. */
class RefinementTest extends CpuTest {
    private static final int IN = 384; // more than one block of sweeps
    private static final int ROWS = 24;
    private static final int TOKENS = 1000;

    /** 2/n sum x x^T and 0.01 of its mean diagonal on the diagonal. */
    private static double[][] damped(float[] x, int in) {
        int tokens = x.length / in;
        double[][] h = new double[in][in];
        double mean = 0;
        for (int i = 0; i < in; i++) {
            for (int j = 0; j < in; j++) {
                for (int t = 0; t < tokens; t++) {
                    h[i][j] += 2.0 / tokens * x[t * in + i] * x[t * in + j];
                }
            }
            mean += h[i][i] / in;
        }
        for (int i = 0; i < in; i++) {
            h[i][i] += 0.01 * mean;
        }
        return h;
    }

    private static GptqSolver.Factored factored(Scope scope, GptqOptions options, float[] x, int in) {
        Hessian hessian = new Hessian(scope, in);
        hessian.add(scope.floats(x, x.length / in, in));
        return new GptqSolver(options).factor(scope, hessian);
    }

    /** What becomes of w [ROWS, in] on the inputs x. */
    private static GptqSolver.Solution solved(Scope scope, GptqOptions options, float[] w, float[] x) {
        int in = w.length / ROWS;
        return new GptqSolver(options)
                .solve(
                        scope,
                        factored(scope, options, x, in),
                        List.of(new GptqSolver.Module("m", scope.floats(w, ROWS, in))),
                        FloatType.FLOAT32);
    }

    private static GptqOptions options(
            int bits, int group, boolean sym, boolean actOrder, boolean fixed, Refinement refinement) {
        return new GptqOptions(bits, group, sym, actOrder, fixed, 0.01, 0, 128, false, refinement);
    }

    @ParameterizedTest(name = "{0} inputs, seeds 1 to 4")
    @ValueSource(ints = {40, 300}) // within one block of the products, and across two
    void aimsAtTheLeastSquaresSolutionForTheFloatModelsOutputs(int in) {
        int out = 12;
        float[] x = leaning(0.7f, 1, 3 * in, in);
        float[] exact = x.clone();
        float[] noise = gaussians(2, exact.length);
        for (int i = 0; i < exact.length; i++) {
            exact[i] += 0.3f * noise[i] - 0.1f * x[i];
        }
        float[] w = gaussians(3, out * in);
        float[] lacks = gaussians(4, 3 * in * out);
        // y~ - y, [tokens, out], and D = 2/n sum x (y~ - y)^T
        double[][] d = new double[in][out];
        for (int t = 0; t < 3 * in; t++) {
            for (int o = 0; o < out; o++) {
                double y = lacks[t * out + o];
                for (int i = 0; i < in; i++) {
                    y += (double) w[o * in + i] * (exact[t * in + i] - x[t * in + i]);
                }
                for (int i = 0; i < in; i++) {
                    d[i][o] += 2.0 / (3 * in) * x[t * in + i] * y;
                }
            }
        }
        double[][] change = solved(damped(x, in), d);
        try (Scope scope = torch.scope()) {
            GptqSolver.Factored factored = factored(scope, options(4, -1, true, false, true, Refinement.NONE), x, in);
            Tensor weight = scope.floats(w, out, in);
            ModuleGroup group = new ModuleGroup(Stage.ATTENTION_OUT, List.of(new Linear("o_proj", in, out, false)));
            Drift drift = new Drift(scope, group);
            Tensor input = scope.floats(x, 3 * in, in);
            drift.add(
                    input,
                    scope.floats(exact, 3 * in, in),
                    List.of(weight),
                    new Drift.Streams(scope.zeros(3 * in, out), scope.floats(lacks, 3 * in, out), 1));
            Tensor target = scope.zeros(in, out);
            scope.call("refine", "aimed", target, factored.u(), drift.of(scope, weight, 0, out, 0), factored.factor());
            float[] found = target.toFloats();
            for (int i = 0; i < in; i++) {
                for (int o = 0; o < out; o++) {
                    assertThat((double) found[i * out + o]).isCloseTo(change[i][o], within(2e-3));
                }
            }
        }
    }

    /** The solution of a x = b, by elimination; a is positive definite. */
    private static double[][] solved(double[][] a, double[][] b) {
        int n = a.length;
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < n; i++) {
                if (i != k) {
                    double factor = a[i][k] / a[k][k];
                    for (int j = k; j < n; j++) {
                        a[i][j] -= factor * a[k][j];
                    }
                    for (int j = 0; j < b[i].length; j++) {
                        b[i][j] -= factor * b[k][j];
                    }
                }
            }
        }
        for (int k = 0; k < n; k++) {
            for (int j = 0; j < b[k].length; j++) {
                b[k][j] /= a[k][k];
            }
        }
        return b;
    }

    @ParameterizedTest(name = "{0} bits, groups of {1}, sym {2}, act-order {3}, static groups {4}, seeds 5 and 6")
    @CsvSource({
        "2, 64, true, true, true",
        "3, 32, false, true, true",
        "4, 64, true, true, false",
        "4, 48, false, false, false",
        "3, -1, true, true, true",
    })
    void sweepsGiveThePlainJavaCodes(int bits, int group, boolean sym, boolean actOrder, boolean fixed) {
        float[] x = leaning(0.7f, 5, TOKENS, IN);
        float[] w = gaussians(6, ROWS * IN);
        try (Scope scope = torch.scope()) {
            GptqOptions plain = options(bits, group, sym, actOrder, fixed, Refinement.NONE);
            GptqSolver.Factored factored = factored(scope, plain, x, IN);
            List<Tensor> weights = List.of(scope.floats(w, ROWS, IN));
            GptqSolver.Rows start = new GptqSolver(plain).solve(scope, factored, weights);
            GptqSolver.Rows swept = new GptqSolver(
                            options(bits, group, sym, actOrder, fixed, new Refinement(false, false, 2)))
                    .solve(scope, factored, weights);
            PlainRow[] rows = rows(w, start);
            double[][] h = damped(x, IN);
            double loss = 0;
            int[] order =
                    plain.descAct() ? factored.order() : IntStream.range(0, IN).toArray();
            for (PlainRow row : rows) {
                row.sweep(h, order, (1 << bits) - 1);
                row.sweep(h, order, (1 << bits) - 1);
                loss += row.loss(h);
            }
            PlainRow[] found = rows(w, swept);
            int differing = 0;
            for (int r = 0; r < ROWS; r++) {
                for (int i = 0; i < IN; i++) {
                    differing += rows[r].codes[i] == found[r].codes[i] ? 0 : 1;
                }
            }
            assertThat(differing).as("differing codes").isLessThanOrEqualTo(ROWS * IN / 100); // float against double
            assertThat(swept.loss()).isCloseTo(loss, within(0.005 * loss));
            double reported = 0;
            for (PlainRow row : found) {
                reported += row.loss(h);
            }
            assertThat(swept.loss()).as("the loss of what came out").isCloseTo(reported, within(1e-3 * reported));
            assertThat(swept.loss()).isLessThan(0.99 * start.loss());
        }
    }

    private static PlainRow[] rows(float[] w, GptqSolver.Rows solved) {
        byte[][] codes = solved.codes().toByteRows(); // [in][rows]
        float[] scale = solved.scale().toFloats(); // [groups][rows]
        float[] zero = solved.zero().toFloats();
        PlainRow[] rows = new PlainRow[ROWS];
        for (int r = 0; r < ROWS; r++) {
            PlainRow row = new PlainRow(scale.length / ROWS);
            for (int i = 0; i < IN; i++) {
                row.w[i] = w[r * IN + i];
                row.groups[i] = solved.gIdx()[i];
                row.codes[i] = codes[i][r] & 0xff;
            }
            for (int g = 0; g < row.scale.length; g++) {
                row.scale[g] = scale[g * ROWS + r];
                row.zero[g] = zero[g * ROWS + r];
            }
            rows[r] = row;
        }
        return rows;
    }

    /** One row, by the definition: every slope is summed up afresh. */
    private static final class PlainRow {
        final double[] w = new double[IN];
        final int[] codes = new int[IN];
        final int[] groups = new int[IN];
        final double[] scale;
        final double[] zero;

        PlainRow(int groups) {
            scale = new double[groups];
            zero = new double[groups];
        }

        double q(int i) {
            return scale[groups[i]] * (codes[i] - zero[groups[i]]);
        }

        double slope(double[][] h, int i) {
            double sum = 0;
            for (int j = 0; j < IN; j++) {
                sum += h[i][j] * (w[j] - q(j));
            }
            return sum;
        }

        double loss(double[][] h) {
            double sum = 0;
            for (int i = 0; i < IN; i++) {
                sum += (w[i] - q(i)) * slope(h, i) / 2;
            }
            return sum;
        }

        /** Group by group: the codes of its columns as they come in {@code order}, then its scale. */
        void sweep(double[][] h, int[] order, int maxq) {
            for (int g = 0; g < scale.length; g++) {
                double slope = 0;
                double curvature = 0;
                for (int i : order) {
                    if (groups[i] == g) {
                        double best = (q(i) + slope(h, i) / h[i][i]) / scale[g] + zero[g];
                        codes[i] = (int) Math.max(0, Math.min(maxq, Math.rint(best)));
                    }
                }
                for (int i = 0; i < IN; i++) {
                    if (groups[i] == g) {
                        slope += (codes[i] - zero[g]) * slope(h, i);
                        for (int j = 0; j < IN; j++) {
                            curvature += groups[j] == g ? (codes[i] - zero[g]) * h[i][j] * (codes[j] - zero[g]) : 0;
                        }
                    }
                }
                double next = scale[g] + slope / curvature;
                if (next * scale[g] > 0) {
                    scale[g] = Half.toFloat(Half.fromFloat((float) next));
                }
            }
        }
    }

    @ParameterizedTest(name = "{0} bits, seed 7")
    @CsvSource({"2, 0.65", "3, 0.72", "4, 0.85"})
    void theSolveLeavesLessOnSearchedGridsThanOnThoseOfTheLargestWeight(int bits, double share) {
        int in = 192;
        float[] w = gaussians(7, ROWS * in);
        float[] x = leaning(0.7f, 8, 500, in);
        try (Scope scope = torch.scope()) {
            double full = solved(scope, options(bits, 64, true, true, true, Refinement.NONE), w, x)
                    .loss();
            double searched = solved(scope, options(bits, 64, true, true, true, new Refinement(false, true, 0)), w, x)
                    .loss();
            assertThat(searched).isLessThan(share * full);
        }
    }

    @ParameterizedTest(name = "{0} bits, seed 7")
    @ValueSource(ints = {2, 3, 4})
    void searchedGridsAreTheLeastSquaresOnesWidenedByTheSquareOfWhatTheseKeep(int bits) {
        float[] w = gaussians(7, ROWS * IN);
        float[] x = new float[IN]; // nothing seen: all columns count the same
        int middle = 1 << (bits - 1);
        double sum = 0; // of scales by those of a fine search
        try (Scope scope = torch.scope()) {
            GptqOptions options = options(bits, 64, true, false, true, new Refinement(false, true, 0));
            float[] scale = new GptqSolver(options)
                    .solve(scope, factored(scope, options, x, IN), List.of(scope.floats(w, ROWS, IN)))
                    .scale()
                    .toFloats();
            for (int g = 0; g < IN / 64; g++) {
                for (int r = 0; r < ROWS; r++) {
                    double best = 0; // of some thousand scales, the share that is kept, and the widened scale
                    double widened = 0;
                    for (double s = 0.05; s < 3; s *= 1.002) {
                        for (double sign : new double[] {1, -1}) {
                            double fit = 0;
                            double size = 0;
                            double total = 0;
                            for (int i = g * 64; i < g * 64 + 64; i++) {
                                double c = Math.max(-middle, Math.min(middle - 1, Math.rint(w[r * IN + i] / s * sign)));
                                fit += w[r * IN + i] * c;
                                size += c * c;
                                total += w[r * IN + i] * w[r * IN + i];
                            }
                            double kept = fit * fit / size / total; // 1 - d
                            if (kept > best) {
                                best = kept;
                                widened = fit / size / (kept * kept);
                            }
                        }
                    }
                    // A coarse search and two improvements may end at a neighbour that is nearly as good.
                    assertThat(Math.abs(scale[g * ROWS + r]))
                            .isCloseTo((float) Math.abs(widened), withinPercentage(25));
                    sum += Math.abs(scale[g * ROWS + r]) / Math.abs(widened);
                }
            }
        }
        assertThat(sum / (IN / 64 * ROWS)).isCloseTo(1, within(0.02));
    }

    @Test
    void aGroupOfZerosStaysZero() {
        float[] w = gaussians(10, ROWS * IN);
        for (int r = 0; r < ROWS; r++) {
            for (int i = 64; i < 128; i++) {
                w[r * IN + i] = 0;
            }
        }
        try (Scope scope = torch.scope()) {
            GptqOptions options = options(4, 64, true, false, true, new Refinement(false, true, 3));
            float[] q = solved(scope, options, w, new float[IN]) // no feedback between columns
                    .modules()
                    .get(0)
                    .weight()
                    .toFloats();
            for (int r = 0; r < ROWS; r++) {
                for (int i = 64; i < 128; i++) {
                    assertThat(q[r * IN + i]).isZero();
                }
            }
        }
    }

    @Test
    void refusesWhatMakesNoSense() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Refinement(true, true, -1))
                .withMessageContaining("sweeps must lie between 0 (off) and 100, not -1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new GptqOptions(4, 128, true, true, true, 0.01, 0, 128, true, Refinement.DEFAULT))
                .withMessageContaining("AutoGPTQ knows of no refinement");
    }
}
