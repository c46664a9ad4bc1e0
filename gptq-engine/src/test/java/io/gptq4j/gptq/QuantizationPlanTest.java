package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Stage;
import io.gptq4j.model.families.FamilyExamples;
import io.gptq4j.model.families.ModelFamilies;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizationPlanTest {
    private static Architecture llama(int hidden, int intermediate) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("model_type", "llama");
        config.put("hidden_size", hidden);
        config.put("intermediate_size", intermediate);
        config.put("num_hidden_layers", 2);
        config.put("num_attention_heads", 4);
        config.put("num_key_value_heads", 2);
        config.put("vocab_size", 64);
        return ModelFamilies.architecture(ModelConfig.of(config, "config.json"));
    }

    private static GptqOptions grouped(int groupSize) {
        return GptqOptions.defaults().withBits(4, groupSize);
    }

    @Test
    void takesEveryModuleByTheInputItReads() throws Exception {
        QuantizationPlan plan = QuantizationPlan.of(llama(256, 704), grouped(64));
        assertThat(plan.groups(0))
                .extracting(group -> group.stage())
                .containsExactly(Stage.ATTENTION_IN, Stage.ATTENTION_OUT, Stage.MLP_IN, Stage.MLP_OUT);
        assertThat(plan.groups(0))
                .extracting(group -> group.modules().stream().map(Linear::name).toList())
                .containsExactly(
                        List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                        List.of("self_attn.o_proj"),
                        List.of("mlp.gate_proj", "mlp.up_proj"),
                        List.of("mlp.down_proj"));
        assertThat(plan.skipped()).isEmpty();
        assertThat(plan.warnings()).isEmpty();
        assertThat(plan.dynamic()).isEmpty();
    }

    @Test
    void refusesAutoGptqsOwnAsymmetricGrid() {
        GptqOptions exact = new GptqOptions(4, 64, false, false, false, 0.01, 0, 128, true);
        assertThatThrownBy(() -> QuantizationPlan.of(llama(256, 704), exact))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("zero point of 0");
    }

    @Test
    void namesTheModuleThatDoesNotFitAndTheGroupSizesThatDo() {
        assertThatThrownBy(() -> QuantizationPlan.of(llama(256, 704), grouped(128)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("group_size 128 does not divide the inputs of mlp.down_proj (704 inputs, 256 outputs);"
                        + " group sizes that fit every module of this model: 64, 32 (or -1, one group per output)");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(ints = {512, 1024, 704 * 2, 1 << 30})
    void refusesAGroupLargerThanTheInputs(int groupSize) {
        assertThatThrownBy(() -> QuantizationPlan.of(llama(256, 704), grouped(groupSize)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(
                        "group_size " + groupSize + " does not divide the inputs of self_attn.q_proj (256")
                .hasMessageContaining("64, 32");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(ints = {-1, 8, 16, 32, 64, 96, 192})
    void acceptsAnyGroupThatDividesTheInputs(int groupSize) {
        assertThatCode(() -> QuantizationPlan.of(llama(192, 384), grouped(groupSize)))
                .doesNotThrowAnyException();
    }

    @Test
    void leavesModulesInFloatThatFillNoWholeWordsAndNamesThem() throws Exception {
        QuantizationPlan plan = QuantizationPlan.of(llama(64, 72), grouped(32));
        assertThat(plan.skipped())
                .extracting(Linear::name)
                .containsExactly("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj");
        assertThat(plan.groups(0))
                .extracting(group -> group.stage())
                .containsExactly(Stage.ATTENTION_IN, Stage.ATTENTION_OUT);
        assertThat(plan.warnings())
                .singleElement()
                .satisfies(warning -> assertThat(warning)
                        .contains("mlp.gate_proj (64 inputs, 72 outputs)", "mlp.down_proj (72 inputs, 64 outputs)")
                        .doesNotContain("q_proj"));
    }

    @Test
    void doesNotJudgeTheGroupSizeByModulesLeftInFloat() {
        assertThatCode(() -> QuantizationPlan.of(llama(64, 72), grouped(64))).doesNotThrowAnyException();
    }

    @Test
    void refusesAModelOfWhichNothingCanBePacked() {
        assertThatThrownBy(() -> QuantizationPlan.of(llama(24, 40), grouped(-1)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("No module of this model can be packed")
                .hasMessageContaining("self_attn.q_proj (24 inputs, 24 outputs)");
    }

    private static QuantizationPlan ruled(String... rules) throws Exception {
        return QuantizationPlan.of(
                llama(256, 704),
                grouped(64),
                Stream.of(rules).map(ModuleRule::parse).toList());
    }

    @Test
    void theFirstRuleThatMatchesDecidesAboutAModule() throws Exception {
        QuantizationPlan plan = ruled(
                "model\\.layers\\.0\\.mlp\\.down_proj=bits:8,group:32",
                ".*down_proj=bits:3,sym:false,damp:0.05,mse:2.4",
                "-:.*o_proj");
        GptqOptions first = plan.options("model.layers.0.mlp.down_proj");
        assertThat(first).isEqualTo(grouped(64).withBits(8, 32));
        GptqOptions second = plan.options(1, new Linear("mlp.down_proj", 704, 256, false));
        assertThat(second.bits()).isEqualTo(3);
        assertThat(second.groupSize()).isEqualTo(64);
        assertThat(second.sym()).isFalse();
        assertThat(second.dampPercent()).isEqualTo(0.05);
        assertThat(second.mse()).isEqualTo(2.4);
        assertThat(plan.options("model.layers.1.mlp.up_proj")).isEqualTo(grouped(64));
        assertThat(plan.groups(0, Stage.ATTENTION_OUT)).isEmpty();
        assertThat(plan.groups(1, Stage.MLP_OUT)).hasSize(1);
        assertThat(plan.size().modules()).isEqualTo(12);
    }

    @Test
    void aRuleTurnsScatteredGroupIndicesOnAndOff() {
        GptqOptions fixed = TinyModels.options(4, 64, true, true, true, 128);
        GptqOptions scattered = fixed.with(ModuleRule.parse(".*=desc_act:true"));
        assertThat(scattered.descAct()).isTrue();
        assertThat(scattered).isEqualTo(TinyModels.options(4, 64, true, true, false, 128));
        assertThat(scattered.with(ModuleRule.parse(".*=desc_act:false"))).isEqualTo(fixed);
        assertThat(fixed.with(ModuleRule.parse(".*=desc_act:false"))).isEqualTo(fixed);
    }

    @Test
    void refusesARuleThatMatchesNothingAndNamesTheModules() {
        assertThatThrownBy(() -> ruled("q_proj=bits:8"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("The rule 'q_proj=bits:8' matches no module; it must match from the start")
                .hasMessageContaining("model.layers.0.self_attn.q_proj, model.layers.0.self_attn.k_proj")
                .hasMessageEndingWith("model.layers.0.mlp.down_proj and so on to block 1");
    }

    @Test
    void refusesARuleThatAnotherOneLeavesNothingTo() {
        assertThatThrownBy(() -> ruled(".*proj=bits:3", ".*down_proj=bits:8"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("The rule '.*down_proj=bits:8' decides about no module")
                .hasMessageContaining("put it first");
    }

    @Test
    void refusesRulesThatLeaveNothingToQuantize() {
        assertThatThrownBy(() -> ruled("-:.*")).hasMessageContaining("leave every module in float");
    }

    @Test
    void namesTheModulesThatTheGroupSizeOfARuleDoesNotFit() {
        assertThatThrownBy(() -> ruled(".*mlp=group:128"))
                .hasMessageStartingWith("group_size 128 does not divide the inputs of mlp.down_proj (704 inputs");
    }

    @Test
    void aRuleThatChangesNothingForServersLeavesTheArtifactOrdinary() throws Exception {
        QuantizationPlan plan = ruled(".*q_proj=bits:4,group:64,sym:true,desc_act:false", ".*down_proj=damp:0.05");
        assertThat(plan.dynamic()).isEmpty();
        assertThat(plan.warnings()).isEmpty();
    }

    @Test
    void tellsServersTheRulesAndSaysThemOfTheModulesThatTheyFuse() throws Exception {
        QuantizationPlan plan = ruled(".*\\.1\\.self_attn\\.[qkv]_proj=bits:8", ".*down_proj=bits:8");
        assertThat(plan.dynamic())
                .extracting(ModuleRule::text)
                .containsExactly(
                        "model\\.layers\\.(?:1)\\.self_attn\\.qkv_proj$=bits:8,group_size:64,sym:true,desc_act:false",
                        ".*\\.1\\.self_attn\\.[qkv]_proj=bits:8",
                        ".*down_proj=bits:8");
        assertThat(ruled(".*self_attn=bits:8").dynamic()).hasSize(1);
        assertThat(ruled("-:.*\\.(gate|up)_proj", "-:.*down_proj").dynamic())
                .extracting(ModuleRule::text)
                .containsExactly(
                        "-:model\\.layers\\.\\d+\\.mlp\\.gate_up_proj$", "-:.*\\.(gate|up)_proj", "-:.*down_proj");
        assertThat(plan.warnings())
                .singleElement()
                .asString()
                .contains(
                        "only vLLM and GPTQModel read that; text-generation-inference, AutoGPTQ and transformers cannot");
        assertThat(plan.servedByVllm()).isTrue();
    }

    @Test
    void warnsThatVllmRefusesPartsOfOneModuleThatDiffer() throws Exception {
        QuantizationPlan plan = ruled(".*1\\.self_attn.v_proj=bits:8", "-:.*up_proj");
        assertThat(plan.servedByVllm()).isFalse();
        assertThat(plan.warnings()).hasSize(3);
        assertThat(plan.warnings().get(1)).startsWith("model.layers.0.mlp.gate_proj");
        assertThat(plan.warnings().get(2))
                .startsWith("model.layers.1.self_attn.q_proj, model.layers.1.self_attn.k_proj,")
                .contains("vLLM computes them as one module and refuses that");
    }

    @Test
    void saysNothingOfASharedExpertWhoseGateAndUpAreOneModuleAnyway() throws Exception {
        ModelConfig example = Objects.requireNonNull(FamilyExamples.all().get("granitemoeshared"));
        QuantizationPlan plan = QuantizationPlan.of(
                ModelFamilies.architecture(example),
                grouped(32),
                List.of(ModuleRule.parse("-:.*shared_mlp\\.input_linear")));
        assertThat(plan.dynamic()).extracting(ModuleRule::text).containsExactly("-:.*shared_mlp\\.input_linear");
    }

    @Test
    void warnsThatVllmWouldTakeMarlinForWidthsThatItDoesNotHave() throws Exception {
        assertThat(ruled(".*down_proj=bits:3").warnings())
                .hasSize(2)
                .last()
                .asString()
                .contains("--quantization gptq");
        assertThat(QuantizationPlan.of(
                                llama(256, 704),
                                GptqOptions.defaults().withBits(3, 64),
                                List.of(ModuleRule.parse(".*down_proj=bits:8")))
                        .servedByVllm())
                .isTrue();
    }

    @Test
    void aGroupSizeThatScattersIndicesIsToldWithDescAct() throws Exception {
        QuantizationPlan plan = QuantizationPlan.of(
                llama(256, 704),
                TinyModels.options(4, -1, true, true, false, 128),
                List.of(ModuleRule.parse(".*down_proj=group:32")));
        assertThat(plan.dynamic())
                .extracting(ModuleRule::text)
                .containsExactly(".*down_proj=group_size:32,desc_act:true");
    }

    @ParameterizedTest(name = "bits {0}, group_size {1}, damp_percent {2}, mse {3}, blocksize {4}")
    @CsvSource({
        "1, 32, 0.01, 0, 128, 'bits must be 2, 3, 4 or 8, not 1'",
        "5, 32, 0.01, 0, 128, bits must be",
        "4, 0, 0.01, 0, 128, group_size must be -1",
        "4, -2, 0.01, 0, 128, not -2",
        "4, 4, 0.01, 0, 128, not 4",
        "4, 100, 0.01, 0, 128, multiple of 8",
        "4, 32, 0, 0, 128, damp_percent must lie between 0 and 1",
        "4, 32, 1, 0, 128, damp_percent",
        "4, 32, NaN, 0, 128, damp_percent",
        "4, 32, 0.01, -1, 128, mse must be 0",
        "4, 32, 0.01, NaN, 128, mse",
        "4, 32, 0.01, 17, 128, mse",
        "4, 32, 0.01, 0, 0, blocksize must be positive",
    })
    void optionsNameTheValueThatIsNotAllowed(
            int bits, int group, double damp, double mse, int blocksize, String sentence) {
        assertThatThrownBy(() -> new GptqOptions(bits, group, true, true, true, damp, mse, blocksize, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(sentence);
    }
}
