package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.gptq.TinyModels;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.TensorStore;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComparisonTest extends CpuTest {
    private final List<AutoCloseable> open = new ArrayList<>();

    @AfterEach
    void closeModels() throws Exception {
        for (int i = open.size() - 1; i >= 0; i--) {
            open.get(i).close();
        }
    }

    /** A seeded random model of two blocks. */
    private LanguageModel model(String family, int vocabulary, long seed) throws Exception {
        Path files = directory.resolve(family + "-" + vocabulary + "-" + seed);
        TinyModels.write(files, TinyModels.config(family, "vocab_size", vocabulary), seed);
        Checkpoint checkpoint = Checkpoint.open(files);
        open.add(checkpoint);
        LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32);
        open.add(model);
        return model;
    }

    private static int[] tokens(int count, int vocabulary) {
        return new Random(41).ints(count, 0, vocabulary).toArray();
    }

    private TensorStore.Budget budget(long bytes) {
        return new TensorStore.Budget(bytes, bytes, directory);
    }

    private Comparison comparison(boolean hasReference, LanguageModel... models) {
        return new Comparison(List.of(models), hasReference, budget(Long.MAX_VALUE), (done, blocks) -> {});
    }

    private static Divergence divergence(ModelScores scores) {
        return Objects.requireNonNull(scores.divergence());
    }

    /** Logits of all positions of a window. */
    private static double[][] logits(LanguageModel model, int[] window) throws Exception {
        int vocabulary = model.architecture().vocabSize();
        List<double[]> rows = new ArrayList<>();
        new Evaluator(model, (done, blocks) -> {}).score(window, part -> {
            for (int start = 0; start < part.length; start += vocabulary) {
                double[] row = new double[vocabulary];
                for (int v = 0; v < vocabulary; v++) {
                    row[v] = part[start + v];
                }
                rows.add(row);
            }
        });
        return rows.toArray(double[][]::new);
    }

    private static double logSum(double[] logits) {
        return Math.log(Arrays.stream(logits).map(Math::exp).sum());
    }

    /** KL(p || q) by its definition. */
    private static double divergence(double[] p, double[] q) {
        double logP = logSum(p);
        double logQ = logSum(q);
        double sum = 0;
        for (int v = 0; v < p.length; v++) {
            sum += Math.exp(p[v] - logP) * ((p[v] - logP) - (q[v] - logQ));
        }
        return sum;
    }

    private static int best(double[] logits) {
        int best = 0;
        for (int v = 1; v < logits.length; v++) {
            best = logits[v] > logits[best] ? v : best;
        }
        return best;
    }

    @ParameterizedTest(name = "{1} windows of {2} tokens, vocabulary of {0}")
    @CsvSource({
        "64, 40, 60", // two batches
        "49152, 3, 60" // more positions than have their logits computed at a time
    })
    void isWhatPlainLoopsOverTheLogitsSay(int vocabulary, int windows, int window) throws Exception {
        LanguageModel reference = model("llama", vocabulary, 31);
        LanguageModel other = model("llama", vocabulary, 32);
        int[] tokens = tokens(windows * window + 7, vocabulary);
        List<ModelScores> scores = comparison(true, reference, other).run(tokens, window, 1000);

        double[] nll = new double[windows];
        double[] divergences = new double[windows * (window - 1)];
        double[] means = new double[windows];
        double[] agreement = new double[windows];
        for (int w = 0; w < windows; w++) {
            int[] ids = Arrays.copyOfRange(tokens, w * window, (w + 1) * window);
            double[][] p = logits(reference, ids);
            double[][] q = logits(other, ids);
            for (int t = 0; t < window - 1; t++) {
                double divergence = divergence(p[t], q[t]);
                divergences[w * (window - 1) + t] = divergence;
                means[w] += divergence / (window - 1);
                nll[w] += (logSum(q[t]) - q[t][ids[t + 1]]) / (window - 1);
                agreement[w] += (best(p[t]) == best(q[t]) ? 1.0 : 0.0) / (window - 1);
            }
        }
        assertThat(scores.get(1).windows()).containsExactly(nll, within(1e-4));
        assertThat(divergence(scores.get(1)).tokens()).containsExactly(divergences, within(1e-4));
        assertThat(divergence(scores.get(1)).windows()).containsExactly(means, within(1e-4));
        assertThat(divergence(scores.get(1)).agreement()).containsExactly(agreement, within(1e-12));
        assertThat(Arrays.stream(divergences).min().orElseThrow()).isPositive();
        assertThat(scores.get(0).divergence()).isNull();
    }

    @Test
    void eachModelHasThePerplexityThatItHasAlone() throws Exception {
        LanguageModel llama = model("llama", 64, 33);
        LanguageModel opt = model("opt", 64, 34);
        LanguageModel bloom = model("bloom", 64, 35);
        int[] tokens = tokens(700, 64);
        List<ModelScores> scores = comparison(false, llama, opt, bloom).run(tokens, 24, 10);
        List<LanguageModel> models = List.of(llama, opt, bloom);
        for (int m = 0; m < 3; m++) {
            Perplexity alone = new Evaluator(models.get(m), (done, blocks) -> {}).perplexity(tokens, 24, 10);
            assertThat(scores.get(m).windows()).hasSize(10);
            assertThat(scores.get(m).nll()).isCloseTo(alone.nll(), within(1e-5));
            assertThat(scores.get(m).perplexity()).isCloseTo(alone.perplexity(), within(1e-3));
            assertThat(scores.get(m).divergence()).isNull();
        }
    }

    @Test
    void aModelDoesNotDifferFromItself() throws Exception {
        LanguageModel model = model("llama", 64, 36);
        List<ModelScores> scores = comparison(true, model, model).run(tokens(400, 64), 40, 100);
        assertThat(divergence(scores.get(1)).tokens()).hasSize(390).containsOnly(0);
        assertThat(divergence(scores.get(1)).agreement()).hasSize(10).containsOnly(1);
        assertThat(Interval.ofDifference(scores.get(1).windows(), scores.get(0).windows()))
                .isEqualTo(new Interval(0, 0, 0));
    }

    @Test
    void whereHiddenStatesAreKeptChangesNothingAndAllMemoryIsGivenBack() throws Exception {
        LanguageModel reference = model("llama", 64, 37);
        LanguageModel other = model("opt", 64, 38);
        int[] tokens = tokens(3000, 64);
        List<ModelScores> inMemory = comparison(true, reference, other).run(tokens, 24, 1000);
        int live = LiveTensors.count(torch);
        Comparison onDisk = new Comparison(List.of(reference, other), true, budget(0), (done, blocks) -> {});
        assertThat(onDisk.run(tokens, 24, 1000)).usingRecursiveComparison().isEqualTo(inMemory);
        assertThat(LiveTensors.count(torch)).isEqualTo(live);
    }

    @Test
    void hearsTheBlocksOfAllModels() throws Exception {
        List<String> heard = new ArrayList<>();
        List<LanguageModel> models = List.of(model("llama", 64, 39), model("bloom", 64, 40));
        new Comparison(models, true, budget(Long.MAX_VALUE), (done, blocks) -> heard.add(done + " of " + blocks))
                .run(tokens(100, 64), 10, 2);
        assertThat(heard).containsExactly("1 of 4", "2 of 4", "3 of 4", "4 of 4");
    }

    @Test
    void refusesOtherVocabulariesSingleWindowsAndWindowsThatDoNotFitOneOfThem() throws Exception {
        LanguageModel bloom = model("bloom", 64, 42); // takes any window
        LanguageModel llama = model("llama", 64, 43); // 64 positions
        LanguageModel larger = model("llama", 65, 44);
        assertThatThrownBy(() -> comparison(true, bloom, larger))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("these have 64 and 65 entries");
        assertThatThrownBy(() -> comparison(true, bloom, llama).run(tokens(200, 64), 65, 9))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("A window of 65");
        for (int[] sizes : new int[][] {{127, 64, 9}, {640, 64, 1}}) {
            assertThatThrownBy(() -> comparison(true, bloom, llama).run(tokens(sizes[0], 64), sizes[1], sizes[2]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("two windows or more");
        }
    }
}
