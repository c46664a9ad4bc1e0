package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Stage;
import io.gptq4j.model.families.ModelFamilies;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TargetWidthsTest {
    private static QuantizationPlan plan(String... rules) throws Exception {
        return QuantizationPlan.of(
                ModelFamilies.architecture(ModelConfig.of(TinyModels.config("llama"), "config.json")),
                TinyModels.options(4, 32, true, true, true, 128),
                Stream.of(rules).map(ModuleRule::parse).toList());
    }

    /** Damages that fall with the width, seeded. */
    private static List<double[]> damages(TargetWidths target, long seed) {
        Random random = new Random(seed);
        List<double[]> damages = new ArrayList<>();
        for (int u = 0; u < target.units().size(); u++) {
            double scale = Math.exp(2 * random.nextGaussian());
            damages.add(new double[] {scale, scale / 4, scale / 16, scale / 4000});
        }
        return damages;
    }

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void noChoiceWithinTheBudgetIsBetter(long seed) {
        Random random = new Random(seed);
        long[][] bytes = new long[5][4];
        double[][] damages = new double[5][4];
        for (int u = 0; u < 5; u++) {
            long unit = 48L * (1 + random.nextInt(5));
            bytes[u] = new long[] {2 * unit + 7, 3 * unit + 7, 4 * unit + 7, 8 * unit + 7};
            damages[u] = random.doubles(4).toArray();
        }
        long smallest = Arrays.stream(bytes).mapToLong(sizes -> sizes[0]).sum();
        for (long budget : new long[] {smallest, smallest + 100, smallest + 777, smallest + 1500, 1L << 40}) {
            int[] chosen = TargetWidths.allocate(bytes, damages, budget);
            double best = Double.POSITIVE_INFINITY;
            for (int code = 0; code < 1 << 10; code++) {
                int[] other = new int[5];
                for (int u = 0; u < 5; u++) {
                    other[u] = code >> 2 * u & 3;
                }
                if (sum(bytes, other) <= budget) {
                    best = Math.min(best, sum(damages, other));
                }
            }
            assertThat(sum(bytes, chosen)).isLessThanOrEqualTo(budget);
            assertThat(sum(damages, chosen)).isCloseTo(best, within(1e-12));
        }
    }

    private static long sum(long[][] values, int[] chosen) {
        long sum = 0;
        for (int u = 0; u < chosen.length; u++) {
            sum += values[u][chosen[u]];
        }
        return sum;
    }

    private static double sum(double[][] values, int[] chosen) {
        double sum = 0;
        for (int u = 0; u < chosen.length; u++) {
            sum += values[u][chosen[u]];
        }
        return sum;
    }

    @Test
    void sizesWithoutACommonStepStayWithinTheBudget() {
        long[][] bytes = {{2_000_003, 3_000_017, 4_000_037}, {20_000_003, 30_000_001, 40_000_003}};
        double[][] damages = {{9, 3, 1}, {90, 30, 10}};
        assertThat(TargetWidths.allocate(bytes, damages, 43_001_000)).containsExactly(1, 2);
        assertThat(TargetWidths.allocate(bytes, damages, 44_100_000)).containsExactly(2, 2);
        assertThat(TargetWidths.allocate(bytes, damages, 22_000_006)).containsExactly(0, 0);
    }

    @ParameterizedTest(name = "{0} bits per weight, seed 7")
    @ValueSource(doubles = {3, 3.5, 4, 5, 7.9})
    void keepsTheBudgetAndUsesIt(double target) throws Exception {
        TargetWidths widths = new TargetWidths(plan(), target);
        for (QuantizationPlan chosen : List.of(widths.assumed(), widths.choose(damages(widths, 7)))) {
            assertThat(chosen.size().bitsPerWeight())
                    .isLessThanOrEqualTo(target)
                    .isGreaterThan(target - 0.25);
            assertThat(chosen.size().modules()).isEqualTo(14);
            assertThat(chosen.servedByVllm()).isTrue();
        }
    }

    @Test
    void moreThanAllWidthsNeedIsAllAtTheLargest() throws Exception {
        TargetWidths widths = new TargetWidths(plan(), 99);
        QuantizationPlan chosen = widths.choose(damages(widths, 8));
        assertThat(chosen.widths()).containsOnlyKeys(8);
        assertThat(chosen.options().bits()).isEqualTo(8);
        assertThat(chosen.dynamic()).isEmpty();
    }

    @Test
    void refusesLessThanTheSmallestWidthsNeed() {
        assertThatThrownBy(() -> new TargetWidths(plan(), 2.1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("2.1 bits per weight are too few: with all widths at 2 the modules take 2.")
                .hasMessageEndingWith("scales, zero points and group indices included");
        assertThatThrownBy(() -> new TargetWidths(plan(), Double.NaN)).hasMessageContaining("too few");
    }

    @Test
    void givesModulesThatReadTheSameInputTheSameWidthInFewRules() throws Exception {
        TargetWidths widths = new TargetWidths(plan(), 3.6);
        List<double[]> damages = new ArrayList<>();
        for (TargetWidths.Unit unit : widths.units()) {
            double scale = unit.modules().get(0).name().endsWith("down_proj") ? 100 : 1;
            damages.add(new double[] {scale, scale / 4, scale / 16, scale / 4000});
        }
        QuantizationPlan chosen = widths.choose(damages);
        assertThat(widths.units()).hasSize(8);
        assertThat(widths.units().get(0).modules())
                .extracting(Linear::name)
                .containsExactly("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
        int query = chosen.options("model.layers.0.self_attn.q_proj").bits();
        assertThat(chosen.options("model.layers.0.self_attn.v_proj").bits()).isEqualTo(query);
        assertThat(chosen.options("model.layers.1.mlp.down_proj").bits()).isGreaterThan(query);
        assertThat(chosen.rules()).hasSizeLessThan(8);
        assertThat(chosen.options().bits())
                .as("the width of modules without a rule")
                .isLessThan(4);
    }

    @Test
    void obeysTheRulesOfTheUser() throws Exception {
        TargetWidths widths =
                new TargetWidths(plan("-:.*o_proj", ".*down_proj=bits:8", ".*up_proj=group:96,sym:false"), 4.5);
        QuantizationPlan chosen = widths.choose(damages(widths, 9));
        assertThat(widths.units()).hasSize(4);
        assertThat(chosen.options("model.layers.0.mlp.down_proj").bits()).isEqualTo(8);
        assertThat(chosen.options("model.layers.1.mlp.up_proj").groupSize()).isEqualTo(96);
        assertThat(chosen.options("model.layers.1.mlp.up_proj").sym()).isFalse();
        assertThat(chosen.options("model.layers.1.mlp.gate_proj").groupSize()).isEqualTo(32);
        assertThat(chosen.groups(0, Stage.ATTENTION_OUT)).isEmpty();
        assertThat(chosen.size().bitsPerWeight()).isLessThanOrEqualTo(4.5);
        assertThatThrownBy(() -> new TargetWidths(plan(".*=bits:4"), 4)).hasMessageContaining("can choose none");
    }
}
