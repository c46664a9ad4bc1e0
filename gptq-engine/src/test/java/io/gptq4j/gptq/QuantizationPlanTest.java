package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Stage;
import io.gptq4j.model.families.ModelFamilies;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
        assertThat(plan.groups()).extracting(group -> group.stage()).containsExactly(Stage.values());
        assertThat(plan.groups())
                .extracting(group -> group.modules().stream().map(Linear::name).toList())
                .containsExactly(
                        List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                        List.of("self_attn.o_proj"),
                        List.of("mlp.gate_proj", "mlp.up_proj"),
                        List.of("mlp.down_proj"));
        assertThat(plan.skipped()).isEmpty();
        assertThat(plan.warning()).isEmpty();
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
        assertThat(plan.groups().get(2).modules()).isEmpty();
        assertThat(plan.groups().get(3).modules()).isEmpty();
        assertThat(plan.warning())
                .hasValueSatisfying(warning -> assertThat(warning)
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
