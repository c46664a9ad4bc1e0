package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.cost.Calibration;
import io.gptq4j.cost.CostModel;
import io.gptq4j.cost.Estimate;
import io.gptq4j.cost.LinearFit;
import io.gptq4j.cost.MachineProfile;
import io.gptq4j.cost.Run;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.gptq.ArtifactPlans;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqQuantizer;
import io.gptq4j.gptq.QuantizationListener;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Whole quantizations, from a checkpoint's header to the files of the artifact, against what the cost model says. */
final class BenchRuns {
    private static final int[] BLOCKS = {4, 8, 16};
    private static final int[] WINDOWS = {32, 64, 128};

    private final Torch torch;
    private final FloatType type;
    private final GptqOptions options;
    private final int repeats;
    private final Path scratch;
    private final ProgressView view;

    /**
     * Runs on a device.
     *
     * @param repeats runs of each, of which the median counts
     * @param scratch a directory for checkpoints and artifacts
     */
    BenchRuns(Torch torch, FloatType type, GptqOptions options, int repeats, Path scratch, ProgressView view)
            throws IOException {
        this.torch = torch;
        this.type = type;
        this.options = options;
        this.repeats = repeats;
        this.scratch = scratch;
        this.view = view;
    }

    /**
     * One run.
     *
     * @param first seconds of the first one, in which libraries and files are cold
     * @param seconds median of all
     * @param predicted seconds by the cost model; median
     * @param floor seconds of the unavoidable operations at the measured rates of the library's own; median
     * @param timesFloor median of each run's time over its floor, the mean of those before it and after it: a machine drifts, so its rates
     *     are measured between runs
     * @param timesPredicted the same of the prediction
     * @param machine this machine's rates after the last run
     * @param steps the prediction in parts, by these
     */
    record EndToEnd(
            String model,
            int blocks,
            int windows,
            int seqlen,
            double first,
            double seconds,
            double predicted,
            double floor,
            double timesFloor,
            double timesPredicted,
            MachineProfile machine,
            List<DryRun.StepCost> steps) {}

    /**
     * How time grows.
     *
     * @param by what was varied
     * @param values its values
     * @param seconds median time at each
     * @param fit the line through them
     */
    record Scaling(String by, int[] values, double[] seconds, LinearFit fit) {}

