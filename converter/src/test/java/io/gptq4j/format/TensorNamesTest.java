package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TensorNamesTest {
    private static final List<String> ORDERED = List.of(
            "lm_head.weight",
            "model.embed_tokens.weight",
            "model.layers.0.mlp.down_proj.g_idx",
            "model.layers.0.mlp.down_proj.qweight",
            "model.layers.2.mlp.experts.9.w1.qweight",
            "model.layers.2.mlp.experts.10.w1.qweight",
            "model.layers.10.mlp.down_proj.g_idx",
            "model.layers.99999999999999999999.x",
            "model.layers.100000000000000000000.x",
            "model.norm.weight");

    @Test
    void numbersCompareAsNumbersSeed1() {
        List<String> shuffled = new ArrayList<>(ORDERED);
        Collections.shuffle(shuffled, new Random(1));

        shuffled.sort(TensorNames.NATURAL_ORDER);

        assertThat(shuffled).isEqualTo(ORDERED);
    }

    @Test
    void onlyEqualNamesCompareAsEqual() {
        List<String> names = List.of("a.1", "a.01", "a.001", "a.1.b", "a.", "a", "a.0", "a.00");
        for (String a : names) {
            for (String b : names) {
                int order = TensorNames.NATURAL_ORDER.compare(a, b);
                assertThat(order == 0).as("%s and %s", a, b).isEqualTo(a.equals(b));
                assertThat(Integer.signum(order)).isEqualTo(-Integer.signum(TensorNames.NATURAL_ORDER.compare(b, a)));
            }
        }
    }
}
