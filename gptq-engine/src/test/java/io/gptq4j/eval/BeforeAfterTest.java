package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqQuantizer;
import io.gptq4j.gptq.QuantizationListener;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.TinyModels;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BeforeAfterTest extends CpuTest {
    private static final int[] TOKENS = new Random(21).ints(200, 0, 64).toArray();

    @Test
    void measuresDuringTheRunWhatAnEvaluationOfCheckpointAndArtifactMeasures() throws Exception {
        Path source = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 22);
        Path result = directory.resolve("result");
        GptqOptions options = TinyModels.options(3, 32, true, true, true, 128);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32);
                BeforeAfter measured = new BeforeAfter(model, TOKENS, 24, 6)) {
            QuantizationPlan plan = QuantizationPlan.of(model.architecture(), options);
            try (ArtifactWriter writer = ArtifactWriter.create(
                    result, ArtifactPlans.of(checkpoint, model.weights(), plan, "test:1", 1 << 20))) {
                GptqQuantizer.builder(model, plan)
                        .observer(measured)
                        .build()
                        .run(TinyModels.windows(5), writer::write, QuantizationListener.SILENT);
                writer.commit();
            }
            assertThat(measured.before()).isEqualTo(evaluate(model));
            try (Checkpoint artifact = Checkpoint.open(result);
                    LanguageModel quantized = TinyModels.open(torch, artifact, FloatType.FLOAT32)) {
                // This checkpoint's norms and embedding are float32, and float16 in the artifact.
                assertThat(measured.after().nll()).isCloseTo(evaluate(quantized).nll(), within(2e-3));
                assertThat(measured.after().nll())
                        .isNotCloseTo(measured.before().nll(), within(2e-3));
            }
        }
    }

    private static Perplexity evaluate(LanguageModel model) throws Exception {
        return new Evaluator(model, (done, blocks) -> {}).perplexity(TOKENS, 24, 6);
    }

    @Test
    void aFailureIsToldAtTheEndAndDoesNotEndTheRun() throws Exception {
        Path source = TinyModels.write(directory.resolve("model"), TinyModels.config("opt"), 23);
        int[] strangers = {1, 2, 3, 64_000, 5, 6, 7, 8};
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32);
                BeforeAfter measured = new BeforeAfter(model, strangers, 8, 1)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            assertThat(GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options))
                            .observer(measured)
                            .build()
                            .run(TinyModels.windows(5), linear -> {}, QuantizationListener.SILENT))
                    .isNotEmpty();
            assertThatThrownBy(measured::before).hasMessageStartingWith("Token id 64000 is outside");
            assertThatThrownBy(measured::after).hasMessageStartingWith("Token id 64000 is outside");
        }
    }
}
