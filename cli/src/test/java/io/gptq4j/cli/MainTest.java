package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.NoSuchFileException;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;

class MainTest {
    private final TestConsole test = TestConsole.piped();

    private static @Nullable Void nothing() {
        return null;
    }

    @Test
    void printsTheVersionOfTheBuild() throws IOException {
        assertThat(Main.run(test.console, "--version")).isZero();
        assertThat(Version.number()).matches("\\d+\\.\\d+\\.\\d+(-\\w+)?");
        assertThat(test.out()).startsWith("gptq4j " + Version.number() + System.lineSeparator() + "Java ");
        assertThat(test.err()).isEmpty();
    }

    @Test
    void helpListsEveryExitCode() {
        assertThat(Main.run(test.console, "--help")).isZero();
        assertThat(test.out()).contains("Usage: gptq4j", "--verbose", "--json", "Exit codes:");
        for (ExitCode code : ExitCode.values()) {
            assertThat(test.out())
                    .containsPattern("(?m)^\\s+" + code.number() + "\\s+"
                            + code.meaning().replaceFirst(" .*", ""));
        }
    }

    @Test
    void everyCommandOffersHelpAndTheCommonOptions() {
        CommandLine line = Main.commandLine(test.console);
        assertThat(Stream.concat(Stream.of(line), line.getSubcommands().values().stream()))
                .allSatisfy(command -> assertThat(command.getUsageMessage())
                        .contains("--help", "--quiet", "--json", "Exit codes:")
                        .contains("130"));
    }

    @Test
    void aCommandAddedLaterHasHelpToo() {
        assertThat(test.run(MainTest::nothing, "probe", "--help")).isZero();
        assertThat(test.out()).contains("Usage: gptq4j probe", "--bits", "--json");
    }

    @Test
    void handsOnTheNumberACommandReturns() {
        assertThat(test.run(MainTest::nothing, "probe", "--bits", "3")).isEqualTo(7);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "nonsense", "--nonsense", "probe --bits", "probe --bits x", "probe extra"})
    void answersAWrongCommandLineWithTwoAndOnePlaceToLook(String commandLine) {
        String[] args = commandLine.isEmpty() ? new String[0] : commandLine.split(" ");
        assertThat(test.run(MainTest::nothing, args)).isEqualTo(2);
        assertThat(test.out()).isEmpty();
        assertThat(test.err()).startsWith("error: ").contains("Try 'gptq4j").doesNotContain("\tat ");
    }

    @Test
    void aRefusedValueInsideACommandIsAUsageErrorToo() {
        int code = test.run(
                () -> {
                    throw new IllegalArgumentException("Group size 100 does not divide 704; 64 does.");
                },
                "probe");
        assertThat(code).isEqualTo(2);
        assertThat(test.err().lines()).containsExactly("error: Group size 100 does not divide 704; 64 does.");
    }

    @Test
    void aTextToMeasureOnAndNoMeasuringContradictEachOther() {
        assertThat(Main.run(test.console, "quantize", "m", "-o", "out", "--no-eval", "--eval-text", "t.txt"))
                .isEqualTo(2);
        assertThat(test.err()).startsWith("error: --eval-text").contains("--no-eval");
    }

    @Test
    void oneOfAThingIsNotMany() {
        assertThat(Sizes.count(1, "window")).isEqualTo("1 window");
        assertThat(Sizes.count(20, "window")).isEqualTo("20 windows");
    }

    @Test
    void anUnexpectedErrorNamesTheWayToItsStackTrace() {
        int code = test.run(
                () -> {
                    throw new IllegalStateException("broken");
                },
                "probe");
        assertThat(code).isEqualTo(1);
        assertThat(test.err())
                .contains("IllegalStateException: broken", "--verbose")
                .doesNotContain("\tat ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"probe -v", "-v probe", "probe -vv"})
    void verbosePrintsTheStackTrace(String commandLine) {
        int code = test.run(
                () -> {
                    throw new IllegalStateException("broken");
                },
                commandLine.split(" "));
        assertThat(code).isEqualTo(1);
        assertThat(test.err()).contains("\tat io.gptq4j.cli.MainTest");
    }

    @Test
    void runningOutOfMemoryHasACodeOfItsOwn() {
        int code = test.run(
                () -> {
                    throw new OutOfMemoryError("Java heap space");
                },
                "probe");
        assertThat(code).isEqualTo(10);
        assertThat(test.err()).contains("out of memory", "Java heap space").doesNotContain("\tat ");
    }

    @Test
    void aCommandThatHfHasEndsAsItDoesThere() {
        assertThat(verb(() -> nothing())).isZero();
        assertThat(verb(() -> {
                    throw new IllegalArgumentException("misuse");
                }))
                .isEqualTo(1);
        assertThat(verb(() -> {
                    throw new NoSuchFileException("x");
                }))
                .isEqualTo(1);
        assertThat(verb(() -> {
                    throw new OutOfMemoryError("Java heap space");
                }))
                .isEqualTo(1);
        assertThat(verb(() -> {
                    throw new InterruptedIOException();
                }))
                .isEqualTo(130);
        assertThat(Main.run(test.console, Main.commandLine(test.console, new Verb(MainTest::nothing)), "verb", "--x"))
                .isEqualTo(2);
    }

    private int verb(Callable<@Nullable Void> action) {
        return Main.run(test.console, Main.commandLine(test.console, new Verb(action)), "verb");
    }

    @Test
    void theHelpOfSuchACommandListsItsOwnExitCodes() {
        assertThat(Main.run(
                        test.console, Main.commandLine(test.console, new Verb(MainTest::nothing)), "verb", "--help"))
                .isZero();
        assertThat(test.out())
                .containsPattern("(?m)^\\s+1\\s+any error")
                .contains("130")
                .doesNotContainPattern("(?m)^\\s+4\\s");
    }

    /** A command of hf's that does what a test says. */
    @Command(name = "verb")
    private record Verb(Callable<@Nullable Void> action) implements Callable<Integer>, HubVerb {
        @Override
        public Integer call() throws Exception {
            action.call();
            return ExitCode.OK.number();
        }
    }

    @Test
    void anUnfinishedPhaseEndsBeforeTheErrorIsPrinted() {
        TestConsole terminal = new TestConsole(Map.of("TERM", "xterm"), 80);
        terminal.run(
                () -> {
                    terminal.console.progress().start("Quantizing", 4);
                    terminal.console.progress().update(1, "block 1");
                    throw new IOException("disk on fire");
                },
                "probe");
        assertThat(terminal.err())
                .endsWith("\rQuantizing: stopped at 1/4 after 0:00" + System.lineSeparator() + "error: disk on fire"
                        + System.lineSeparator());
    }

    @Test
    void resultsThatCannotBeWrittenAreAnError() {
        PrintStream full = new PrintStream(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("No space left on device");
            }
        });
        Console console = new Console(full, new PrintStream(OutputStream.nullOutputStream()), Map.of(), 0, () -> 0);
        assertThat(Main.run(console, "--version")).isEqualTo(9);
    }
}
