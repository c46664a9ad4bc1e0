package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DivergenceTest {
    private static final double[] TOKENS = {0.7, 0.1, 0.9, 0.3, 0.5, 0.2, 1.0, 0.4, 0.8, 0.6};

    private static Divergence of(double[] windows, double[] agreement) {
        return new Divergence(TOKENS, windows, agreement);
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource({"0, 0.1", "0.5, 0.5", "0.51, 0.6", "0.9, 0.9", "0.99, 1.0", "1, 1.0"})
    void aQuantileIsTheLeastThatTheShareDoesNotExceed(double share, double expected) {
        assertThat(of(new double[] {0.5, 0.6}, new double[] {1, 1}).quantile(share))
                .isEqualTo(expected);
    }

    @Test
    void intervalsDoNotReachWhatCannotBe() {
        Divergence divergence = of(new double[] {0.5, 0.6}, new double[] {0.99, 0.95});
        // 0.55 and 0.97, each with 12.7062 * 0.05 and 0.02 to both sides
        assertThat(divergence.mean().mean()).isCloseTo(0.55, within(1e-12));
        assertThat(divergence.mean().low()).isZero();
        assertThat(divergence.mean().high()).isCloseTo(1.18531, within(1e-5));
        assertThat(divergence.agreeing().low()).isCloseTo(0.715876, within(1e-6));
        assertThat(divergence.agreeing().high()).isEqualTo(1);
    }
}
