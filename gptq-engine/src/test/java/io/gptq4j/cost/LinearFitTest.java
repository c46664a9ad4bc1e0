package io.gptq4j.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class LinearFitTest {
    @Test
    void findsTheLineThatAllPointsLieOn() {
        LinearFit fit = LinearFit.of(new double[] {4, 8, 16}, new double[] {3, 5, 9});
        assertThat(fit.slope()).isCloseTo(0.5, within(1e-12));
        assertThat(fit.intercept()).isCloseTo(1, within(1e-12));
        assertThat(fit.r2()).isCloseTo(1, within(1e-12));
    }

    @Test
    void findsTheLeastSquaresOfPointsBesideALine() {
        // Means 2 and 2; sums of products: xx 2, xy 1, yy 2.
        LinearFit fit = LinearFit.of(new double[] {1, 2, 3}, new double[] {1, 3, 2});
        assertThat(fit.slope()).isCloseTo(0.5, within(1e-12));
        assertThat(fit.intercept()).isCloseTo(1, within(1e-12));
        assertThat(fit.r2()).isCloseTo(0.25, within(1e-12));
    }

    @Test
    void callsALevelLineAPerfectFit() {
        assertThat(LinearFit.of(new double[] {1, 2}, new double[] {7, 7})).isEqualTo(new LinearFit(0, 7, 1));
    }

    @Test
    void refusesWhatNoLineGoesThrough() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinearFit.of(new double[] {3, 3}, new double[] {1, 2}))
                .withMessageContaining("two points");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinearFit.of(new double[] {1, 2}, new double[] {1}))
                .withMessageContaining("2 abscissas");
    }
}
