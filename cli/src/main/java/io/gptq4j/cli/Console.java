package io.gptq4j.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * What a command says and where: its one result on standard output, everything else on standard error.
 *
 * <p>Both are UTF-8 whatever the locale, and neither gets control characters, which names and messages of a server could
 * hold.
 *
 * <p> Used by the command's thread; only the {@link #progress() progress view} may
 * be shared.
 */
final class Console {
    private static final Set<String> TRUE = Set.of("1", "ON", "YES", "TRUE");
    private static final Set<String> YES = Set.of("y", "yes");

    /** What terminals obey, C1 as well as C0; {@code logback.xml} has the same for logs. */
    private static final Pattern CONTROL = Pattern.compile("\\p{Cc}");

    /** The same without what our own texts are laid out with. */
    private static final Pattern CONTROL_IN_LINES = Pattern.compile("\\r(?!\\n)|[\\p{Cc}&&[^\\t\\r\\n]]");

    /** What a terminal obeys though JSON may hold it as it is. */
    private static final Pattern CONTROL_IN_JSON = Pattern.compile("[\\x7f-\\x9f]");

    private final PrintStream out;
    private final PrintStream err;
    private final Map<String, String> environment;
    private final int columns;
    private final LongSupplier nanoTime;
    private final Terminal terminal;

    private int verbosity;
    private boolean quiet;
    private boolean json;
    private @Nullable ProgressView progress;

    /** A console on any two streams, without anybody who could answer questions. */
    Console(PrintStream out, PrintStream err, Map<String, String> environment, int columns, LongSupplier nanoTime) {
        this(out, err, environment, columns, nanoTime, Terminal.NONE);
    }

    /**
     * A console on any two streams.
     *
     * @param out for results
     * @param err for everything else
     * @param environment the environment variables
     * @param columns width of the terminal behind {@code err}, or 0 if there is none
     * @param nanoTime the clock, in nanoseconds
     * @param terminal whom to ask
     */
    Console(
            PrintStream out,
            PrintStream err,
            Map<String, String> environment,
            int columns,
            LongSupplier nanoTime,
            Terminal terminal) {
        this.out = out;
        this.err = err;
        this.environment = environment;
        this.columns = columns;
        this.nanoTime = nanoTime;
        this.terminal = terminal;
    }

