package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.cli.ComparisonReport.Scored;
import io.gptq4j.cli.ComparisonReport.Spread;
import io.gptq4j.cli.ComparisonReport.Verdict;
import io.gptq4j.eval.Divergence;
import io.gptq4j.eval.Interval;
import io.gptq4j.eval.ModelScores;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComparisonReportTest {
    private static final Interval RISE = new Interval(1.0021, 1.0015, 1.0027);
    private static final Interval FALL = new Interval(0.998, 0.9971, 0.9989);
    private static final Interval EITHER = new Interval(1.0002, 0.9997, 1.0007);
    private static final Interval FARTHER = new Interval(0.002, 0.0015, 0.0025);
    private static final Interval NEARER = new Interval(-0.002, -0.0025, -0.0015);
    private static final Interval NEITHER = new Interval(0.0001, -0.0002, 0.0004);

    private static final Scored FLOAT = scored("float", new double[] {2.0, 3.0}, null);
    /** Two windows of three scored tokens. */
    private static final Scored GOOD = scored(
            "good",
            new double[] {2.01, 3.01},
            new Divergence(
                    new double[] {0.01, 0.02, 0.03, 0.01, 0.02, 0.03}, new double[] {0.02, 0.02}, new double[] {1, 1}));

    private static final Scored POOR = scored(
            "poor",
            new double[] {2.03, 3.05},
            new Divergence(
                    new double[] {0.02, 0.02, 0.05, 0.02, 0.02, 0.07},
                    new double[] {0.03, 0.0366},
                    new double[] {1, 2.0 / 3}));

    private static Scored scored(String name, double[] windows, @Nullable Divergence divergence) {
        return new Scored(name, new ModelScores(windows, divergence));
    }

    private static ComparisonReport report(@Nullable Scored reference, Scored a, @Nullable Scored b) {
        return ComparisonReport.of("eval.txt", 4, reference, a, b, "cpu", "float32", 1.25);
    }

    private static Interval named(String name) {
        return switch (name) {
            case "rise" -> RISE;
            case "fall" -> FALL;
            case "either" -> EITHER;
            case "farther" -> FARTHER;
            case "nearer" -> NEARER;
            case "neither" -> NEITHER;
            default -> throw new IllegalArgumentException(name);
        };
    }

    @ParameterizedTest(name = "perplexity {0}, divergence {1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "rise|farther|worse|worse|B is worse than A: perplexity +0.21 % (+0.15 to +0.27); KL divergence +0.002000"
                        + " (+0.001500 to +0.002500)",
                "fall|nearer|better|better|B is better than A: perplexity -0.20 % (-0.29 to -0.11); KL divergence"
                        + " -0.002000 (-0.002500 to -0.001500)",
                "either|neither|same|same|No difference beyond the noise between B and A: perplexity +0.02 % (-0.03 to"
                        + " +0.07); KL divergence +0.000100 (-0.000200 to +0.000400)",
                "either|farther|same|worse|B is worse than A: KL divergence +0.002000 (+0.001500 to +0.002500); no"
                        + " difference beyond the noise in perplexity +0.02 % (-0.03 to +0.07)",
                "fall|neither|better|same|B is better than A: perplexity -0.20 % (-0.29 to -0.11); no difference beyond"
                        + " the noise in KL divergence +0.000100 (-0.000200 to +0.000400)",
                "rise|nearer|worse|better|B is better than A: KL divergence -0.002000 (-0.002500 to -0.001500); but worse"
                        + " in perplexity +0.21 % (+0.15 to +0.27)"
            })
    void theVerdictFollowsFromBothIntervals(
            String ratio, String divergence, String first, String second, String words) {
        assertThat(Verdict.of("B", "A", named(ratio), null, named(divergence)))
                .isEqualTo(new Verdict(first, second, words));
    }

    @Test
    void withoutTwoDivergencesThePerplexityDecides() {
        assertThat(Verdict.of("B", "A", RISE, null, null))
                .isEqualTo(new Verdict("worse", null, "B is worse than A: perplexity +0.21 % (+0.15 to +0.27)"));
        Spread apart = new Spread(0.02, 0.019, 0.021, 0.01, 0.1, 0.2);
        assertThat(Verdict.of("q", "the reference", EITHER, apart, null).sentence())
                .isEqualTo("No difference beyond the noise between q and the reference: perplexity +0.02 % (-0.03 to"
                        + " +0.07); KL divergence 0.020000 (0.019000 to 0.021000)");
    }

    @Test
    void smallDifferencesHaveAsManyDigitsAsTheirIntervalNeeds() {
        Interval tiny = new Interval(1.0000123, 1.0000101, 1.0000144);
        assertThat(Verdict.of("B", "A", tiny, null, null).sentence())
                .endsWith("perplexity +0.0012 % (+0.0010 to +0.0014)");
    }

    @Test
    void aReportHoldsWhatTheWindowsSay() {
        ComparisonReport report = report(FLOAT, GOOD, POOR);
        assertThat(report.windows()).isEqualTo(2);
        assertThat(report.tokens()).isEqualTo(6);
        assertThat(report.a().perplexity()).isCloseTo(Math.exp(2.51), within(1e-9));
        assertThat(report.a().perplexityRatio()).isNotNull().satisfies(ratio -> {
            assertThat(ratio.mean()).isCloseTo(Math.exp(0.01), within(1e-9));
            assertThat(ratio.low()).isCloseTo(ratio.high(), within(1e-9)); // both windows rose alike
        });
        assertThat(report.difference()).isNotNull().satisfies(difference -> {
            assertThat(difference.nll().mean()).isCloseTo(0.03, within(1e-9)); // of 0.02 and 0.04
            assertThat(difference.nll().high()).isCloseTo(0.03 + 12.706205 * 0.01, within(1e-6));
        });
        assertThat(report.forReader().lines())
                .contains(
                        "A          good",
                        "B          poor",
                        "reference  float, perplexity 12.1825",
                        "2 windows of 4 tokens of eval.txt, float32 on cpu, 1.3 s; in brackets: 95 % confidence, paired"
                                + " by window")
                .anyMatch(line ->
                        line.matches("perplexity +12\\.3049 +12\\.6797 +\\+3\\.05 % \\(-9\\.2\\d to \\+17\\.\\d\\d\\)"))
                .anyMatch(line ->
                        line.matches("  by the reference's +\\+1\\.01 % \\(\\+1\\.01 to \\+1\\.01\\) +\\+4\\.08 % .*"))
                .anyMatch(line -> line.matches("KL divergence, mean +0\\.020000 \\(0\\.020000 to 0\\.020000\\) .*"))
                .anyMatch(line -> line.matches("  median +0\\.020000 +0\\.020000"))
                .anyMatch(line -> line.matches("  maximum +0\\.030000 +0\\.070000"))
                .anyMatch(line -> line.matches("top-1 agreement, % +100\\.00 \\(100\\.00 to 100\\.00\\) +83\\.33 .*"));
    }

    @Test
    void theReferenceMayBeAAndThenBIsHeldAgainstIt() {
        ComparisonReport report = report(FLOAT, FLOAT, GOOD);
        assertThat(report.a().klDivergence()).isNull();
        assertThat(report.verdict().klDivergence()).isNull();
        assertThat(report.verdict().sentence())
                .isEqualTo("B is worse than A: perplexity +1.01 % (+1.01 to +1.01); KL divergence 0.020000 (0.020000 to"
                        + " 0.020000)");
    }

    @Test
    void oneModelIsHeldAgainstTheReference() {
        ComparisonReport report = report(FLOAT, GOOD, null);
        assertThat(report.b()).isNull();
        assertThat(report.verdict().sentence()).startsWith("good is worse than the reference: perplexity +1.01 %");
        assertThat(report.forReader().lines())
                .contains("model      good", "reference  float, perplexity 12.1825")
                .noneMatch(line -> line.contains("B - A"));
    }

    @Test
    void withoutAReferenceThereAreOnlyPerplexities() {
        ComparisonReport report = report(
                null, scored("one", new double[] {2.0, 3.0}, null), scored("two", new double[] {2.01, 3.01}, null));
        assertThat(report.forReader()).doesNotContain("KL", "top-1", "reference");
        assertThat(report.verdict().perplexity()).isEqualTo("worse");
    }

    @Test
    void aModelAloneCannotBeCompared() {
        assertThatThrownBy(() -> report(null, FLOAT, null))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("nothing that float could be compared with");
    }
}
