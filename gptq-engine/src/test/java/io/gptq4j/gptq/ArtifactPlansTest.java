package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ArtifactPlansTest extends CpuTest {
    private static ArtifactWriter.Plan plan(Path model, GptqOptions options, String... rules) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan = QuantizationPlan.of(
                    language.architecture(),
                    options,
                    Stream.of(rules).map(ModuleRule::parse).toList());
            return ArtifactPlans.of(checkpoint, language.weights(), plan, "gptq4j:test", 1000);
        }
    }

    private static GptqOptions grouped(int group) {
        return GptqOptions.defaults().withBits(4, group);
    }

    @Test
    void carriesEveryTensorThatIsNotQuantizedBiasesToo() throws Exception {
        ArtifactWriter.Plan plan = plan(TinyModels.write(directory, TinyModels.config("opt"), 1), grouped(32));
        assertThat(plan.modules()).hasSize(12);
        assertThat(plan.modules())
                .contains(
                        new ArtifactWriter.ModuleShape("model.decoder.layers.0.self_attn.q_proj", 96, 96),
                        new ArtifactWriter.ModuleShape("model.decoder.layers.1.fc2", 192, 96));
        assertThat(plan.carried())
                .containsEntry(
                        "model.decoder.layers.0.self_attn.q_proj.bias", "model.decoder.layers.0.self_attn.q_proj.bias")
                .containsKeys(
                        "model.decoder.layers.1.fc2.bias",
                        "model.decoder.layers.1.final_layer_norm.weight",
                        "model.decoder.embed_positions.weight",
                        "model.decoder.embed_tokens.weight",
                        "model.decoder.final_layer_norm.bias")
                .doesNotContainKey("model.decoder.layers.0.self_attn.q_proj.weight");
        assertThat(plan.carried()).hasSize(2 * (6 + 2 * 2) + 2 + 2);
        assertThat(plan.tieWordEmbeddings()).isTrue();
        assertThat(plan.shardSize()).isEqualTo(1000);
    }

    @ParameterizedTest(name = "{0} without {1}")
    @CsvSource({"llama,model.", "opt,model.", "bloom,transformer."})
    void givesTensorsOfABaseModelTheirCanonicalNames(String family, String prefix) throws Exception {
        UnaryOperator<String> strip = name -> name.startsWith(prefix) ? name.substring(prefix.length()) : name;
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config(family), 2);
        ArtifactWriter.Plan plan = plan(tiny.write(directory, strip), grouped(32));
        assertThat(plan.carried()).isNotEmpty().allSatisfy((name, stored) -> {
            assertThat(stored).isEqualTo(strip.apply(name));
            assertThat(tiny.architecture().tensors()).containsKey(name);
        });
        assertThat(plan.modules()).allMatch(module -> module.name().startsWith(prefix));
        int modules = plan.modules().size();
        assertThat(plan.carried()).hasSize(tiny.architecture().tensors().size() - modules);
    }

    @Test
    void leavesOutWhatIsTiedOrRecomputedAndCarriesTheUnknown() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config("llama", "tie_word_embeddings", true), 3);
        tiny.tensors().put("lm_head.weight", new float[64 * 96]);
        tiny.tensors().put("model.layers.0.self_attn.rotary_emb.inv_freq", new float[12]);
        tiny.tensors().put("model.layers.0.something_new", new float[3]);
        ArtifactWriter.Plan plan = plan(tiny.write(directory), grouped(32));
        assertThat(plan.carried())
                .doesNotContainKeys("lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq")
                .containsEntry("model.layers.0.something_new", "model.layers.0.something_new");
        assertThat(plan.tieWordEmbeddings()).isTrue();
    }

    @Test
    void carriesAHeadOfItsOwn() throws Exception {
        ArtifactWriter.Plan plan = plan(TinyModels.write(directory, TinyModels.config("llama"), 4), grouped(32));
        assertThat(plan.carried()).containsEntry("lm_head.weight", "lm_head.weight");
        assertThat(plan.tieWordEmbeddings()).isFalse();
    }

    @Test
    void carriesTheWeightsOfModulesLeftInFloat() throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config("llama", "num_key_value_heads", 2), 5);
        ArtifactWriter.Plan plan = plan(model, grouped(32));
        assertThat(plan.carried())
                .containsKeys("model.layers.0.self_attn.k_proj.weight", "model.layers.1.self_attn.v_proj.weight")
                .doesNotContainKey("model.layers.0.self_attn.q_proj.weight");
        assertThat(plan.config().modulesInBlockToQuantize())
                .containsExactly(
                        List.of("self_attn.q_proj"),
                        List.of("self_attn.o_proj"),
                        List.of("mlp.gate_proj", "mlp.up_proj"),
                        List.of("mlp.down_proj"));
    }

    @Test
    void carriesWhatARuleLeavesInFloatAndTellsTheRules() throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config("llama"), 7);
        ArtifactWriter.Plan plan =
                plan(model, grouped(32), ".*down_proj=bits:8,damp:0.1", "-:.*o_proj", "-:.*\\.1\\.mlp");
        assertThat(plan.carried())
                .containsKeys("model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.down_proj.weight")
                .doesNotContainKey("model.layers.0.mlp.down_proj.weight");
        assertThat(plan.modules()).extracting(ArtifactWriter.ModuleShape::name).hasSize(9);
        assertThat(plan.config().modulesInBlockToQuantize())
                .containsExactly(
                        List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                        List.of("mlp.gate_proj", "mlp.up_proj"),
                        List.of("mlp.down_proj"));
        assertThat(plan.config().dynamic())
                .extracting(ModuleRule::text)
                .containsExactly("-:.*o_proj", "-:.*\\.1\\.mlp", ".*down_proj=bits:8,damp_percent:0.1");
        assertThat(plan.config().forModule("model.layers.0.mlp.down_proj").bits())
                .isEqualTo(8);
        assertThat(plan(model, grouped(32), ".*down_proj=bits:4").config().toMap())
                .doesNotContainKey("dynamic");
    }

    @ParameterizedTest(name = "act-order {0}, static {1}, group {2}: desc_act {3}")
    @CsvSource({"true, true, 32, false", "true, false, 32, true", "true, false, -1, false", "false, false, 32, false"})
    void saysDescActOnlyWhereGroupIndicesAreScattered(boolean actOrder, boolean fixed, int group, boolean descAct)
            throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config("bloom"), 6);
        ArtifactWriter.Plan plan = plan(model, TinyModels.options(3, group, false, actOrder, fixed, 128));
        assertThat(plan.config().descAct()).isEqualTo(descAct);
        assertThat(plan.config().staticGroups()).isEqualTo(fixed);
        assertThat(plan.config().bits()).isEqualTo(3);
        assertThat(plan.config().groupSize()).isEqualTo(group);
        assertThat(plan.config().sym()).isFalse();
        assertThat(plan.config().meta())
                .containsAllEntriesOf(Map.of("quantizer", List.of("gptq4j:test"), "damp_percent", 0.01));
    }
}
