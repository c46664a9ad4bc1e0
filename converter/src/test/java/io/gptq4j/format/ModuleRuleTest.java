package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModuleRuleTest {
    private static final String QUERY = "model.layers.1.self_attn.q_proj";

    @Test
    void readsAllSettingsUnderTheirLongAndShortNames() {
        ModuleRule rule = ModuleRule.parse(".*q_proj=bits:8,group:32,sym:false,desc_act:true,mse:2.4,damp:0.05");

        assertThat(rule.regex()).isEqualTo(".*q_proj");
        assertThat(rule.quantized()).isTrue();
        assertThat(rule.settings())
                .isEqualTo(Map.of(
                        "bits", 8, "group_size", 32, "sym", false, "desc_act", true, "mse", 2.4, "damp_percent", 0.05));
        assertThat(ModuleRule.parse(rule.text())).isEqualTo(rule);
        assertThat(ModuleRule.parse("+:.*q_proj=group_size:-1,damp_percent:0.1").settings())
                .isEqualTo(Map.of("group_size", -1, "damp_percent", 0.1));
    }

    @Test
    void anExpressionMayHoldEqualsSignsCommasAndColons() {
        assertThat(ModuleRule.parse("(?=.{1,40}q_proj)(?:model)=bits:8").regex())
                .isEqualTo("(?=.{1,40}q_proj)(?:model)");
        assertThat(ModuleRule.parse("-:(?=.*q).*").regex()).isEqualTo("(?=.*q).*");
    }

    @Test
    void leavesModulesInFloatByTheirPrefix() {
        ModuleRule rule = ModuleRule.parse("-:.*q_proj");

        assertThat(rule.quantized()).isFalse();
        assertThat(rule.key()).isEqualTo("-:.*q_proj");
        assertThat(rule.text()).isEqualTo("-:.*q_proj");
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource({
        "model, true",
        "model\\.layers\\.1\\., true",
        "model.layers.1, true",
        ".*q_proj, true",
        ".*q_proj$, true",
        "q_proj, false",
        "layers, false",
        ".*k_proj, false",
        ".*self_attn$, false",
        "model\\.layers\\.(0|2)\\., false",
    })
    void matchesFromTheStartAndNotToTheEnd(String regex, boolean expected) {
        assertThat(ModuleRule.parse(regex + "=bits:8").matches(QUERY)).isEqualTo(expected);
    }

    @Test
    void theFirstRuleDecidesAndThoseForFloatAreFirst() {
        List<ModuleRule> rules =
                ModuleRule.ordered(Stream.of(".*q_proj=bits:8", ".*proj=bits:3", "-:.*layers\\.0\\.", ".*k_proj=bits:2")
                        .map(ModuleRule::parse)
                        .toList());

        assertThat(ModuleRule.first(rules, QUERY)).hasValue(ModuleRule.parse(".*q_proj=bits:8"));
        assertThat(ModuleRule.first(rules, "model.layers.1.self_attn.k_proj"))
                .hasValue(ModuleRule.parse(".*proj=bits:3"));
        assertThat(ModuleRule.first(rules, "model.layers.0.self_attn.q_proj"))
                .hasValueSatisfying(rule -> assertThat(rule.quantized()).isFalse());
        assertThat(ModuleRule.first(rules, "lm_head")).isEmpty();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                ".*q_proj | '.*q_proj' is no rule: write REGEX=bits:8,group:32, or -:REGEX",
                ".*q_proj= | '' in the rule",
                ".*q_proj=bits | 'bits' in the rule",
                ".*q_proj=bits:8:1 | 'bits:8:1' in the rule",
                ".*q_proj=bits:8,bits:4 | 'bits:4' in the rule",
                ".*q_proj=bits:8,,sym:true | '' in the rule",
                ".*q_proj=bits:5 | bits must be 2, 3, 4 or 8, not 5",
                ".*q_proj=bits:x | bits must be a number, not 'x'",
                ".*q_proj=bits:4.0 | bits must be a number, not '4.0'",
                ".*q_proj=group:0 | group_size must be -1 or positive, not 0",
                ".*q_proj=sym:1 | sym must be true or false, not 1",
                ".*q_proj=damp:2 | damp_percent must be between 0 and 1, not 2.0",
                ".*q_proj=mse:-1 | mse must be 0 or an exponent such as 2.4, not -1.0",
                ".*q_proj=adapter:1 | 'adapter' is no setting of a module, only bits, damp_percent, desc_act, group_size",
                "=bits:8 | '' is no regular expression",
                "-: | '' is no regular expression",
                "(q_proj=bits:8 | '(q_proj' is no regular expression: Unclosed group near position",
                "\\Qmodel.\\E.*=bits:8 | Java and Python",
                "[a-z&&[q]].*=bits:8 | Java and Python",
                "(?<name>q).*=bits:8 | Java and Python",
                ".*+q=bits:8 | Java and Python",
            })
    void saysWhatIsWrongWithARule(String text, String message) {
        assertThatThrownBy(() -> ModuleRule.parse(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }
}
