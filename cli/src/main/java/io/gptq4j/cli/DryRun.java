package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.cost.Calibration;
import io.gptq4j.cost.CostModel;
import io.gptq4j.cost.Estimate;
import io.gptq4j.cost.MachineProfile;
import io.gptq4j.cost.Run;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.IntUnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What a quantization is going to cost, told before anything but headers of its checkpoint is read. */
final class DryRun {
    /** Of the memory that is available, for what the estimate does not know. */
    private static final double USABLE = 0.9;

    private final String model;
    private final Path directory;
    private final QuantizationPlan plan;
    private final long checkpointBytes;
    private final long checkpointParameters;
    private final int windows;
    private final IntUnaryOperator selfWindows;
    private final int seqlen;
    private final int evalWindows;
    private final int evalWindow;
    private final long statesInMemory;
    private final long artifactOnDisk;
    private final boolean choosesWidths;
    private final Path out;

    /**
     * A run that is going to be.
     *
     * @param model its name as the user gave it
     * @param selfWindows how many windows the model makes up beside so many of a text
     * @param heldOut the text to be measured on, or null
     * @param statesInMemory bytes of hidden states that may stay in host memory
     * @param artifactOnDisk bytes of the artifact that are on this disk at a time, at most
     * @param choosesWidths whether the plan's widths are assumed, and to be chosen
     * @param out where the artifact goes
     */
    DryRun(
            String model,
            Checkpoint checkpoint,
            QuantizationPlan plan,
            int windows,
            IntUnaryOperator selfWindows,
            int seqlen,
            @Nullable HeldOut heldOut,
            long statesInMemory,
            long artifactOnDisk,
            boolean choosesWidths,
            Path out) {
        this.model = model;
        this.directory = checkpoint.directory();
        this.plan = plan;
        this.checkpointBytes = checkpoint.weightBytes();
        this.checkpointParameters = checkpoint.tensors().tensors().values().stream()
                .mapToLong(TensorInfo::elements)
                .sum();
        this.windows = windows;
        this.selfWindows = selfWindows;
        this.seqlen = seqlen;
        this.evalWindows = heldOut == null ? 0 : heldOut.windows();
        this.evalWindow = heldOut == null ? 0 : heldOut.window();
        this.statesInMemory = statesInMemory;
        this.artifactOnDisk = artifactOnDisk;
        this.choosesWidths = choosesWidths;
        this.out = out;
    }

    /** One line of the result. */
    record StepCost(String step, double flops, double bytes, double seconds) {}

    /** The result of {@code quantize --dry-run}; bytes and seconds. */
    record Result(
            String model,
            int bits,
            int groupSize,
            double bitsPerWeight,
            int windows,
            int selfWindows,
            int seqlen,
            String device,
            String dtype,
            double seconds,
            double floorSeconds,
            List<StepCost> steps,
            Estimate.Memory memory,
            long hostAvailable,
            long diskAvailable,
            boolean fits,
            MachineProfile machine) {}

    /** Measures the machine and prints what a run on it takes; warns and proposes if it does not fit. */
    void print(Console console, ModelOptions options, Checkpoint checkpoint) throws IOException {
        MachineProfile machine;
        boolean gpu;
        console.note("Measuring this machine for about five seconds.");
        try (Torch torch = Torch.open(options.devices().get(0))) {
            gpu = torch.isGpu();
            FloatType type = options.quantizingDtypeOn(torch, checkpoint.config());
            machine = new Calibration(torch)
                    .measure(
                            type,
                            seqlen,
                            plan.architecture().block(0).attention().headDim(),
                            weightFile().orElse(null));
        }
        Estimate estimate = new CostModel(plan, run(machine.type(), gpu, windows, seqlen)).estimate(machine);
        long host = HostMemory.available();
        long disk = diskAvailable();
        List<String> misfits = misfits(estimate.memory(), machine.type(), gpu, host, disk);
        Result result = new Result(
                model,
                plan.options().bits(),
                plan.options().groupSize(),
                plan.size().bitsPerWeight(),
                windows,
                selfWindows.applyAsInt(windows),
                seqlen,
                machine.device(),
                machine.type().toString(),
                estimate.seconds(),
                estimate.floor(),
                steps(estimate),
                estimate.memory(),
                host,
                disk,
                misfits.isEmpty(),
                machine);
        console.result(result, () -> text(result));
        misfits.forEach(console::warn);
    }

    static List<StepCost> steps(Estimate estimate) {
        return estimate.steps().stream()
                .map(cost -> new StepCost(cost.step().toString(), cost.flops(), cost.bytes(), cost.seconds()))
                .toList();
    }

    /** Warns before a run if the memory or the disk that it takes is not there. */
    void warn(Console console, FloatType type, boolean gpu) throws IOException {
        Estimate.Memory memory = new CostModel(plan, run(type, gpu, windows, seqlen)).memory();
        misfits(memory, type, gpu, HostMemory.available(), diskAvailable()).forEach(console::warn);
    }

    private long disk(Estimate.Memory memory) {
        return Math.min(memory.artifact(), artifactOnDisk) + memory.scratch();
    }

    private Run run(FloatType type, boolean gpu, int count, int length) {
        int own = selfWindows.applyAsInt(count);
        return new Run(
                count + own,
                length,
                type,
                gpu,
                checkpointBytes,
                checkpointParameters,
                evalWindows,
                evalWindow,
                statesInMemory,
                choosesWidths,
                own);
    }

