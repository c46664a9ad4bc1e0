package io.gptq4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** A console whose two streams can be read back, with a clock that stands still unless it is set. */
final class TestConsole {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private long nanos;
    final Console console;

    TestConsole(Map<String, String> environment, int columns) {
        this(environment, columns, Terminal.NONE);
    }

    TestConsole(Map<String, String> environment, int columns, Terminal terminal) {
        console = new Console(
                new PrintStream(out, false, UTF_8),
                new PrintStream(err, true, UTF_8),
                environment,
                columns,
                () -> nanos,
                terminal);
    }

    static TestConsole piped() {
        return new TestConsole(Map.of(), 0);
    }

    void sleep(long seconds) {
        nanos += seconds * 1_000_000_000L;
    }

    String out() {
        return out.toString(UTF_8);
    }

    String err() {
        return err.toString(UTF_8);
    }

    /** Runs {@code gptq4j probe ...}, where probe does what the test says. */
    int run(Callable<@Nullable Void> action, String... args) {
        return Main.run(console, Main.commandLine(console, new Probe(action)), args);
    }

    @Command(name = "probe", description = "Does what a test says.")
    private static final class Probe implements Callable<Integer> {
        private final Callable<@Nullable Void> action;

        @Option(names = "--bits", description = "A number.")
        private int bits = 4;

        Probe(Callable<@Nullable Void> action) {
            this.action = action;
        }

        @Override
        public Integer call() throws Exception {
            action.call();
            return bits == 4 ? ExitCode.OK.number() : ExitCode.VERIFICATION_FAILED.number();
        }
    }
}
