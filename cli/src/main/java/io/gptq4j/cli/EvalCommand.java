package io.gptq4j.cli;

import io.gptq4j.calibration.TextFile;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.eval.Perplexity;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code gptq4j eval}: perplexity of a text, for float and quantized checkpoints, alone or compared. */
@Command(
        name = "eval",
        description = "Measures the perplexity of a text: windows without overlap, no tokens added, the first token of"
                + " each window not scored. Compares models on the same windows.")
final class EvalCommand implements Callable<Integer> {
    private final Console console;

    @Mixin
    private final ModelOptions options = new ModelOptions();

    @Option(names = "--text", required = true, paramLabel = "FILE", description = "UTF-8 text to score.")
    private Path text = Path.of("");

    @Option(
            names = "--window",
            paramLabel = "N",
            description = "Tokens per window (default: 2048, or what the model can take).")
    private int window;

    @Option(names = "--windows", paramLabel = "N", description = "Score only the first N windows (default: all).")
    private int windows = Integer.MAX_VALUE;

    @Option(
            names = "--compare",
            paramLabel = "OTHER",
            description = "Another model: tells which of the two is better, and whether that is more than noise.")
    private @Nullable String compare;

    @Option(
            names = "--reference",
            paramLabel = "FLOAT",
            description =
                    "The float model: tells how far predictions are from its own, by KL divergence and agreement on"
                            + " the most likely token (default, with --compare: MODEL, if it is not quantized).")
    private @Nullable String reference;

    @Mixin
    private final MemoryOptions memory = new MemoryOptions();

    EvalCommand(Console console) {
        this.console = console;
    }

    /** The result of {@code eval}. */
    record Result(
            String model,
            double perplexity,
            double nll,
            int windows,
            int window,
            long tokens,
            String device,
            String dtype,
            double seconds) {}

    @Override
    public Integer call() throws IOException {
        if (windows < 1 || window < 0) {
            throw new IllegalArgumentException("--windows and --window must be positive");
        }
        memory.check();
        String content = TextFile.read(text);
        long start = System.nanoTime();
        if (compare != null || reference != null) {
            new EvalComparison(console, options, memory, compare, reference).run(text, content, window, windows, start);
        } else {
            evaluate(content, start);
        }
        return ExitCode.OK.number();
    }

    private void evaluate(String content, long start) throws IOException {
        try (Checkpoint checkpoint =
                        options.read(Checkpoint.open(options.locate(console).directory()));
                Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson());
                Session session = Session.open(console, options, checkpoint)) {
            int length = window > 0 ? window : session.model().architecture().defaultWindow();
            ProgressView view = console.progress();
            view.start("evaluating", session.model().architecture().layers());
            Evaluator evaluator = new Evaluator(
                    session.model(),
                    memory.budget(session.torch(), null),
                    (done, blocks) -> view.update(done, "block " + done + "/" + blocks));
            Perplexity p = evaluator.perplexity(tokenizer.encode(content), length, windows);
            view.finish();
            double seconds = (System.nanoTime() - start) / 1e9;
            Result result = new Result(
                    options.model(),
                    p.perplexity(),
                    p.nll(),
                    p.windows(),
                    p.window(),
                    p.tokens(),
                    session.torch().device(),
                    session.model().type().toString(),
                    seconds);
            console.result(
                    result,
                    () -> String.format(
                            Locale.ROOT,
                            "perplexity %.4f  (%s of %d tokens, %s on %s, %.1f s)",
                            p.perplexity(),
                            Sizes.count(p.windows(), "window"),
                            p.window(),
                            result.dtype(),
                            result.device(),
                            seconds));
        }
    }
}