    /** A checkpoint of the user's, calibrated on the embedded text. */
    EndToEnd ofCheckpoint(Path model, int windows, int seqlen) throws IOException {
        CalibrationSet set;
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
            set = CalibrationSet.embedded(tokenizer, windows, seqlen, 0);
        }
        return measure(model.toString(), model, set);
    }

    /** A synthetic one, calibrated on random tokens. */
    EndToEnd ofSynthetic(SyntheticLlama shape, int windows, int seqlen) throws IOException {
        Path model = shape.write(scratch.resolve("model"));
        try {
            return measure(shape.name(), model, shape.windows(windows, seqlen));
        } finally {
            delete(model);
        }
    }

    /** The same shape with more and more blocks, and with more and more windows. */
    List<Scaling> scaling(SyntheticLlama shape, int seqlen) throws IOException {
        double[] byBlocks = new double[BLOCKS.length];
        double[] byWindows = new double[WINDOWS.length];
        for (int i = 0; i < BLOCKS.length; i++) {
            byBlocks[i] = median(shape.withBlocks(BLOCKS[i]), WINDOWS[0], seqlen);
        }
        for (int i = 0; i < WINDOWS.length; i++) {
            byWindows[i] = median(shape.withBlocks(BLOCKS[0]), WINDOWS[i], seqlen);
        }
        return List.of(scaling("blocks", BLOCKS, byBlocks), scaling("windows", WINDOWS, byWindows));
    }

    /** The median seconds of several runs of one shape. */
    private double median(SyntheticLlama shape, int windows, int seqlen) throws IOException {
        Path model = shape.write(scratch.resolve("model"));
        try {
            return Timing.median(seconds(shape.name(), model, shape.windows(windows, seqlen), () -> {}));
        } finally {
            delete(model);
        }
    }

    private static Scaling scaling(String by, int[] values, double[] seconds) {
        double[] x = new double[values.length];
        for (int i = 0; i < x.length; i++) {
            x[i] = values[i];
        }
        return new Scaling(by, values.clone(), seconds, LinearFit.of(x, seconds));
    }

    private EndToEnd measure(String name, Path model, CalibrationSet windows) throws IOException {
        QuantizationPlan plan;
        CostModel costs;
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            plan = QuantizationPlan.of(ModelFamilies.architecture(checkpoint), options);
            Run run = new Run(
                    windows.windows().length,
                    windows.seqlen(),
                    type,
                    torch.isGpu(),
                    checkpoint.weightBytes(),
                    0,
                    0,
                    Long.MAX_VALUE);
            costs = new CostModel(plan, run);
        }
        Calibration calibration = new Calibration(torch);
        int headDim = plan.architecture().block(0).attention().headDim();
        List<MachineProfile> machines = new ArrayList<>();
        double[] seconds = seconds(
                name, model, windows, () -> machines.add(calibration.measure(type, windows.seqlen(), headDim, null)));
        List<Estimate> estimates = machines.stream().map(costs::estimate).toList();
        double[] predicted = means(estimates, Estimate::seconds);
        double[] floor = means(estimates, Estimate::floor);
        return new EndToEnd(
                name,
                plan.architecture().layers(),
                windows.windows().length,
                windows.seqlen(),
                seconds[0],
                Timing.median(seconds),
                Timing.median(predicted),
                Timing.median(floor),
                Timing.median(quotients(seconds, floor)),
                Timing.median(quotients(seconds, predicted)),
                machines.get(repeats),
                DryRun.steps(estimates.get(repeats)));
    }

    /** What the estimates before and after each run say, in the mean. */
    private double[] means(List<Estimate> estimates, ToDoubleFunction<Estimate> of) {
        return IntStream.range(0, repeats)
                .mapToDouble(i -> (of.applyAsDouble(estimates.get(i)) + of.applyAsDouble(estimates.get(i + 1))) / 2)
                .toArray();
    }

    private static double[] quotients(double[] x, double[] y) {
        return IntStream.range(0, x.length).mapToDouble(i -> x[i] / y[i]).toArray();
    }

    /** The seconds of each of several runs; {@code around} is done before the first and after each. */
    private double[] seconds(String name, Path model, CalibrationSet windows, Timing.Action around) throws IOException {
        view.start(name + ", " + Sizes.count(windows.windows().length, "window"), repeats);
        double[] seconds = new double[repeats];
        around.run();
        for (int i = 0; i < repeats; i++) {
            Path out = scratch.resolve("artifact");
            seconds[i] = Timing.seconds(() -> quantize(model, windows, out));
            delete(out);
            around.run();
            view.update(i + 1, DryRun.duration(seconds[i]));
        }
        view.finish();
        return seconds;
    }

    /** What {@code quantize --no-eval} does once the tensor library is up, but for the model card. */
    private void quantize(Path directory, CalibrationSet windows, Path out) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel model =
                        LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), type)) {
            QuantizationPlan plan = QuantizationPlan.of(model.architecture(), options);
            try (ArtifactWriter writer = ArtifactWriter.create(
                    out,
                    ArtifactPlans.of(
                            checkpoint,
                            model.weights(),
                            plan,
                            "gptq4j:" + Version.number(),
                            ArtifactWriter.Plan.DEFAULT_SHARD_SIZE))) {
                GptqQuantizer.builder(model, plan).build().run(windows, writer::write, QuantizationListener.SILENT);
                writer.commit();
            }
        }
    }

    /** Removes a directory and all that is in it. */
    static void delete(Path directory) throws IOException {
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(directory)) {
            paths = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path path : paths) {
            Files.delete(path);
        }
    }
}