    /** Sentences on what is not there, each with what would help. */
    List<String> misfits(Estimate.Memory memory, FloatType type, boolean gpu, long host, long disk) {
        List<String> sentences = new ArrayList<>();
        if (memory.host() > host * USABLE) {
            sentences.add("It takes about " + Sizes.format(memory.host()) + " of memory, and " + Sizes.format(host)
                    + " are available; " + proposal(type, gpu, (long) (host * USABLE)));
        }
        if (disk(memory) > disk) {
            sentences.add("It takes about " + Sizes.format(disk(memory)) + " of disk, and "
                    + Sizes.format(disk) + " are free at " + out.toAbsolutePath()
                    + "; choose --out on another disk, or fewer --bits");
        }
        return sentences;
    }

    /** The first change of options, of those that cost the least quality, with which the run fits. */
    private String proposal(FloatType type, boolean gpu, long host) {
        boolean wide = type == FloatType.FLOAT32;
        record Change(String options, FloatType type, int windows, int seqlen) {}
        List<Change> changes = new ArrayList<>();
        if (wide) {
            changes.add(new Change("--dtype bfloat16", FloatType.BFLOAT16, windows, seqlen));
        }
        FloatType narrow = wide ? FloatType.BFLOAT16 : type;
        String first = wide ? "--dtype bfloat16 " : "";
        for (int count = windows / 2; count >= 16; count /= 2) {
            changes.add(new Change(first + "--samples " + count, narrow, count, seqlen));
        }
        for (int length = seqlen / 2; length >= 256; length /= 2) {
            int count = Math.min(windows, 16);
            changes.add(new Change(first + "--samples " + count + " --seqlen " + length, narrow, count, length));
        }
        for (Change change : changes) {
            long needed = new CostModel(plan, run(change.type(), gpu, change.windows(), change.seqlen()))
                    .memory()
                    .host();
            if (needed <= host) {
                return "with " + change.options() + " it would be " + Sizes.format(needed);
            }
        }
        return "no option brings it below that: one block of this model with its Hessian is too large for this machine";
    }

    private long diskAvailable() throws IOException {
        Path place = out.toAbsolutePath();
        while (place.getParent() != null && !Files.exists(place)) {
            place = place.getParent();
        }
        return Files.getFileStore(place).getUsableSpace();
    }

    /** The largest file of weights, to be timed. */
    private Optional<Path> weightFile() throws IOException {
        if (!Files.isDirectory(directory)) {
            return Optional.empty();
        }
        Path largest = null;
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                boolean weights = file.toString().endsWith(".safetensors")
                        || file.toString().endsWith(".bin");
                if (weights && (largest == null || Files.size(file) > Files.size(largest))) {
                    largest = file;
                }
            }
        }
        return Optional.ofNullable(largest);
    }

    private String text(Result result) {
        Table table = new Table("step", "work>", "time>", "share>");
        double sum = result.steps().stream().mapToDouble(StepCost::seconds).sum();
        for (StepCost cost : result.steps()) {
            if (cost.seconds() > 0) {
                table.row(
                        cost.step(),
                        cost.flops() > 0
                                ? String.format(Locale.ROOT, "%.3g TFLOP", cost.flops() / 1e12)
                                : Sizes.format((long) cost.bytes()),
                        duration(cost.seconds()),
                        String.format(Locale.ROOT, "%.0f %%", 100 * cost.seconds() / sum));
            }
        }
        Estimate.Memory memory = result.memory();
        StringBuilder text = new StringBuilder();
        text.append(String.format(
                Locale.ROOT,
                "%s to %d bits (%.3f with scales, zero points and indices), %s of %d tokens%s, %s on %s%n%n%s%n%n",
                model,
                result.bits(),
                result.bitsPerWeight(),
                Sizes.count(windows, "window"),
                seqlen,
                result.selfWindows() > 0 ? " and " + result.selfWindows() + " that the model makes up" : "",
                result.dtype(),
                result.device(),
                table));
        text.append(String.format(
                Locale.ROOT,
                "time     about %s; matrix products and attention alone %s (up to %.0f GFLOP/s float32, %.0f %s)%n",
                duration(result.seconds()),
                duration(result.floorSeconds()),
                result.machine().float32().peak() / 1e9,
                result.machine().forward().peak() / 1e9,
                result.dtype()));
        text.append(String.format(
                Locale.ROOT,
                "memory   %s of %s available%n",
                Sizes.format(memory.host()),
                Sizes.format(result.hostAvailable())));
        if (memory.device() > 0) {
            text.append(String.format(Locale.ROOT, "device   %s%n", Sizes.format(memory.device())));
        }
        text.append(String.format(
                Locale.ROOT,
                "disk     %s for the artifact%s; %s free",
                Sizes.format(memory.artifact()),
                memory.scratch() > 0 ? ", " + Sizes.format(memory.scratch()) + " for hidden states" : "",
                Sizes.format(result.diskAvailable())));
        return text.toString();
    }

    /** Seconds as people say them; two digits are all that an estimate has. */
    static String duration(double seconds) {
        if (seconds < 1) {
            return String.format(Locale.ROOT, "%.2g s", seconds);
        } else if (seconds < 60) {
            return String.format(Locale.ROOT, "%.1f s", seconds);
        } else if (seconds < 3600) {
            return String.format(Locale.ROOT, "%.1f min", seconds / 60);
        }
        return String.format(Locale.ROOT, "%.1f h", seconds / 3600);
    }
}
