package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.TensorStore;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SelfCalibrationTest extends CpuTest {
    private static final int VOCAB = 4096;

    private static Checkpoint checkpoint;
    private static LanguageModel model;

    @BeforeAll
    static void open() throws Exception {
        checkpoint = Checkpoint.open(Path.of("../examples/tiny-llama"));
        model = LanguageModel.open(
                torch, checkpoint, ModelFamilies.architecture(checkpoint.config()), FloatType.FLOAT32);
    }

    @AfterAll
    static void close() throws Exception {
        model.close();
        checkpoint.close();
    }

    private int[][] windows(int count, int seqlen, IntPredicate begins, long seed) throws Exception {
        return new SelfCalibration(model, new TensorStore.Budget(0, 0, directory), (done, blocks) -> {})
                .windows(count, seqlen, begins, seed);
    }

    /** The choice done again by hand, from the logits of each piece alone. */
    @Test
    void drawsEachTokenByTheProbabilitiesThatTheModelGivesIt() throws Exception {
        long seed = 7;
        int pieces = 6;
        int[] stream = windows(1, pieces * SelfCalibration.PIECE, id -> true, seed)[0];
        Random random = new Random(seed);
        int[][] expected = new int[pieces][];
        Arrays.setAll(expected, p -> new int[] {random.nextInt(VOCAB)});
        assertThat(stream[0]).isEqualTo(expected[0][0]);
        for (int length = 1; length < SelfCalibration.PIECE; length++) {
            for (int p = 0; p < pieces; p++) {
                float draw = random.nextFloat();
                int token = stream[p * SelfCalibration.PIECE + length];
                double[] range = range(expected[p], token);
                assertThat((double) draw)
                        .as("seed %d, piece %d, token %d", seed, p, length)
                        .isBetween(range[0], range[1]);
                expected[p] = Arrays.copyOf(expected[p], length + 1);
                expected[p][length] = token;
            }
        }
        assertThat(stream)
                .containsExactly(
                        Arrays.stream(expected).flatMapToInt(Arrays::stream).toArray());
    }

    /** Which draws lead to a token after some others: between the probabilities of all before it in the vocabulary, and its own. */
    private static double[] range(int[] before, int token) throws Exception {
        int[] twice = Arrays.copyOf(before, before.length + 1); // a window has two tokens at least
        List<float[]> logits = new ArrayList<>();
        new Evaluator(model, (done, blocks) -> {}).score(twice, logits::add);
        float[] last = Arrays.copyOfRange(logits.get(0), (before.length - 1) * VOCAB, before.length * VOCAB);
        double sum = 0;
        double below = 0;
        for (int v = 0; v < VOCAB; v++) {
            sum += Math.exp(last[v]);
            below += v < token ? Math.exp(last[v]) : 0;
        }
        double slack = 1e-4; // float32
        return new double[] {below / sum - slack, (below + Math.exp(last[token])) / sum + slack};
    }

    @Test
    void givesTheSameWindowsForTheSameSeedAndOthersForAnother() throws Exception {
        int[][] windows = windows(3, 10, id -> true, 1); // 30 tokens, cut from 2 pieces
        assertThat(windows).hasDimensions(3, 10).isDeepEqualTo(windows(3, 10, id -> true, 1));
        assertThat(windows(3, 10, id -> true, 2)[0]).isNotEqualTo(windows[0]);
    }

    @Test
    void beginsPiecesOnlyWithWhatMayBeginText() throws Exception {
        int[] stream = windows(1, 400, id -> id >= 100 && id < 105, 3)[0];
        Set<Integer> first = new HashSet<>();
        for (int i = 0; i < stream.length; i += SelfCalibration.PIECE) {
            first.add(stream[i]);
        }
        assertThat(first).containsExactlyInAnyOrder(100, 101, 102, 103, 104);
    }

    @Test
    void beginsWithAnyTokenIfNoneMayBeginText() throws Exception {
        assertThat(windows(1, 4, id -> false, 3)[0][0]).isBetween(0, VOCAB - 1);
    }

    @Test
    void makesNothingUpIfNothingIsWanted() throws Exception {
        assertThat(windows(0, 10, id -> true, 1)).isEmpty();
    }

    @Test
    void fillsSeveralBatchesAndTellsHowFarItIs() throws Exception {
        List<String> told = new ArrayList<>();
        int[][] windows = new SelfCalibration(
                        model,
                        new TensorStore.Budget(1 << 30, 1 << 30, directory),
                        (done, blocks) -> told.add(done + "/" + blocks))
                .windows(20, 512, id -> true, 1); // 640 pieces
        assertThat(windows).hasDimensions(20, 512);
        assertThat(told).hasSize(90).startsWith("1/90", "2/90").endsWith("89/90", "90/90");
    }

    @Test
    void leavesNoTensorBehind() throws Exception {
        windows(1, 8, id -> true, 1); // makes the rotary tables, which the model keeps
        int before = LiveTensors.count(torch);
        windows(2, 8, id -> true, 1);
        assertThat(LiveTensors.count(torch)).isEqualTo(before);
    }
}
