package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class PerplexityOptionsTest {
    private static PerplexityOptions options(String... words) {
        return CommandLine.populateCommand(new PerplexityOptions(), words);
    }

    @Test
    void thereIsNoLimitUnlessOneIsGiven() {
        PerplexityOptions options = options();
        options.check();
        assertThat(options.limit()).isNull();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({"1%, 0.01", "0.01, 0.01", ".01, 0.01", "2.5 %, 0.025", "150%, 1.5", "0, 0", "0%, 0", "0.5, 0.5"})
    void aLimitIsInPercentOrAShare(String text, double expected) {
        PerplexityOptions options = options("--max-ppl-increase", text);
        options.check();
        assertThat(options.limit()).isCloseTo(expected, within(1e-15));
    }

    @ParameterizedTest(name = "'{0}'")
    @ValueSource(strings = {"1", "1.0", "5", "-1%", "-0.1", "much", "%", "", "1e-2", "NaN", "1 percent"})
    void whatCouldBeMeantInTwoWaysOrInNoneIsRefused(String text) {
        PerplexityOptions options = options("--max-ppl-increase", text);
        assertThatThrownBy(options::check)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("--max-ppl-increase is a share such as 1% or 0.01, not '" + text + "'");
    }

    @Test
    void aLimitOfWhatIsNotMeasuredIsRefused() {
        PerplexityOptions options = options("--max-ppl-increase", "1%", "--no-eval");
        assertThatThrownBy(options::check)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("--max-ppl-increase", "--no-eval");
    }
}
