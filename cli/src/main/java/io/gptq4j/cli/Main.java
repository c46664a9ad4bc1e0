package io.gptq4j.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;

/**
 * The command {@code gptq4j}.
 *
 * <p>A subcommand is one class and one line in {@link #commandLine}: a {@code Callable<Integer>} with picocli's
 * annotations whose constructor takes the {@link Console}. It returns an {@link ExitCode}'s number, or throws, and then
 * {@link Failure} decides. Its fields and method signatures name no class of the tensor library, because picocli looks
 * at them to print the help.
 */
@Command(
        name = "gptq4j",
        description = "Quantizes Hugging Face models to 4 bits and fewer with GPTQ.",
        synopsisSubcommandLabel = "COMMAND",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        scope = ScopeType.INHERIT,
        sortOptions = false,
        usageHelpAutoWidth = true)
public final class Main {
    /** How long an interrupted command may take to clean up; one call of the tensor library cannot be cut short. */
    private static final int GRACE_SECONDS = 10;

    @Option(
            names = {"-v", "--verbose"},
            scope = ScopeType.INHERIT,
            description = "Log more, and show stack traces; twice: log everything.")
    private boolean[] verbose = {};

    @Option(
            names = {"-q", "--quiet"},
            scope = ScopeType.INHERIT,
            description = "No progress and no notes; warnings and errors remain.")
    private boolean quiet;

    @Option(names = "--json", scope = ScopeType.INHERIT, description = "Print the result as one JSON object.")
    private boolean json;

    /** As {@code hf} spells the two options above. */
    enum Format {
        AUTO,
        HUMAN,
        AGENT,
        JSON,
        QUIET
    }

    @Option(names = "--format", scope = ScopeType.INHERIT, hidden = true)
    private Format format = Format.AUTO;

    /** Of hf's; nothing is ever cut off here. */
    @SuppressWarnings("UnusedVariable")
    @Option(names = "--no-truncate", scope = ScopeType.INHERIT, hidden = true)
    private boolean noTruncate;

    private Main() {}

    /** Runs the command and ends the process with its {@link ExitCode}. */
    public static void main(String[] args) {
        Thread command = Thread.currentThread();
        CountDownLatch ended = new CountDownLatch(1);
        // Ctrl-C ends the Java machine, unless somebody holds it up, with all temporary files left behind.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            command.interrupt();
            try {
                ended.await(GRACE_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        int code;
        try {
            code = run(Console.ofProcess(), args);
        } finally {
            ended.countDown();
        }
        System.exit(code);
    }

    static int run(Console console, String... args) {
        return run(console, commandLine(console), args);
    }

    static int run(Console console, CommandLine line, String... args) {
        int code;
        try {
            code = line.execute(args);
        } catch (OutOfMemoryError | StackOverflowError error) {
            // picocli hands exceptions to our handler but lets errors pass.
            code = fail(console, error, line);
        }
        if (!console.isOutputComplete()) {
            console.error("Standard output could not be written completely.");
            return code == 0 ? number(ExitCode.IO_ERROR, line) : code;
        }
        return code;
    }

    /** The whole command, with {@code more} subcommands that tests bring along. */
    static CommandLine commandLine(Console console, Object... more) {
        Main main = new Main();
        CommandLine line = new CommandLine(main);
        line.addSubcommand(new QuantizeCommand(console));
        line.addSubcommand(new EvalCommand(console));
        line.addSubcommand(new ScoreCommand(console));
        line.addSubcommand(new InspectCommand(console));
        line.addSubcommand(new FamiliesCommand(console));
        line.addSubcommand(new BenchCommand(console));
        line.addSubcommand(new DownloadCommand(console));
        line.addSubcommand(new UploadCommand(console));
        line.addSubcommand(AuthCommands.commandLine(console));
        line.addSubcommand(CacheCommands.commandLine(console));
        line.addSubcommand(RepoCommands.commandLine(console));
        line.addSubcommand(new InfoCommand(console));
        for (Object command : more) {
            line.addSubcommand(command);
        }
        // From here on settings reach every subcommand.
        line.setOut(console.outWriter());
        line.setErr(console.errWriter());
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setExecutionStrategy(parsed -> {
            console.configure(
                    main.verbose.length,
                    main.quiet || main.format == Format.QUIET,
                    main.json || main.format == Format.JSON);
            return new CommandLine.RunLast().execute(parsed);
        });
        line.setParameterExceptionHandler((refused, args) -> refuse(console, refused));
        line.setExecutionExceptionHandler((thrown, command, parsed) -> fail(console, thrown, line));
        describeExitCodes(line);
        return line;
    }

    /** Adds the table of exit codes to the help of a command and of all its subcommands. */
    private static void describeExitCodes(CommandLine line) {
        line.getCommandSpec()
                .usageMessage()
                .exitCodeListHeading("%nExit codes:%n")
                .exitCodeList(line.getCommand() instanceof HubVerb ? ExitCode.helpTableInHf() : ExitCode.helpTable());
        line.getSubcommands().values().forEach(Main::describeExitCodes);
    }

    private static int refuse(Console console, ParameterException refused) {
        CommandLine command = refused.getCommandLine();
        console.error(String.valueOf(refused.getMessage()));
        CommandLine.UnmatchedArgumentException.printSuggestions(refused, command.getErr());
        console.note("Try '" + command.getCommandSpec().qualifiedName() + " --help'.");
        return ExitCode.USAGE.number();
    }

    private static int fail(Console console, Throwable thrown, CommandLine line) {
        Failure failure = Failure.of(thrown);
        console.progress().close();
        console.failure(failure, thrown);
        return number(failure.code(), line);
    }

    /** The number with which the command that was run ends. */
    private static int number(ExitCode code, CommandLine line) {
        ParseResult command = line.getParseResult();
        while (command != null && command.hasSubcommand()) {
            command = command.subcommand();
        }
        return command != null && command.commandSpec().userObject() instanceof HubVerb
                ? code.numberInHf()
                : code.number();
    }
}
