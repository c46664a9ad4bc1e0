package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.TensorStore;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SensitivityTest extends CpuTest {
    private List<double[]> measure(Path model, long memory) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(4, 32, true, true, true, 128));
            return new Sensitivity(language, new TargetWidths(plan, 3.5), new TensorStore.Budget(0, memory, directory))
                    .measure(TinyModels.windows(5), QuantizationListener.SILENT);
        }
    }

    /** What the measurement says of one unit, from checkpoints: the float model, and one with the unit's weights replaced. */
    @ParameterizedTest(name = "{0}, seed 21")
    @ValueSource(strings = {"llama", "opt", "bloom"})
    void isTheDivergenceOfTheModelWithOneUnitAtTheSmallestWidth(String family) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config(family), 21);
        Path model = tiny.write(directory.resolve("float"));
        List<double[]> measured = measure(model, Long.MAX_VALUE);
        assertThat(measured).hasSize(8);
        assertThat(measured).allSatisfy(damage -> {
            assertThat(damage).hasSize(4);
            assertThat(damage[0]).isGreaterThan(damage[1]);
            assertThat(damage[1]).isGreaterThan(damage[2]);
            assertThat(damage[2]).isGreaterThan(damage[3]);
            assertThat(damage[3]).isPositive();
        });

        int[][] windows = TinyModels.windows(5).windows();
        int[][] solved = Arrays.copyOf(windows, windows.length / 2);
        int[][] probe = Arrays.copyOfRange(windows, windows.length / 2, windows.length);
        // The first unit sees the float model's activations in any run.
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(2, 32, true, true, true, 128));
            int first = plan.groups(0).get(0).modules().size();
            TinyCheckpoint replaced = new TinyCheckpoint(tiny.config(), tiny.architecture(), new HashMap<>());
            replaced.tensors().putAll(tiny.tensors());
            int[] count = {0};
            GptqQuantizer.builder(language, plan)
                    .build()
                    .run(
                            new CalibrationSet(solved, "first half"),
                            linear -> {
                                if (count[0]++ < first) {
                                    replaced.tensors().put(linear.name() + ".weight", dequantized(linear));
                                }
                            },
                            QuantizationListener.SILENT);
            double expected = divergence(language, replaced.write(directory.resolve("replaced")), probe);
            assertThat(measured.get(0)[0]).isCloseTo(expected, within(1e-3 * expected));
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    private static float[] dequantized(QuantizedLinear linear) {
        float[] weights = new float[linear.outFeatures() * linear.inFeatures()];
        for (int o = 0; o < linear.outFeatures(); o++) {
            for (int i = 0; i < linear.inFeatures(); i++) {
                int group = linear.gIdx()[i];
                weights[o * linear.inFeatures() + i] = Half.toFloat(linear.scales()[group][o])
                        * ((linear.codes()[o][i] & 0xff) - (linear.zeros()[group][o] & 0xff));
            }
        }
        return weights;
    }

    /** KL of softmax(logits) in Java, per token. */
    private static double divergence(LanguageModel model, Path other, int[][] windows) throws Exception {
        double sum = 0;
        try (Checkpoint checkpoint = Checkpoint.open(other);
                LanguageModel changed = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            for (int[] window : windows) {
                float[] p = logits(model, window);
                float[] q = logits(changed, window);
                for (int t = 0; t < window.length; t++) {
                    sum += divergence(
                            Arrays.copyOfRange(p, 64 * t, 64 * t + 64), Arrays.copyOfRange(q, 64 * t, 64 * t + 64));
                }
            }
        }
        return sum / (windows.length * windows[0].length);
    }

    private static float[] logits(LanguageModel model, int[] window) throws Exception {
        float[] all = new float[64 * window.length];
        int[] filled = {0};
        new Evaluator(model, (done, blocks) -> {}).score(window, part -> {
            System.arraycopy(part, 0, all, filled[0], part.length);
            filled[0] += part.length;
        });
        return all;
    }

    private static double divergence(float[] p, float[] q) {
        double a = logSum(p);
        double b = logSum(q);
        double sum = 0;
        for (int v = 0; v < p.length; v++) {
            sum += Math.exp(p[v] - a) * ((p[v] - a) - (q[v] - b));
        }
        return sum;
    }

    private static double logSum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += Math.exp(value);
        }
        return Math.log(sum);
    }

    @Test
    void isTheSameWhereverStatesAreKept() throws Exception {
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 22);
        List<double[]> expected = measure(model, Long.MAX_VALUE);
        List<double[]> found = measure(model, 0);
        for (int u = 0; u < expected.size(); u++) {
            assertThat(found.get(u)).containsExactly(expected.get(u));
        }
    }
}
