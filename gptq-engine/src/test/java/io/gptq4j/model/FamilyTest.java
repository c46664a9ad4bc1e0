package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
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

    /** Checks that the model, asked for one token after the other, gives the logits that it gives of all together. */
    private static void assertGoesOn(LanguageModel model, float[] expected) throws Exception {
        int vocab = model.architecture().vocabSize();
        try (Scope scope = model.scope();
                LanguageModel.Embedder embedder = model.embedder();
                LanguageModel.Output output = model.output()) {
            List<DecoderBlock> blocks = new ArrayList<>();
            List<KeyValues> past = new ArrayList<>();
            try (BlockReader reader = model.blocks()) {
                for (int layer = 0; layer < model.architecture().layers(); layer++) {
                    blocks.add(model.block(scope, reader));
                    past.add(new KeyValues(scope, IDS.length));
                }
            }
            for (int t = 0; t < IDS.length; t++) {
                Tensor x = embedder.embed(scope, new int[][] {{IDS[t]}}, t);
                for (int layer = 0; layer < blocks.size(); layer++) {
                    x = blocks.get(layer).forward(scope, x, past.get(layer));
                }
                float[] logits = output.logits(x, 0, 1);
                for (int v = 0; v < vocab; v++) {
                    assertThat((double) logits[v])
                            .as("logit %d of token %d, after those before it", v, t)
                            .isCloseTo(expected[t * vocab + v], within(1e-3));
                }
            }
        }
    }

    /** In any type; checks that the log-likelihoods are those of the logits, and that tokens may come one by one. */
    private static float[] logits(Checkpoint checkpoint, FloatType type) throws Exception {
        try (LanguageModel model =
                LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), type)) {
            List<float[]> parts = new ArrayList<>();
            double[] loglik = new Evaluator(model, (done, blocks) -> {}).score(IDS, parts::add);
            assertThat(parts).hasSize(1);
            float[] logits = parts.get(0);
            int vocab = model.architecture().vocabSize();
            if (type == FloatType.FLOAT32) {
                assertGoesOn(model, logits);
            }
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
