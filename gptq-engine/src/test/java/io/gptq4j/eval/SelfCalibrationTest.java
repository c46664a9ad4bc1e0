package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.pytorch.jni.JniUtils;
import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.KeyValues;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.TensorStore;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

    private SelfCalibration calibration(Evaluator.Progress progress) {
        return new SelfCalibration(model, new TensorStore.Budget(1L << 30, 1L << 30, directory), progress);
    }

    private int[] stream(Pieces pieces, boolean together, IntPredicate begins, long seed) throws Exception {
        return calibration((done, passes) -> {}).stream(pieces, together, begins, seed);
    }

    /** The choice done again by hand, from the logits of each piece alone. */
    @Test
    void drawsEachTokenByTheProbabilitiesThatTheModelGivesIt() throws Exception {
        long seed = 7;
        int length = 8;
        int[] stream = stream(new Pieces(length, 32, 32), true, id -> true, seed);
        assertThat(stream).hasSize(32 * length);
        SplittableRandom random = new SplittableRandom(seed);
        for (int p = 0; p < 32; p++) {
            SplittableRandom chances = random.split();
            int[] piece = Arrays.copyOfRange(stream, p * length, (p + 1) * length);
            assertThat(piece[0]).isEqualTo(chances.nextInt(VOCAB));
            for (int t = 1; t < length; t++) {
                double[] range = range(Arrays.copyOf(piece, t), piece[t]);
                assertThat((double) chances.nextFloat())
                        .as("seed %d, piece %d, token %d", seed, p, t)
                        .isBetween(range[0], range[1]);
            }
        }
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
    void givesTheSameTextForTheSameSeedAndAnotherForAnother() throws Exception {
        Pieces pieces = new Pieces(8, 16, 16);
        int[] stream = stream(pieces, true, id -> true, 1);
        assertThat(stream).isEqualTo(stream(pieces, true, id -> true, 1));
        assertThat(stream).isNotEqualTo(stream(pieces, true, id -> true, 2));
    }

    @Test
    void givesTheSameTextInAnyNumberOfRoundsAndBlockByBlock() throws Exception {
        int[] stream = stream(new Pieces(8, 144, 144), true, id -> true, 1); // batches of 64, 64 and 16
        assertThat(stream).isEqualTo(stream(new Pieces(8, 144, 64), true, id -> true, 1));
        assertThat(stream).isEqualTo(stream(new Pieces(8, 144, 144), false, id -> true, 1));
        assertThat(stream).isEqualTo(stream(new Pieces(8, 144, 128), false, id -> true, 1));
    }

    /** To the last bit: a draw may be as near to another token as that. More keys than a vector has numbers. */
    @ParameterizedTest(name = "{0} threads, seed 4")
    @ValueSource(ints = {2, 5})
    void computesTokensThatComeOneByOneTheSameOnAnyNumberOfThreads(int number) throws Exception {
        int threads = JniUtils.getNumThreads();
        SplittableRandom random = new SplittableRandom(4);
        try (Scope scope = model.scope();
                BlockReader reader = model.blocks();
                LanguageModel.Embedder embedder = model.embedder()) {
            DecoderBlock block = model.block(scope, reader);
            KeyValues alone = new KeyValues(scope, 40);
            KeyValues shared = new KeyValues(scope, 40);
            for (int position = 0; position < 40; position++) {
                int[][] ids = new int[24][1];
                for (int[] id : ids) {
                    id[0] = random.nextInt(VOCAB);
                }
                JniUtils.setNumThreads(1);
                float[] expected = block.forward(scope, embedder.embed(scope, ids, position), alone)
                        .toFloats();
                JniUtils.setNumThreads(number);
                assertThat(block.forward(scope, embedder.embed(scope, ids, position), shared)
                                .toFloats())
                        .as("token %d", position)
                        .isEqualTo(expected);
            }
        } finally {
            JniUtils.setNumThreads(threads);
        }
    }

    @Test
    void beginsPiecesOnlyWithWhatMayBeginText() throws Exception {
        int[] stream = stream(new Pieces(4, 50, 50), true, id -> id >= 100 && id < 105, 3);
        Set<Integer> first = new HashSet<>();
        for (int i = 0; i < stream.length; i += 4) {
            first.add(stream[i]);
        }
        assertThat(first).containsExactlyInAnyOrder(100, 101, 102, 103, 104);
    }

    @Test
    void beginsWithAnyTokenIfNoneMayBeginText() throws Exception {
        assertThat(stream(new Pieces(2, 16, 16), true, id -> false, 3)[0]).isBetween(0, VOCAB - 1);
    }

    @Test
    void addsWindowsOfTheTextsLength() throws Exception {
        CalibrationSet text = new CalibrationSet(new int[][] {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, "a test");
        CalibrationSet both = calibration((done, passes) -> {}).extended(text, 3, id -> true, 1);
        assertThat(both.windows()).hasDimensions(4, 10);
        assertThat(both.windows()[0]).isEqualTo(text.windows()[0]);
        int[] stream = stream(new Pieces(10, 16, 16), true, id -> true, 1);
        assertThat(both.windows()[1]).isEqualTo(Arrays.copyOfRange(stream, 0, 10));
        assertThat(both.windows()[3]).isEqualTo(Arrays.copyOfRange(stream, 20, 30));
        assertThat(calibration((done, passes) -> {}).extended(text, 0, id -> true, 1))
                .isSameAs(text);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tellsHowFarItIs(boolean together) throws Exception {
        List<String> told = new ArrayList<>();
        calibration((done, passes) -> told.add(done + "/" + passes)).stream(
                new Pieces(3, 128, 64), together, id -> true, 1);
        assertThat(told).containsExactly("1/4", "2/4", "3/4", "4/4");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void leavesNoTensorBehind(boolean together) throws Exception {
        stream(new Pieces(8, 16, 16), together, id -> true, 1); // makes the rotary tables, which the model keeps
        int before = LiveTensors.count(torch);
        stream(new Pieces(8, 128, 64), together, id -> true, 1);
        assertThat(LiveTensors.count(torch)).isEqualTo(before);
    }
}
