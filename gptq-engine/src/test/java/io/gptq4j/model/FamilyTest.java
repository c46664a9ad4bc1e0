package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A test of the logits that the engine computes of a checkpoint with a vocabulary of 64. */
public abstract class FamilyTest extends CpuTest {
    /** The tokens that they are logits of. */
    protected static final int[] IDS = {5, 1, 60, 33, 2, 2, 47, 18, 9, 40, 63, 0, 12};

    /** The logits [tokens, vocab] in float32, row-major. */
    protected static float[] logits(Checkpoint checkpoint) throws Exception {
        return logits(checkpoint, FloatType.FLOAT32);
    }

    /** The same of the checkpoint in a directory. */
    protected static float[] logits(Path directory) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            return logits(checkpoint);
        }
    }

    /** Compares the logits of the checkpoint in a directory with others, [tokens][vocab]. */
    static void assertComputes(Path directory, FloatType type, double[][] expected, double tolerance) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            float[] actual = logits(checkpoint, type);
            int vocab = expected[0].length;
            assertThat(actual).hasSize(expected.length * vocab);
            for (int t = 0; t < expected.length; t++) {
                for (int v = 0; v < vocab; v++) {
                    assertThat((double) actual[t * vocab + v])
                            .as("logit %d of token %d", v, t)
                            .isCloseTo(expected[t][v], within(tolerance));
                }
            }
        }
    }

    /** In any type; checks that the log-likelihoods are those of the logits. */
    private static float[] logits(Checkpoint checkpoint, FloatType type) throws Exception {
        try (LanguageModel model =
                LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), type)) {
            List<float[]> parts = new ArrayList<>();
            double[] loglik = new Evaluator(model, (done, blocks) -> {}).score(IDS, parts::add);
            assertThat(parts).hasSize(1);
            float[] logits = parts.get(0);
            int vocab = model.architecture().vocabSize();
            for (int t = 1; t < IDS.length; t++) {
                double sum = 0;
                for (int v = 0; v < vocab; v++) {
                    sum += Math.exp(logits[(t - 1) * vocab + v]);
                }
                assertThat(loglik[t - 1]).isCloseTo(logits[(t - 1) * vocab + IDS[t]] - Math.log(sum), within(1e-3));
            }
            return logits;
        }
    }
}
