package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.card.CardFacts;
import io.gptq4j.card.ModelCard;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.eval.SelfCalibration;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.QuantizeConfig;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqQuantizer;
import io.gptq4j.gptq.ModuleReport;
import io.gptq4j.gptq.QuantizationListener;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.Sensitivity;
import io.gptq4j.gptq.TargetWidths;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.families.ModelFamilies;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One quantization from plan to report. Everything that can be refused is refused by {@link #plan}, before weights are read.
 *
 * @param console where it tells
 * @param options the model as the user gave it
 * @param source the model, opened; stays the caller's to close
 * @param checkpoint what is quantized: the source's weights, rotated if that was asked for
 * @param plan what is quantized, and how; widths that a target chooses are assumed until they are measured
 * @param target chooses widths, or null
 * @param windows what it is calibrated on
 * @param calibration what chose them
 * @param memory where hidden states are kept
 * @param heldOut what the perplexity is measured on, or null
 * @param readme the model's README.md, or null
 */
record QuantizeRun(
        Console console,
        ModelOptions options,
        ModelSource source,
        Checkpoint checkpoint,
        QuantizationPlan plan,
        @Nullable TargetWidths target,
        CalibrationSet windows,
        CalibrationOptions calibration,
        MemoryOptions memory,
        @Nullable HeldOut heldOut,
        byte @Nullable [] readme) {

    /** Plans a run. */
    static QuantizeRun plan(
            Console console,
            ModelOptions options,
            ModelSource source,
            GptqOptions gptq,
            RuleOptions rules,
            RotationOptions rotation,
            CalibrationOptions calibration,
            PerplexityOptions perplexity,
            MemoryOptions memory)
            throws IOException {
        if (ArtifactReader.isArtifact(source.checkpoint())) {
            throw new CheckpointException(options.model() + " is quantized already"
                    + method(source.checkpoint().config()) + "; quantize the float checkpoint it came from");
        }
        Checkpoint checkpoint = rotation.applied(console, source.checkpoint(), calibration.seed());
        ModelFamily.Reading reading = ModelFamilies.reading(checkpoint);
        reading.warnings().forEach(console::warn);
        Architecture architecture = reading.architecture();
        QuantizationPlan plan = QuantizationPlan.of(architecture, gptq, rules.rules());
        Double bitsPerWeight = rules.target();
        TargetWidths target = bitsPerWeight == null ? null : new TargetWidths(plan, bitsPerWeight);
        plan = target == null ? plan : target.assumed();
        plan.warnings().forEach(console::warn);
        CalibrationSet windows = calibration.windows(console, checkpoint, architecture);
        return new QuantizeRun(
                console,
                options,
                source,
                checkpoint,
                plan,
                target,
                windows,
                calibration,
                memory,
                perplexity.heldOut(checkpoint, windows, architecture),
                QuantizeReport.readme(checkpoint));
    }

    private static String method(ModelConfig config) throws CheckpointException {
        Optional<ModelConfig> quantization = config.object(QuantizeConfig.CONFIG_KEY);
        return quantization.isPresent()
                ? " (quant_method " + quantization.get().stringValue("quant_method", "unknown") + ")"
                : "";
    }

    /** What the run is going to cost, its result going to {@code out}, or to the Hub alone, in files of this size. */
    DryRun estimate(@Nullable Path out, long shardSize) {
        return new DryRun(
                options.model(),
                checkpoint,
                plan,
                windows.windows().length,
                calibration::selfSamples,
                windows.seqlen(),
                heldOut,
                memory.hostBytes(),
                source.client() != null && out == null ? 2 * shardSize : Long.MAX_VALUE, // one grows, one goes up
                target != null,
                out == null ? Path.of("") : out);
    }

    /**
     * Quantizes, writes and tells.
     *
     * @param shardSize bytes of the largest file
     * @param command the command as it was given, for the card
     * @param start when it began, by {@link System#nanoTime}
     */
    void write(Destination destination, long shardSize, List<String> command, long start) throws IOException {
        List<Session> sessions = Session.forRun(options, checkpoint);
        try (Closeable all = () -> sessions.forEach(Session::close)) {
            Session session = sessions.get(0);
            estimate(destination.directory(), shardSize)
                    .warn(console, session.model().type(), session.torch().isGpu());
            withWidths(session, destination).write(sessions, destination, shardSize, command, start);
        }
    }

    /** The run with the widths that the target chooses, which is told. */
    private QuantizeRun withWidths(Session session, Destination destination) throws IOException {
        if (target == null) {
            return this;
        }
        ProgressView view = console.progress();
        view.start("measuring what widths do", plan.architecture().layers());
        Sensitivity sensitivity =
                new Sensitivity(session.model(), target, memory.budget(session.torch(), destination.directory()));
        QuantizationPlan chosen = target.choose(sensitivity.measure(windows, new QuantizationListener() {
            @Override
            public void blockFinished(int block, int blocks) {
                view.update(block + 1, "block " + block);
            }
        }));
        console.note(String.format(
                Locale.ROOT,
                "Chosen: %s; %.3f bits per weight, scales, zero points and g_idx included.",
                chosen.widths().entrySet().stream()
                        .map(count -> Sizes.count(count.getValue(), "module") + " at " + count.getKey() + " bits")
                        .collect(Collectors.joining(", ")),
                chosen.size().bitsPerWeight()));
        return new QuantizeRun(
                console, options, source, checkpoint, chosen, null, windows, calibration, memory, heldOut, readme);
    }

    private int selfSamples() {
        return calibration.selfSamples(windows.windows().length);
    }

    /** The windows, and those that the model makes up. */
    private CalibrationSet withOwnText(Session session, Destination destination) throws IOException {
        int count = selfSamples();
        if (count == 0) {
            return windows;
        }
        ProgressView view = console.progress();
        SelfCalibration own = new SelfCalibration(
                session.model(),
                memory.budget(session.torch(), destination.directory()),
                (done, passes) -> view.update(done, ""));
        view.start("making text up", own.passes(windows, count));
        try (Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
            return own.extended(windows, count, tokenizer::isText, calibration.seed());
        }
    }

    private void write(
            List<Session> sessions, Destination destination, long shardSize, List<String> command, long start)
            throws IOException {
        QuantizeReport report = new QuantizeReport(
                QuantizeReport.source(source.located()),
                options.model(),
                destination.directory(),
                plan,
                windows,
                selfSamples(),
                calibration.seed(),
                destination.repo() == null ? null : destination.repo().id().toString());
        Session session = sessions.get(0);
        try (HeldOut.Measurement measurement = heldOut == null ? null : heldOut.begin(session, console)) {
            GptqQuantizer.Builder quantizer = GptqQuantizer.builder(session.model(), plan)
                    .budget(memory.budget(session.torch(), destination.directory()))
                    .allExperts(calibration.allExperts());
            sessions.subList(1, sessions.size()).forEach(other -> quantizer.alsoOn(other.model()));
            if (measurement != null) {
                quantizer.observer(measurement.observer());
            }
            String tool = "gptq4j:" + Version.number();
            ArtifactWriter.Plan artifact =
                    ArtifactPlans.of(checkpoint, session.model().weights(), plan, tool, shardSize);
            destination.open(report.card(readme, null, command).text());
            QuantizeReport.Outcome outcome;
            Path complete;
            CommitResult pushed = null;
            try (ArtifactWriter writer = destination.writer(artifact);
                    Closeable uploads = destination::endUploads) {
                CalibrationSet all = withOwnText(session, destination);
                List<ModuleReport> modules = quantizer
                        .build()
                        .run(
                                all,
                                module -> {
                                    destination.requireAlive();
                                    writer.write(module);
                                },
                                progress());
                complete = writer.complete();
                CardFacts.Perplexity perplexity = measurement == null ? null : measurement.result(console);
                ModelCard card = report.card(readme, perplexity, command);
                card.warnings().forEach(console::warn);
                writer.add(ModelCard.FILE_NAME, card.text());
                destination.complete(writer);
                outcome = new QuantizeReport.Outcome(
                        session.torch().device(),
                        session.model().type().toString(),
                        modules,
                        perplexity,
                        source.checkpoint().weightBytes(),
                        writer.weightBytes());
                if (destination.directory() == null) {
                    pushed = destination.push(complete);
                }
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            try {
                if (destination.directory() != null) {
                    pushed = destination.push(destination.directory());
                }
            } finally {
                // What took hours is told even if it is not on the Hub.
                report.print(console, outcome, pushed, seconds);
            }
        }
    }

    private QuantizationListener progress() {
        ProgressView view = console.progress();
        int total = plan.size().modules();
        view.start("quantizing", total);
        return new QuantizationListener() {
            private int done;

            @Override
            public void moduleQuantized(ModuleReport report) {
                view.update(++done, String.format(Locale.ROOT, "%s loss %.3g", report.module(), report.loss()));
            }
        };
    }
}
