package io.gptq4j.cli;

import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.hub.repo.Repo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code gptq4j quantize}: a float checkpoint in, an AutoGPTQ artifact out. */
@Command(
        name = "quantize",
        description =
                "Quantizes a model with GPTQ and writes it in AutoGPTQ's format, ready for TGI, vLLM, transformers,"
                        + " AutoGPTQ and GPTQModel.")
final class QuantizeCommand implements Callable<Integer> {
    private final Console console;

    @Mixin
    private final ModelOptions options = new ModelOptions();

    @Option(
            names = {"-o", "--out"},
            paramLabel = "DIR",
            description = "Where the quantized model goes; must not exist, or be empty (default, with a repository: its"
                    + " name and -GPTQ, or the name of that to push to).")
    private @Nullable Path out;

    @Mixin
    private final PushOptions push = new PushOptions();

    @Option(
            names = "--stream",
            description =
                    "Read the weights of a repository from the Hub block by block, without the checkpoint ever being"
                            + " on this disk; with --push-to, upload each file as soon as it is finished, and keep none of them"
                            + " unless --out is given.")
    private boolean stream;

    @Mixin
    private final MethodOptions method = new MethodOptions();

    @Mixin
    private final RotationOptions rotation = new RotationOptions();

    @Mixin
    private final RuleOptions rules = new RuleOptions();

    @Mixin
    private final CalibrationOptions calibration = new CalibrationOptions();

    @Option(
            names = "--shard-size",
            paramLabel = "SIZE",
            defaultValue = "5GB",
            description = "Largest file, such as 5GB or 500MB (default: ${DEFAULT-VALUE}).")
    private String shardSize = "5GB";

    @Mixin
    private final MemoryOptions memory = new MemoryOptions();

    @Mixin
    private final PerplexityOptions perplexity = new PerplexityOptions();

    @Option(
            names = "--dry-run",
            description = "Tell what the run would take of time, memory and disk, from a few seconds of measuring this"
                    + " machine, and do nothing else.")
    private boolean dryRun;

    @Spec
    private @Nullable CommandSpec spec;

    QuantizeCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        GptqOptions gptq = method.gptq();
        rules.check();
        long largestFile = Sizes.parse(shardSize);
        calibration.check();
        if (stream || gptq.reference()) { // a stream would fetch all weights many times
            calibration.withoutOwnText();
        }
        perplexity.check();
        memory.check();
        Path directory = isPassing() || (dryRun && out == null) ? null : target();
        push.check(console, options.hub());
        String width = rules.target() == null ? String.valueOf(gptq.bits()) : "about " + rules.target();
        String summary = "Quantize " + options.model() + " to " + width + " bits with gptq4j";
        // Of a repository a dry run fetches only the headers of the weights, whether or not the run itself will stream.
        boolean remote = stream || (dryRun && options.repository().isPresent());
        try (ModelSource source = remote ? ModelSource.stream(options, console) : ModelSource.here(options, console);
                Destination destination = new Destination(console, options.hub(), push, directory, stream, summary)) {
            QuantizeRun run =
                    QuantizeRun.plan(console, options, source, gptq, rules, rotation, calibration, perplexity, memory);
            if (dryRun) {
                run.estimate(directory, largestFile).print(console, options, source.checkpoint());
                return ExitCode.OK.number();
            }
            run.write(destination, largestFile, commandLine(), start);
        }
        return ExitCode.OK.number();
    }

    /** Whether no artifact is to stay on this disk. */
    private boolean isPassing() {
        return stream && out == null && push.repo() != null;
    }

    private Path target() {
        if (out != null) {
            return out;
        }
        Repo repo = push.repo();
        if (repo != null) {
            return Path.of(repo.id().name());
        }
        return options.repository()
                .map(id -> Path.of(id.name() + "-GPTQ"))
                .orElseThrow(() -> new ParameterException(
                        Objects.requireNonNull(spec).commandLine(),
                        "--out is missing: name the directory that the quantized model goes to"));
    }

    /** The command as it was given, with the contents of argument files. */
    private List<String> commandLine() {
        CommandLine root = Objects.requireNonNull(spec).root().commandLine();
        List<String> words = new ArrayList<>(List.of(root.getCommandName()));
        words.addAll(root.getParseResult().expandedArgs());
        return words;
    }
}