    /** The console of this process. The start script tells the terminal's width: Java 17 cannot ask about stderr. */
    static Console ofProcess() {
        return new Console(
                new PrintStream(new FileOutputStream(FileDescriptor.out), false, UTF_8),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, UTF_8),
                System.getenv(),
                Integer.getInteger("gptq4j.columns", 0),
                System::nanoTime,
                Terminal.ofProcess());
    }

    /** Takes the options every command has. */
    void configure(int verbosity, boolean quiet, boolean json) {
        this.verbosity = verbosity;
        this.quiet = quiet;
        this.json = json;
        if (verbosity > 0) {
            Level level = verbosity == 1 ? Level.INFO : Level.DEBUG;
            for (String name : new String[] {org.slf4j.Logger.ROOT_LOGGER_NAME, "ai.djl"}) {
                ((Logger) LoggerFactory.getLogger(name)).setLevel(level);
            }
        }
    }

    /**
     * Prints the command's result: one JSON object with snake_case keys if the user asked for JSON, else text.
     *
     * @param value a record of plain values, lists, maps and further records
     * @param text the same for a reader, without a line end
     */
    void result(Object value, Supplier<String> text) {
        if (progress != null) {
            progress.finish();
        }
        out.println(json ? toJson(value) : lines(text.get()));
        out.flush();
    }

    /**
     * Prints the result of a command that {@code hf} has, too: with {@code --quiet} nothing but what the next command of a
     * script needs, one item a line.
     *
     * @param value as in {@link #result(Object, Supplier)}
     * @param items names, paths or addresses
     */
    void result(Object value, Supplier<String> text, List<String> items) {
        if (!quiet || json) {
            result(value, text);
            return;
        }
        items.stream().map(Console::printable).forEach(out::println);
        out.flush();
    }

    /**
     * Prints that something was done, as {@code hf} does: a sentence and some facts, of which the first is the one that
     * {@code --quiet} leaves.
     */
    void done(String sentence, Map<String, ?> facts) {
        StringBuilder text = new StringBuilder("\u2713 ").append(sentence);
        facts.forEach((key, fact) -> text.append(System.lineSeparator())
                .append("  ")
                .append(key)
                .append(": ")
                .append(printable(String.valueOf(fact))));
        result(
                facts,
                text::toString,
                facts.values().stream().limit(1).map(String::valueOf).toList());
    }

    /** Whom to ask. */
    Terminal terminal() {
        return terminal;
    }

    /**
     * Goes on only if a person agrees.
     *
     * @throws IOException if they do not
     * @throws IllegalArgumentException if nobody is there
     */
    void confirm(String question) throws IOException, InterruptedException {
        if (!terminal.isThere()) {
            throw new IllegalArgumentException(
                    question + " There is no terminal to answer on, so nothing was changed; use --yes if you mean it");
        }
        String answer = terminal.ask(question + " Proceed? [y/N]: ", false);
        if (answer == null || !YES.contains(answer.strip().toLowerCase(Locale.ROOT))) {
            throw new IOException("Aborted; nothing was changed.");
        }
    }

    /** Says something of interest, unless the user asked for quiet. */
    void note(String sentence) {
        if (!quiet) {
            line(sentence);
        }
    }

    /** Says that something is not as it should be, though the command goes on. */
    void warn(String sentence) {
        line("warning: " + sentence);
    }

    /** Says why the command ends here. */
    void error(String sentence) {
        line("error: " + sentence);
    }

    /** Reports the end of a failed command; the stack trace only if the user asked for details. */
    void failure(Failure failure, Throwable thrown) {
        error(failure.sentence());
        if (verbosity > 0) {
            StringWriter trace = new StringWriter();
            thrown.printStackTrace(new PrintWriter(trace));
            line(trace.toString().stripTrailing());
        } else if (failure.code() == ExitCode.UNEXPECTED) {
            line("Run the command again with --verbose to see where.");
        }
    }

    /** The environment variables of this process. */
    Map<String, String> environment() {
        return environment;
    }

    /** The one progress view of this command. */
    ProgressView progress() {
        if (progress == null) {
            progress = new ProgressView(err, style(), columns, nanoTime);
        }
        return progress;
    }

    /** Standard output for help texts. */
    PrintWriter outWriter() {
        return new PrintWriter(out, true, UTF_8);
    }

    /** Standard error for usage errors. */
    PrintWriter errWriter() {
        return new PrintWriter(err, true, UTF_8);
    }

    /** Whether every byte for standard output could be written; a full disk shows only here. */
    boolean isOutputComplete() {
        return !out.checkError();
    }

    /** A text of a server, in one line and without what a terminal would obey. */
    static String printable(String text) {
        return CONTROL.matcher(text).replaceAll("?");
    }

    private static String lines(String text) {
        return CONTROL_IN_LINES.matcher(text).replaceAll("?");
    }

    private ProgressView.Style style() {
        String disabled = environment.getOrDefault("HF_HUB_DISABLE_PROGRESS_BARS", "");
        if (quiet || TRUE.contains(disabled.toUpperCase(Locale.ROOT))) {
            return ProgressView.Style.OFF;
        }
        return columns > 0 && !environment.getOrDefault("TERM", "").equals("dumb")
                ? ProgressView.Style.BAR
                : ProgressView.Style.LINES;
    }

    private void line(String text) {
        if (progress != null) {
            progress.clear();
        }
        err.println(lines(text));
    }

    private static String toJson(Object value) {
        try {
            String json = JsonMapper.builder()
                    .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                    .enable(SerializationFeature.INDENT_OUTPUT)
                    .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
                    .build()
                    .writeValueAsString(value);
            return CONTROL_IN_JSON
                    .matcher(json)
                    .replaceAll(found -> Matcher.quoteReplacement('\\'
                            + String.format(
                                    Locale.ROOT, "u%04x", (int) found.group().charAt(0))));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("The result " + value.getClass().getName() + " has no JSON form", e);
        }
    }
}
