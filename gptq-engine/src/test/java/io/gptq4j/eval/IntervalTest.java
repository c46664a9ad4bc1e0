package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The expected numbers are those of scipy 1.17.1: stats.t.ppf and stats.ttest_rel(...).confidence_interval(). */
class IntervalTest {
    private static final double[] A = {2.5, 3.0, 2.0, 4.5, 3.5};
    private static final double[] B = {2.51, 3.02, 2.03, 4.5, 3.49};

    private static void assertInterval(Interval interval, double mean, double low, double high) {
        assertThat(interval.mean()).isCloseTo(mean, within(1e-9));
        assertThat(interval.low()).isCloseTo(low, within(2e-6));
        assertThat(interval.high()).isCloseTo(high, within(2e-6));
    }

    @ParameterizedTest(name = "{0} degrees of freedom")
    @CsvSource({
        "1, 12.706205",
        "2, 4.302653",
        "3, 3.182446",
        "5, 2.570582",
        "10, 2.228139",
        "11, 2.200985",
        "12, 2.178813",
        "20, 2.085963",
        "39, 2.022691",
        "120, 1.979930",
        "1000, 1.962339"
    })
    void studentsTIsThatOfTheTables(int degrees, double expected) {
        assertThat(Interval.student(degrees)).isCloseTo(expected, within(1e-5));
    }

    @Test
    void theMeanHasTheIntervalOfStudent() {
        assertInterval(Interval.of(A), 3.1, 1.905805806, 4.294194194);
        assertInterval(Interval.of(new double[] {0.5, 1.0}), 0.75, -2.426551184, 3.926551184);
        double[] many = IntStream.range(0, 40).mapToDouble(i -> i % 7).toArray();
        assertInterval(Interval.of(many), 2.875, 2.238709102, 3.511290898);
    }

    @Test
    void pairsAreFarTighterThanTheTwoMeans() {
        assertInterval(Interval.ofDifference(B, A), 0.01, -0.009632432, 0.029632432);
    }

    @Test
    void sameValuesDifferByExactlyNothing() {
        assertThat(Interval.ofDifference(A, A.clone())).isEqualTo(new Interval(0, 0, 0));
    }

    @Test
    void differencesOfLogarithmsAreRatios() {
        Interval ratio = new Interval(Math.log(1.5), Math.log(1.25), Math.log(2)).exp();
        assertInterval(ratio, 1.5, 1.25, 2);
    }

    @Test
    void oneWindowAndUnequalPairsAreRefused() {
        assertThatThrownBy(() -> Interval.of(new double[1]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("An interval takes two windows or more, not 1");
        assertThatThrownBy(() -> Interval.ofDifference(A, new double[4]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("5 and 4");
    }
}
