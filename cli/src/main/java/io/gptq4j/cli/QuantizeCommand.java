package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.card.CardFacts;
import io.gptq4j.card.ModelCard;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.ArtifactWriter;
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

    @Mixin
    private final MethodOptions method = new MethodOptions();

    @Mixin
    private final CalibrationOptions calibration = new CalibrationOptions();

    @Option(
            names = "--shard-size",
            paramLabel = "SIZE",
            defaultValue = "5GB",
            description = "Largest file, such as 5GB or 500MB (default: ${DEFAULT-VALUE}).")
    private String shardSize = "5GB";

    @Mixin
    private final PerplexityOptions held = new PerplexityOptions();

    @Spec
    private @Nullable CommandSpec spec;

    QuantizeCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        GptqOptions gptq = method.gptq();
        long largestFile = Sizes.parse(shardSize);
        calibration.check();
        held.check();
        Path target = target();
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
            CalibrationSet windows = calibration.windows(console, checkpoint, architecture);
            byte[] readme = QuantizeReport.readme(checkpoint);
            HeldOut heldOut = held.heldOut(checkpoint, windows, architecture);
            try (Session session = Session.open(options, checkpoint)) {
                GptqQuantizer quantizer = new GptqQuantizer(session.model(), plan);
                String tool = "gptq4j:" + Version.number();
                ArtifactWriter.Plan artifact =
                        ArtifactPlans.of(checkpoint, session.model().weights(), plan, tool, largestFile);
                Repo repo = push.repo();
                QuantizeReport report = new QuantizeReport(
                        QuantizeReport.source(model),
                        options.model(),
                        target,
                        plan,
                        windows,
                        calibration.seed(),
                        repo == null ? null : repo.id().toString());
                List<ModuleReport> modules;
                CardFacts.Perplexity perplexity;
                try (ArtifactWriter writer = ArtifactWriter.create(target, artifact)) {
                    modules = quantizer.run(windows, writer::write, progress(plan));
                    Path written = writer.complete();
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
                if (report.dampPercent() > plan.options().dampPercent()) {
                    console.warn(report.module() + ": the Hessian is not positive definite; "
                            + (report.dampPercent() >= 1
                                    ? "rounded to nearest instead"
                                    : "damping raised to " + report.dampPercent()));
                }
            }
        };
    }
}
