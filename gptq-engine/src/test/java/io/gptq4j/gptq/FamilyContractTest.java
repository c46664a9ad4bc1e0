package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.model.FamilyTest;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.model.families.FamilyExamples;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for every family, whatever it is made of. */
class FamilyContractTest extends FamilyTest {
    static Stream<String> families() {
        return FamilyExamples.all().keySet().stream();
    }

    @Test
    void everyFamilyHasAnExample() {
        assertThat(FamilyExamples.all().keySet())
                .containsExactlyInAnyOrderElementsOf(
                        ModelFamilies.ALL.stream().map(ModelFamily::name).toList());
        assertThat(ModelFamilies.ALL.stream().flatMap(family -> family.modelTypes().stream()))
                .doesNotHaveDuplicates();
    }

    @ParameterizedTest(name = "{0}, seed 7")
    @MethodSource("families")
    void isQuantizedReadAgainAndEvaluated(String family) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example(family), 7);
        Path source = tiny.write(directory.resolve("float"));
        Path artifact = directory.resolve("artifact");
        Set<String> expected = new TreeSet<>();
        double before;
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(8, 32, true, true, true, 128);
            assertThat(QuantizationPlan.of(model.architecture(), options).skipped())
                    .isEmpty();
            for (int layer = 0; layer < model.architecture().layers(); layer++) {
                for (Architecture.Linear linear : model.architecture().linears(layer)) {
                    if (!model.architecture().block(layer).floatModules().contains(linear)) {
                        expected.add(model.architecture().inBlock(layer, linear.name()));
                    }
                }
            }
            TinyModels.artifact(checkpoint, model, options, artifact);
            before = logLikelihood(model);
        }
        try (Checkpoint checkpoint = Checkpoint.open(artifact);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            assertThat(new TreeSet<>(ArtifactReader.of(checkpoint).modules())).isEqualTo(expected);
            assertThat(logLikelihood(model)).isCloseTo(before, within(1.0));
        }
    }

    private static double logLikelihood(LanguageModel model) throws Exception {
        double sum = 0;
        for (double value : new Evaluator(model, (done, blocks) -> {}).score(IDS, logits -> {})) {
            sum += value;
        }
        return sum;
    }

    /** What families call their activation, and what hides a name of a rope type or of something that none computes. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void refusesWhatItDoesNotComputeByName(String family) throws Exception {
        Map<String, Object> config = example(family);
        for (String key : List.of("hidden_act", "activation_function", "hidden_activation", "activation")) {
            refused(config, key, "softsign");
        }
        refused(config, "rope_scaling", Map.of("rope_type", "spiral", "factor", 2.0));
        refused(config, "rope_parameters", Map.of("rope_type", "spiral", "factor", 2.0));
        refused(config, "norm_type", "batch_norm");
        refused(config, "is_encoder_decoder", true);
        refused(config, "add_cross_attention", true);
        refused(config, "attn_temperature_tuning", true);
    }

    private static void refused(Map<String, Object> config, String key, Object value) {
        Map<String, Object> changed = new LinkedHashMap<>(config);
        changed.put(key, value);
        assertThatThrownBy(() -> ModelFamilies.architecture(ModelConfig.of(changed, "config.json")))
                .as("%s = %s", key, value)
                .isInstanceOf(CheckpointException.class)
                .satisfies(error -> assertThat(error.getMessage()).containsAnyOf(key, "rope type \"spiral\""));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void hasNoTensorTwiceAndNoModuleInTwoGroups(String family) throws Exception {
        Architecture architecture = ModelFamilies.architecture(ModelConfig.of(example(family), "config.json"));
        for (Block block : architecture.kinds().keySet()) {
            List<String> names = new ArrayList<>();
            block.moduleGroups().forEach(group -> group.modules().forEach(module -> names.add(module.name())));
            assertThat(names).doesNotHaveDuplicates();
        }
    }

    private static Map<String, Object> example(String family) {
        return new LinkedHashMap<>(
                Objects.requireNonNull(FamilyExamples.all().get(family)).values());
    }
}
