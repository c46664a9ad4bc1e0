package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A trained model against the values that transformers computes for it. */
class EvaluatorTest {
    private static final int VOCAB = 4096;

    private static Torch torch;
    private static Checkpoint checkpoint;
    private static LanguageModel model;
    private static JsonNode golden;
    private static int heldByTheModel;

    @BeforeAll
    static void open() throws Exception {
        torch = Torch.open("cpu");
        checkpoint = Checkpoint.open(Path.of("../examples/tiny-llama"));
        model = LanguageModel.open(
                torch, checkpoint, ModelFamilies.architecture(checkpoint.config()), FloatType.FLOAT32);
        try (InputStream in = new GZIPInputStream(
                Objects.requireNonNull(EvaluatorTest.class.getResourceAsStream("tiny-llama.json.gz")))) {
            golden = new ObjectMapper().readTree(in);
        }
        evaluator().score(ids("long_prompt_ids"), null); // makes the rotary tables, which the model keeps
        heldByTheModel = LiveTensors.count(torch);
    }

    @AfterAll
    static void close() throws Exception {
        model.close();
        checkpoint.close();
        torch.close();
    }

    private static Evaluator evaluator() {
        return new Evaluator(model, (done, blocks) -> {});
    }

    private static int[] ids(String key) {
        return Arrays.stream(doubles(key)).mapToInt(id -> (int) id).toArray();
    }

    private static double[] doubles(String key) {
        double[] values = new double[golden.get(key).size()];
        Arrays.setAll(values, i -> golden.get(key).get(i).asDouble());
        return values;
    }

    @ParameterizedTest(name = "{0}prompt_ids")
    @ValueSource(strings = {"", "long_"})
    void givesTheLogLikelihoodsAndLogitsOfTransformers(String prompt) throws Exception {
        int[] ids = ids(prompt + "prompt_ids");
        List<float[]> parts = new ArrayList<>();
        double[] actual = evaluator().score(ids, parts::add);
        assertThat(actual).containsExactly(doubles(prompt + "token_loglik"), within(1e-3));
        assertThat(parts.stream().mapToInt(part -> part.length).sum()).isEqualTo(ids.length * VOCAB);
        float[] last = parts.get(parts.size() - 1);
        double[] lastRow = new double[VOCAB];
        Arrays.setAll(lastRow, v -> last[last.length - VOCAB + v]);
        assertThat(lastRow).containsExactly(doubles(prompt + "last_logits"), within(1e-3));
    }

    @ParameterizedTest(name = "windows of {0}, at most {1}: {2} windows")
    @CsvSource({"16, 100, 12", "50, 100, 3", "192, 1, 1", "7, 5, 5"})
    void perplexityIsThatOfItsWindowsScoredAlone(int window, int limit, int windows) throws Exception {
        int[] tokens = ids("long_prompt_ids"); // 192
        Perplexity perplexity = evaluator().perplexity(tokens, window, limit);
        double sum = 0;
        for (int w = 0; w < windows; w++) {
            int[] ids = Arrays.copyOfRange(tokens, w * window, (w + 1) * window);
            sum += Arrays.stream(evaluator().score(ids, null)).sum();
        }
        double nll = -sum / (windows * (window - 1));
        assertThat(perplexity.nll()).isCloseTo(nll, within(1e-5));
        assertThat(perplexity.perplexity()).isCloseTo(Math.exp(nll), within(1e-3));
        assertThat(perplexity.windows()).isEqualTo(windows);
        assertThat(perplexity.tokens()).isEqualTo(windows * (window - 1));
    }

    @Test
    void perplexityOfSeveralBatchesIsThatOfTheWindows() throws Exception {
        int[] prompt = ids("long_prompt_ids");
        int[] tokens = new int[192 * 23]; // 23 windows, 10 of which fill a batch
        Arrays.setAll(tokens, i -> prompt[(i + i / 192) % 192]);
        Perplexity perplexity = evaluator().perplexity(tokens, 192, 23);
        double sum = 0;
        for (int w = 0; w < 23; w++) {
            sum += Arrays.stream(evaluator().score(Arrays.copyOfRange(tokens, w * 192, (w + 1) * 192), null))
                    .sum();
        }
        assertThat(perplexity.nll()).isCloseTo(-sum / (23 * 191), within(1e-5));
    }

    @Test
    void hearsEveryBlock() throws Exception {
        List<String> heard = new ArrayList<>();
        new Evaluator(model, (done, blocks) -> heard.add(done + " of " + blocks)).score(new int[] {5, 6}, null);
        assertThat(heard).containsExactly("1 of 6", "2 of 6", "3 of 6", "4 of 6", "5 of 6", "6 of 6");
    }

    @Test
    void givesBackAllMemory() throws Exception {
        evaluator().perplexity(ids("long_prompt_ids"), 16, 100);
        evaluator().score(ids("prompt_ids"), logits -> {});
        assertThat(LiveTensors.count(torch)).isEqualTo(heldByTheModel);
    }

    @Test
    void keepsOneSetOfRotaryTablesHoweverTheWindowsGrow() throws Exception {
        for (int length : new int[] {200, 201, 202, 203}) {
            int[] ids = new int[length];
            evaluator().score(ids, null);
        }
        assertThat(LiveTensors.count(torch)).isEqualTo(heldByTheModel);
    }

    @Test
    void givesBackAllMemoryWhenTheSinkFails() {
        assertThatThrownBy(() -> evaluator().score(ids("prompt_ids"), logits -> {
                    throw new IOException("disk full");
                }))
                .hasMessage("disk full");
        assertThat(LiveTensors.count(torch)).isEqualTo(heldByTheModel);
    }

    @Test
    void saysThatTheTextIsShorterThanAWindow() {
        assertThatThrownBy(() -> evaluator().perplexity(new int[9], 10, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("only 9 tokens, less than one window of 10");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(ints = {-1, 0, 1, 513})
    void refusesAWindowTheModelCannotTake(int window) {
        assertThatThrownBy(() -> evaluator().perplexity(new int[2000], window, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("A window of " + window)
                .hasMessageContaining("2 to 512");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(ints = {-1, 0})
    void refusesToScoreNoWindows(int limit) {
        assertThatThrownBy(() -> evaluator().perplexity(new int[2000], 16, limit))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("not " + limit);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(ints = {4096, -1, Integer.MAX_VALUE})
    void namesATokenOutsideTheVocabulary(int id) {
        assertThatThrownBy(() -> evaluator().score(new int[] {1, id, 2}, null))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("Token id " + id + " is outside the model's vocabulary of 4096");
        assertThat(LiveTensors.count(torch)).isEqualTo(heldByTheModel);
    }
}
