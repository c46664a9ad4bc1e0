package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The engine's logits of a checkpoint, and what they are compared with. */
final class Logits {
    private Logits() {}

    /** Logits [tokens][vocab] of these tokens; checks that the log-likelihoods are theirs. */
    static double[][] of(Torch torch, Path directory, int[] ids, FloatType type) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel model =
                        LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint.config()), type)) {
            List<float[]> parts = new ArrayList<>();
            double[] loglik = new Evaluator(model, (done, blocks) -> {}).score(ids, parts::add);
            int vocab = model.architecture().vocabSize();
            double[][] logits = new double[ids.length][vocab];
            for (int i = 0; i < ids.length * vocab; i++) {
                logits[i / vocab][i % vocab] = parts.get(0)[i];
            }
            for (int t = 1; t < ids.length; t++) {
                double sum = 0;
                for (double logit : logits[t - 1]) {
                    sum += Math.exp(logit);
                }
                assertThat(loglik[t - 1]).isCloseTo(logits[t - 1][ids[t]] - Math.log(sum), within(1e-3));
            }
            return logits;
        }
    }

    /** Compares all logits. */
    static void assertClose(double[][] actual, double[][] expected, double tolerance) {
        for (int t = 0; t < expected.length; t++) {
            for (int v = 0; v < expected[t].length; v++) {
                assertThat(actual[t][v]).as("logit %d of token %d", v, t).isCloseTo(expected[t][v], within(tolerance));
            }
        }
    }
}
