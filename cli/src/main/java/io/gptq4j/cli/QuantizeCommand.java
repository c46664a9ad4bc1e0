package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.card.CardFacts;
import io.gptq4j.card.ModelCard;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.gptq.ArtifactCheck;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqQuantizer;
import io.gptq4j.gptq.ModuleReport;
import io.gptq4j.gptq.QuantizationListener;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.families.ModelFamilies;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
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
            names = "--bits",
            paramLabel = "N",
            defaultValue = "4",
            description = "2, 3, 4 or 8 (default: ${DEFAULT-VALUE}).")
    private int bits;

    @Option(
            names = "--group-size",
            paramLabel = "N",
            defaultValue = "128",
            description = "Inputs that share a scale: 32, 64, 128, or -1 for all (default: ${DEFAULT-VALUE}).")
    private int groupSize;

    @Option(
            names = "--desc-act",
            negatable = true,
            description = "Solve columns by falling importance, as AutoGPTQ means it: --desc-act alone scatters g_idx,"
                    + " --no-desc-act keeps the order of columns. The default takes that order too, but with static"
                    + " groups, which keeps g_idx trivial.")
    private @Nullable Boolean descAct;

    @Option(
            names = "--static-groups",
            negatable = true,
            description = "Fix all scales before the solve (default, unless --desc-act or --no-desc-act is given).")
    private @Nullable Boolean staticGroups;

    @Option(
            names = "--sym",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description =
                    "Symmetric grid (default); --no-sym fits lopsided weights better, but several servers are slow"
                            + " with it or refuse it.")
    private boolean sym;

    @Option(
            names = "--damp-percent",
            paramLabel = "X",
            defaultValue = "0.01",
            description = "Damping, as a fraction of the Hessian's mean diagonal (default: ${DEFAULT-VALUE}).")
    private double dampPercent;

    @Option(
            names = "--mse",
            arity = "0..1",
            paramLabel = "EXP",
            defaultValue = "0",
            fallbackValue = "2.4",
            description = "Search a tighter grid by the error to this power; without a number 2.4 (default: off).")
    private double mse;

    @Option(
            names = "--blocksize",
            paramLabel = "N",
            defaultValue = "128",
            description = "Columns between two updates of the rest (default: ${DEFAULT-VALUE}).")
    private int blocksize;

    @Option(
            names = "--autogptq-exact",
            description = "Follow AutoGPTQ's arithmetic step by step, its weaknesses included; for comparisons.")
    private boolean reference;

    @Option(
            names = "--calibration",
            paramLabel = "FILE",
            description = "UTF-8 text, or .jsonl with \"text\" or \"input_ids\" (default: an embedded English text).")
    private @Nullable Path calibration;

    @Option(
            names = "--samples",
            paramLabel = "N",
            defaultValue = "128",
            description = "Calibration windows (default: ${DEFAULT-VALUE}).")
    private int samples;

    @Option(
            names = "--seqlen",
            paramLabel = "N",
            description = "Tokens per window (default: 2048, or what the model can take).")
    private @Nullable Integer seqlen;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "Chooses the windows (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--shard-size",
            paramLabel = "SIZE",
            defaultValue = "5GB",
            description = "Largest file, such as 5GB or 500MB (default: ${DEFAULT-VALUE}).")
    private String shardSize = "5GB";

    @Option(
            names = "--eval",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "Measure the perplexity before and after (default); takes little time beside the rest.")
    private boolean eval;

    @Option(
            names = "--eval-text",
            paramLabel = "FILE",
            description =
                    "UTF-8 text to measure it on (default: an embedded English text, which shares nothing with the"
                            + " one for calibration).")
    private @Nullable Path evalText;

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
        GptqOptions gptq = gptqOptions();
        long largestFile = Sizes.parse(shardSize);
        requirePositive("--samples", samples);
        if (evalText != null && !eval) {
            throw new IllegalArgumentException(
                    "--eval-text says what to measure the perplexity on, --no-eval not to measure it; leave one out");
        }
        if (seqlen != null) {
            requirePositive("--seqlen", seqlen);
        }
        Path target = dryRun && out == null ? Path.of("") : target();
        push.check(console, options.hub());
        ModelOptions.Located model = options.locate(console);
        try (Checkpoint checkpoint = Checkpoint.open(model.directory())) {
            if (ArtifactReader.isArtifact(checkpoint)) {
                throw new CheckpointException(
                        options.model() + " is quantized already; quantize the float checkpoint it came from");
            }
            Architecture architecture = ModelFamilies.architecture(checkpoint.config());
            QuantizationPlan plan = QuantizationPlan.of(architecture, gptq);
            plan.warning().ifPresent(console::warn);
            CalibrationSet windows = windows(checkpoint, architecture);
            byte[] readme = QuantizeReport.readme(checkpoint);
            HeldOut heldOut = eval ? HeldOut.read(evalText, checkpoint, windows, architecture.defaultWindow()) : null;
            DryRun estimate = new DryRun(
                    options.model(), checkpoint, plan, windows.windows().length, windows.seqlen(), heldOut, target);
            if (dryRun) {
                estimate.print(console, options, checkpoint);
                return ExitCode.OK.number();
            }
            try (Session session = Session.open(options, checkpoint)) {
                estimate.note(console, session.model().type(), session.torch().isGpu());
                GptqQuantizer quantizer = new GptqQuantizer(session.model(), plan);
                String tool = "gptq4j:" + Version.number();
                ArtifactWriter.Plan artifact =
                        ArtifactPlans.of(checkpoint, session.model().weights(), plan, tool, largestFile);
                ArtifactCheck check = new ArtifactCheck();
                Repo repo = push.repo();
                QuantizeReport report = new QuantizeReport(
                        QuantizeReport.source(model),
                        options.model(),
                        target,
                        plan,
                        windows,
                        seed,
                        repo == null ? null : repo.id().toString());
                List<ModuleReport> modules;
                CardFacts.Perplexity perplexity;
                try (ArtifactWriter writer = ArtifactWriter.create(target, artifact)) {
                    modules = quantizer.run(
                            windows,
                            module -> {
                                check.remember(module);
                                writer.write(module);
                            },
                            progress(plan));
                    Path written = writer.complete();
                    Optional<String> difference = check.differenceIn(written);
                    if (difference.isPresent()) {
                        throw new VerificationException(difference.get());
                    }
                    perplexity = heldOut == null ? null : heldOut.measure(session, written, console);
                    ModelCard card = report.card(readme, perplexity, commandLine());
                    card.warnings().forEach(console::warn);
                    writer.add(ModelCard.FILE_NAME, card.text());
                    writer.commit();
                }
                double seconds = (System.nanoTime() - start) / 1e9;
                CommitResult pushed = null;
                try {
                    if (repo != null) {
                        pushed = push.push(console, options.hub(), target, summary(options.model(), gptq));
                    }
                } finally {
                    // What took hours is told even if it is not on the Hub.
                    report.print(console, session, modules, perplexity, pushed, seconds);
                }
            }
        }
        return ExitCode.OK.number();
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

    private static String summary(String model, GptqOptions gptq) {
        return "Quantize " + model + " to " + gptq.bits() + " bits with gptq4j";
    }

    /** The command as it was given, with the contents of argument files. */
    private List<String> commandLine() {
        CommandLine root = Objects.requireNonNull(spec).root().commandLine();
        List<String> words = new ArrayList<>(List.of(root.getCommandName()));
        words.addAll(root.getParseResult().expandedArgs());
        return words;
    }

    private static void requirePositive(String option, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(option + " must be at least 1, not " + value);
        }
    }

    private GptqOptions gptqOptions() {
        boolean actOrder = descAct == null || descAct;
        boolean fixedGroups = staticGroups == null ? descAct == null : staticGroups;
        return new GptqOptions(bits, groupSize, sym, actOrder, fixedGroups, dampPercent, mse, blocksize, reference);
    }

    private CalibrationSet windows(Checkpoint checkpoint, Architecture architecture) throws IOException {
        int length = seqlen != null ? seqlen : architecture.defaultWindow();
        try (Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
            CalibrationSet windows = calibration == null
                    ? CalibrationSet.embedded(tokenizer, samples, length, seed)
                    : CalibrationSet.fromFile(calibration, tokenizer, samples, length, seed);
            if (windows.windows().length < samples) {
                console.note("Calibrating on " + Sizes.count(windows.windows().length, "window") + " of " + length
                        + " tokens: " + windows.source() + " has no more.");
            }
            return windows;
        }
    }

    private QuantizationListener progress(QuantizationPlan plan) {
        ProgressView view = console.progress();
        int perBlock =
                plan.groups().stream().mapToInt(group -> group.modules().size()).sum();
        int total = plan.architecture().layers() * perBlock;
        view.start("quantizing", total);
        return new QuantizationListener() {
            private int done;

            @Override
            public void moduleQuantized(ModuleReport report) {
                view.update(++done, String.format(Locale.ROOT, "%s loss %.3g", report.module(), report.loss()));
                if (report.dampPercent() > dampPercent) {
                    console.warn(report.module() + ": the Hessian is not positive definite; "
                            + (report.dampPercent() >= 1
                                    ? "rounded to nearest instead"
                                    : "damping raised to " + report.dampPercent()));
                }
            }
        };
    }
}
