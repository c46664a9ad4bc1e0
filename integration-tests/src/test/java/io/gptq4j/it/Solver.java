package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.SelfCalibration;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqQuantizer;
import io.gptq4j.gptq.QuantizationListener;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.TensorStore;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The quantizer within the test's own process, to catch what the solver says before it is packed. */
final class Solver {
    private Solver() {}

    /** Windows of the embedded text, as the command takes them by default. */
    static CalibrationSet windows(Path model, int samples, int seqlen) throws IOException {
        try (Tokenizer tokenizer = Tokenizer.open(model.resolve("tokenizer.json"))) {
            return CalibrationSet.embedded(tokenizer, samples, seqlen, 0);
        }
    }

    /**
     * Quantizes, on windows and some that the model makes up, writes the artifact to {@code out}, and returns what was solved.
     */
    static List<QuantizedLinear> run(Path model, GptqOptions options, CalibrationSet windows, int selfSamples, Path out)
            throws IOException {
        List<QuantizedLinear> solved = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson());
                Torch torch = Torch.open("cpu")) {
            Architecture architecture = ModelFamilies.architecture(checkpoint.config());
            QuantizationPlan plan = QuantizationPlan.of(architecture, options);
            // As the command chooses.
            boolean brief =
                    checkpoint.config().stringValue("torch_dtype", "float32").equals("bfloat16");
            FloatType type = brief && torch.hasFastBfloat16() ? FloatType.BFLOAT16 : FloatType.FLOAT32;
            try (LanguageModel language = LanguageModel.open(torch, checkpoint, architecture, type);
                    ArtifactWriter writer = ArtifactWriter.create(
                            out, ArtifactPlans.of(checkpoint, language.weights(), plan, "test:0", 5_000_000_000L))) {
                SelfCalibration own = new SelfCalibration(
                        language, new TensorStore.Budget(1L << 30, 1L << 30, out), (done, blocks) -> {});
                GptqQuantizer.builder(language, plan)
                        .build()
                        .run(
                                own.extended(windows, selfSamples, tokenizer::isText, 0),
                                module -> {
                                    solved.add(module);
                                    writer.write(module);
                                },
                                QuantizationListener.SILENT);
                writer.commit();
            }
        }
        return solved;
    }

    /** Holds every module of an artifact, unpacked bit by bit, against what was solved. */
    static void assertHolds(RawArtifact artifact, List<QuantizedLinear> solved) {
        assertThat(solved).isNotEmpty();
        for (QuantizedLinear linear : solved) {
            RawArtifact.Module module = artifact.module(linear.name());
            assertThat(module.gIdx()).as("%s.g_idx", linear.name()).isEqualTo(linear.gIdx());
            for (int o = 0; o < linear.outFeatures(); o++) {
                assertThat(module.codes()[o])
                        .as("codes of output %d of %s", o, linear.name())
                        .isEqualTo(unsigned(linear.codes()[o]));
            }
            for (int g = 0; g < linear.groups(); g++) {
                assertThat(module.zeros()[g])
                        .as("zero points of group %d of %s", g, linear.name())
                        .isEqualTo(unsigned(linear.zeros()[g]));
                for (int o = 0; o < linear.outFeatures(); o++) {
                    assertThat(module.scales()[g][o])
                            .as("scale of group %d, output %d of %s", g, o, linear.name())
                            .isEqualTo(RawArtifact.half(linear.scales()[g][o]));
                }
            }
        }
    }

    private static int[] unsigned(byte[] bytes) {
        int[] values = new int[bytes.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = bytes[i] & 0xff;
        }
        return values;
    }
}
