package io.gptq4j.cli;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j bench}: how fast this machine quantizes, and how far that is from what it could. */
@Command(
        name = "bench",
        description =
                "Measures the parts of a quantization, whole runs, and how they grow, each beside what this machine"
                        + " can do at best, measured in the same run. Models are made up, of any shape.")
final class BenchCommand implements Callable<Integer> {
    private final Console console;

    @Parameters(
            arity = "0..*",
            paramLabel = "SECTION",
            description = "kernels, end-to-end or scaling (default: the first two).")
    private Set<String> sections = Set.of("kernels", "end-to-end");

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "For end-to-end: a checkpoint, calibrated on the embedded text, in place of a made-up one.")
    private @Nullable Path model;

    @Option(
            names = "--repeats",
            paramLabel = "N",
            defaultValue = "5",
            description = "Runs of each, of which the median is shown (default: ${DEFAULT-VALUE}).")
    private int repeats;

    @Option(
            names = "--windows",
            paramLabel = "N",
            defaultValue = "8",
            description = "For end-to-end: calibration windows (default: ${DEFAULT-VALUE}).")
    private int windows;

    @Option(names = "--seqlen", paramLabel = "N", description = "Tokens per window (default: 2048; for scaling 512).")
    private @Nullable Integer seqlen;

    @Option(
            names = "--blocks",
            paramLabel = "N",
            defaultValue = "4",
            description = "For end-to-end: blocks of the made-up llama (default: ${DEFAULT-VALUE}).")
    private int blocks;

    @Option(names = "--hidden", paramLabel = "N", description = "Its width (default: 2048; for scaling 512).")
    private @Nullable Integer hidden;

    @Option(
            names = "--ffn",
            paramLabel = "N",
            description = "Width of its feed-forward part (default: 2.75 times the width).")
    private @Nullable Integer ffn;

    @Option(names = "--heads", paramLabel = "N", description = "Its heads (default: one for each 64 of the width).")
    private @Nullable Integer heads;

    @Option(names = "--kv-heads", paramLabel = "N", description = "Its key and value heads (default: an eighth).")
    private @Nullable Integer kvHeads;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "32000",
            description = "Its vocabulary (default: ${DEFAULT-VALUE}).")
    private int vocab;

    @Option(
            names = "--largest",
            paramLabel = "N",
            defaultValue = "11008",
            description = "For kernels: no matrix gets a larger side (default: ${DEFAULT-VALUE}).")
    private int largest;

    @Option(
            names = "--group-size",
            paramLabel = "N",
            defaultValue = "128",
            description = "Inputs that share a scale (default: ${DEFAULT-VALUE}).")
    private int groupSize;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "auto",
            description = "auto, cpu or cuda:N (default: ${DEFAULT-VALUE}).")
    private String device = "auto";

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "auto",
            description = "Type of the forward: auto, float32, bfloat16 or float16 (default: ${DEFAULT-VALUE}).")
    private String dtype = "auto";

    @Option(
            names = "--scratch",
            paramLabel = "DIR",
            description = "Where made-up checkpoints and artifacts go meanwhile (default: the system's place for"
                    + " temporary files).")
    private @Nullable Path scratch;

    BenchCommand(Console console) {
        this.console = console;
    }

    /** The result of {@code bench}; sections that were not asked for are empty. */
    record Result(
            String version,
            String java,
            int processors,
            String device,
            String dtype,
            int repeats,
            List<BenchKernels.Row> kernels,
            List<BenchRuns.EndToEnd> endToEnd,
            List<BenchRuns.Scaling> scaling) {}

    @Override
    public Integer call() throws IOException {
        Set<String> known = Set.of("kernels", "end-to-end", "scaling");
        for (String section : sections) {
            if (!known.contains(section)) {
                throw new IllegalArgumentException(
                        "There is no section '" + section + "' to measure; use kernels, end-to-end or scaling");
            }
        }
        for (Map.Entry<String, Integer> option : Map.of(
                        "--repeats", repeats, "--windows", windows, "--blocks", blocks, "--vocab", vocab)
                .entrySet()) {
            if (option.getValue() < 1) {
                throw new IllegalArgumentException(option.getKey() + " must be at least 1, not " + option.getValue());
            }
        }
        if (largest < 64 || largest % 32 != 0) {
            throw new IllegalArgumentException("--largest must be a multiple of 32 from 64 on, not " + largest);
        }
        Path directory = scratch == null
                ? Files.createTempDirectory("gptq4j-bench-")
                : Files.createTempDirectory(scratch, "gptq4j-bench-");
        try (Torch torch = Torch.open(device)) {
            FloatType type =
                    ModelOptions.type(dtype, torch, ModelConfig.of(shape(2048).config(), "config.json"));
            Result result = measure(torch, type, directory);
            console.result(result, () -> text(result));
        } finally {
            BenchRuns.delete(directory);
        }
        return ExitCode.OK.number();
    }

    private Result measure(Torch torch, FloatType type, Path directory) throws IOException {
        List<BenchKernels.Row> kernels = List.of();
        List<BenchRuns.EndToEnd> runs = new ArrayList<>();
        List<BenchRuns.Scaling> scaling = List.of();
        if (sections.contains("kernels")) {
            Path one = directory.resolve("kernels");
            kernels = new BenchKernels(torch, type, repeats, largest, console.progress())
                    .run(shape(2048), seqlen(2048), one);
            BenchRuns.delete(one);
        }
        if (sections.contains("end-to-end") || sections.contains("scaling")) {
            GptqOptions gptq = GptqOptions.plain().withBits(4, groupSize);
            BenchRuns bench = new BenchRuns(torch, type, gptq, repeats, directory, console.progress());
            if (sections.contains("end-to-end")) {
                runs.add(
                        model != null
                                ? bench.ofCheckpoint(model, windows, seqlen(2048))
                                : bench.ofSynthetic(shape(2048), windows, seqlen(2048)));
            }
            if (sections.contains("scaling")) {
                scaling = bench.scaling(shape(512), seqlen(512));
            }
        }
        return new Result(
                Version.number(),
                System.getProperty("java.version"),
                Runtime.getRuntime().availableProcessors(),
                torch.device(),
                type.toString(),
                repeats,
                kernels,
                runs,
                scaling);
    }

    private int seqlen(int usual) {
        return seqlen != null ? seqlen : usual;
    }

    private SyntheticLlama shape(int usual) {
        int width = hidden != null ? hidden : usual;
        int queries = heads != null ? heads : Math.max(1, width / 64);
        return new SyntheticLlama(
                blocks,
                width,
                ffn != null ? ffn : width * 11 / 4,
                queries,
                kvHeads != null ? kvHeads : Math.max(1, queries / 8),
                vocab,
                Math.max(2048, seqlen(usual)));
    }

    private static String text(Result result) {
        StringBuilder text = new StringBuilder(String.format(
                Locale.ROOT,
                "gptq4j %s, Java %s, %s on %s, %d processors, medians of %d",
                result.version(),
                result.java(),
                result.dtype(),
                result.device(),
                result.processors(),
                result.repeats()));
        if (!result.kernels().isEmpty()) {
            Table table = new Table("kernel", "shape", "time>", "achieved>", "roof>", "of roof>", "times roof>");
            for (BenchKernels.Row row : result.kernels()) {
                table.row(
                        row.kernel(),
                        row.shape(),
                        milliseconds(row.seconds()),
                        String.format(Locale.ROOT, "%.3g %s", row.rate(), row.unit()),
                        String.format(Locale.ROOT, "%.3g", row.roof()),
                        String.format(Locale.ROOT, "%.0f %%", 100 / row.timesRoof()),
                        String.format(Locale.ROOT, "%.2f", row.timesRoof()));
            }
            text.append(System.lineSeparator()).append(System.lineSeparator()).append(table);
        }
        if (!result.endToEnd().isEmpty()) {
            Table table = new Table(
                    "model",
                    "blocks>",
                    "windows>",
                    "first>",
                    "time>",
                    "predicted>",
                    "floor>",
                    "time/predicted>",
                    "time/floor>");
            for (BenchRuns.EndToEnd run : result.endToEnd()) {
                table.row(
                        run.model(),
                        run.blocks() + "",
                        run.windows() + " x " + run.seqlen(),
                        DryRun.duration(run.first()),
                        DryRun.duration(run.seconds()),
                        DryRun.duration(run.predicted()),
                        DryRun.duration(run.floor()),
                        String.format(Locale.ROOT, "%.2f", run.timesPredicted()),
                        String.format(Locale.ROOT, "%.2f", run.timesFloor()));
            }
            text.append(System.lineSeparator()).append(System.lineSeparator()).append(table);
        }
        for (BenchRuns.Scaling scaling : result.scaling()) {
            text.append(System.lineSeparator()).append(System.lineSeparator());
            for (int i = 0; i < scaling.values().length; i++) {
                text.append(scaling.values()[i])
                        .append(' ')
                        .append(scaling.by())
                        .append(": ")
                        .append(DryRun.duration(scaling.seconds()[i]))
                        .append(System.lineSeparator());
            }
            text.append(String.format(
                    Locale.ROOT,
                    "fit: %.3f s + %.4f s per %s, r^2 = %.5f",
                    scaling.fit().intercept(),
                    scaling.fit().slope(),
                    scaling.by().replaceFirst("s$", ""),
                    scaling.fit().r2()));
        }
        return text.toString();
    }

    private static String milliseconds(double seconds) {
        return String.format(Locale.ROOT, seconds < 0.1 ? "%.2f ms" : "%.0f ms", 1000 * seconds);
    }
}
