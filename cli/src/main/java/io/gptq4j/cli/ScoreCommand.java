package io.gptq4j.cli;

import io.gptq4j.calibration.TextFile;
import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code gptq4j score}: log-likelihood of every token, and the logits. */
@Command(
        name = "score",
        description = "Prints the log-likelihood of every token of a text, given the tokens before it.")
final class ScoreCommand implements Callable<Integer> {
    private final Console console;

    @Mixin
    private final ModelOptions options = new ModelOptions();

    @ArgGroup(multiplicity = "1")
    private Input input = new Input();

    /** What to score: one of the two. */
    private static final class Input {
        @Option(names = "--text", required = true, paramLabel = "FILE", description = "UTF-8 text.")
        private @Nullable Path text;

        @Option(names = "--ids", required = true, split = ",", paramLabel = "ID", description = "Token ids: 1,2,3.")
        private int @Nullable [] ids;
    }

    @Option(
            names = "--logits",
            paramLabel = "OUT.npy",
            description = "Also write all logits, float32 [tokens, vocabulary], as a NumPy file.")
    private @Nullable Path logits;

    ScoreCommand(Console console) {
        this.console = console;
    }

    /** The result of {@code score}; {@code loglik} belongs to the second and later ids. */
    record Result(String model, int[] ids, double[] loglik, double sum, double perplexity) {}

    @Override
    public Integer call() throws IOException {
        int[] ids = input.ids;
        String content = input.text == null ? "" : TextFile.read(input.text);
        try (Checkpoint checkpoint =
                options.read(Checkpoint.open(options.locate(console).directory()))) {
            if (ids == null) {
                try (Tokenizer tokenizer = Tokenizer.open(checkpoint.tokenizerJson())) {
                    ids = tokenizer.encode(content);
                }
            }
            try (Session session = Session.open(console, options, checkpoint)) {
                score(session, ids);
            }
        }
        return ExitCode.OK.number();
    }

    private void score(Session session, int[] ids) throws IOException {
        int vocabulary = session.model().architecture().vocabSize();
        for (int id : input.ids == null ? new int[0] : input.ids) { // those of a text are the tokenizer's business
            if (id < 0 || id >= vocabulary) {
                throw new IllegalArgumentException(
                        "Token id " + id + " is outside the model's vocabulary, 0 to " + (vocabulary - 1));
            }
        }
        session.model().requireWindow(ids.length);
        ProgressView view = console.progress();
        view.start("scoring", session.model().architecture().layers());
        Evaluator evaluator =
                new Evaluator(session.model(), (done, blocks) -> view.update(done, "block " + done + "/" + blocks));
        double[] loglik;
        if (logits == null) {
            loglik = evaluator.score(ids, null);
        } else {
            try (NpyWriter writer = NpyWriter.create(logits, ids.length, vocabulary)) {
                loglik = evaluator.score(ids, writer::write);
                writer.commit();
            }
        }
        view.finish();
        double sum = Arrays.stream(loglik).sum();
        int[] scored = ids;
        console.result(
                new Result(options.model(), ids, loglik, sum, Math.exp(-sum / loglik.length)),
                () -> IntStream.range(0, loglik.length)
                                .mapToObj(i -> String.format(Locale.ROOT, "%d\t%.6f", scored[i + 1], loglik[i]))
                                .collect(Collectors.joining("\n"))
                        + String.format(Locale.ROOT, "%nsum\t%.6f", sum));
    }
}
