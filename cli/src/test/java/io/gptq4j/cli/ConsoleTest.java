package io.gptq4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

class ConsoleTest {
    private final TestConsole test = TestConsole.piped();

    /** A result as a command has it. */
    record Result(String modelType, long groupSize, double perplexity) {}

    @Test
    void printsTheTextWhenNobodyAskedForJson() {
        test.console.result(new Result("llama", 64, 74.5), () -> "perplexity 74.5 – ok");
        assertThat(test.out()).isEqualTo("perplexity 74.5 – ok" + System.lineSeparator());
    }

    @Test
    void jsonHasSnakeCaseKeysAndNothingElseStandsOnStandardOutput() throws IOException {
        test.console.configure(0, false, true);
        test.console.note("a note");
        test.console.warn("a warning");
        test.console.result(new Result("llama", 64, 74.5), () -> "unused");
        JsonNode json = new ObjectMapper().readTree(test.out());
        assertThat(json.toString()).isEqualTo("{\"model_type\":\"llama\",\"group_size\":64,\"perplexity\":74.5}");
        assertThat(test.err().lines()).containsExactly("a note", "warning: a warning");
    }

    @Test
    void quietLeavesWarningsAndErrors() {
        test.console.configure(0, true, false);
        test.console.note("a note");
        test.console.progress().start("Quantizing", 2);
        test.console.progress().finish();
        test.console.warn("a warning");
        test.console.error("an error");
        assertThat(test.err().lines()).containsExactly("warning: a warning", "error: an error");
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "on", "YES", "True"})
    void theHubsVariableSwitchesProgressOff(String value) {
        TestConsole silent = new TestConsole(Map.of("HF_HUB_DISABLE_PROGRESS_BARS", value), 80);
        silent.console.progress().start("Quantizing", 2);
        silent.console.progress().update(1, "");
        assertThat(silent.err()).isEmpty();
    }

    @Test
    void aDumbTerminalGetsPlainLines() {
        TestConsole dumb = new TestConsole(Map.of("TERM", "dumb"), 80);
        dumb.console.progress().start("Quantizing", 2);
        dumb.console.progress().update(1, "");
        assertThat(dumb.err()).doesNotContain("\r", "[");
    }

    @Test
    void aWarningTakesTheBarAwayFirst() {
        TestConsole terminal = new TestConsole(Map.of(), 80);
        terminal.console.progress().start("Quantizing", 2);
        terminal.console.warn("low disk");
        assertThat(terminal.err()).endsWith(" \rwarning: low disk" + System.lineSeparator());
    }

    private static final String EVIL = "a\u001b[31m\u009b2J\u0007\rb";

    @Test
    void nothingThatATerminalObeysIsPrinted() throws IOException {
        test.console.configure(1, false, false);
        test.console.warn("first" + System.lineSeparator() + "\t" + EVIL);
        test.console.failure(Failure.of(new IOException(EVIL)), new IOException(EVIL));
        test.console.result(EVIL, () -> "x" + System.lineSeparator() + EVIL);
        test.console.progress().start("Verifying", 1);
        test.console.progress().update(1, EVIL);
        assertThat(test.err()).contains("first" + System.lineSeparator() + "\ta?[31m?2J??b", "error: a?[31m?2J??b");
        assertThat(test.out()).isEqualTo("x" + System.lineSeparator() + "a?[31m?2J??b" + System.lineSeparator());
        assertThat((test.err() + test.out()).replace(System.lineSeparator(), "").replace("\t", ""))
                .doesNotContainPattern("\\p{Cc}");
        test.console.configure(0, true, false);
        test.console.result(EVIL, () -> "unused", List.of("p\nq\u009b"));
        assertThat(test.out()).endsWith("p?q?" + System.lineSeparator());
    }

    @Test
    void jsonKeepsControlCharactersButEscaped() throws IOException {
        test.console.configure(0, false, true);
        test.console.result(Map.of("name", EVIL), () -> "unused");
        assertThat(test.out().replace(System.lineSeparator(), "").replace("\n", ""))
                .doesNotContainPattern("\\p{Cc}");
        assertThat(new ObjectMapper().readTree(test.out()).path("name").asText())
                .isEqualTo(EVIL);
    }

    @Test
    void logsAreFilteredToo() {
        PrintStream before = System.err;
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setErr(new PrintStream(err, true, UTF_8));
        try {
            LoggerFactory.getLogger(ConsoleTest.class).warn("README.md: " + EVIL, new IOException(EVIL));
        } finally {
            System.setErr(before);
        }
        assertThat(err.toString(UTF_8))
                .startsWith("WARN  ConsoleTest: README.md: a?[31m?2J??b" + System.lineSeparator()
                        + "java.io.IOException: a?[31m?2J??b" + System.lineSeparator() + "\tat ")
                .endsWith(System.lineSeparator())
                .containsOnlyOnce("java.io.IOException");
    }
}
