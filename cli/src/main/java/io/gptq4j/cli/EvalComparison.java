package io.gptq4j.cli;

import io.gptq4j.calibration.Tokenizer;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.eval.Comparison;
import io.gptq4j.eval.ModelScores;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.model.LanguageModel;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code eval --compare} and {@code eval --reference}: the same windows through two or three models.
 *
 * @param console where it tells
 * @param options the model A
 * @param memory where hidden states are kept
 * @param other the model B as the user named it, or null
 * @param reference the float model as the user named it, or null for A if that is one
 */
record EvalComparison(
        Console console,
        ModelOptions options,
        MemoryOptions memory,
        @Nullable String other,
        @Nullable String reference) {
    /** A model as the user named it, and where its files are. */
    private record Source(String name, Path directory) {
        static Source of(String name, ModelOptions.Located located) throws IOException {
            return new Source(name, located.directory().toRealPath());
        }

        boolean isAt(Source other) {
            return directory.equals(other.directory);
        }
    }

    /**
     * Compares and prints.
     *
     * @param file where the text is from
     * @param text the text
     * @param window tokens per window, or 0 for what all models can take
     * @param limit windows at most
     * @param start when the command began, by {@link System#nanoTime}
     */
    void run(Path file, String text, int window, int limit, long start) throws IOException {
        Source a = Source.of(options.model(), options.locate(console));
        Source b = other == null ? null : Source.of(other, options.locate(console, other));
        Source named = reference == null ? null : Source.of(reference, options.locate(console, reference));
        if (named != null) { // if it is A or B, it need not be run twice
            named = named.isAt(a) ? a : b != null && named.isAt(b) ? b : named;
        }
        if (b == null && named == a) {
            throw new IllegalArgumentException("--reference is " + a.name
                    + " itself; name the float model that it was made of, or another one to --compare it with");
        }
        Deque<Closeable> open = new ArrayDeque<>();
        try (Closeable all = () -> close(open)) {
            Checkpoint checkpoint = options.read(Checkpoint.open(a.directory));
            open.push(checkpoint);
            Source against = named != null || ArtifactReader.isArtifact(checkpoint) ? named : a;
            if (against == null) {
                console.note("Both models are quantized, so there is no KL divergence and no top-1 agreement; add"
                        + " --reference with the float model for them.");
            }
            List<Source> sources = sources(against, a, b);
            Session session = Session.open(console, options, checkpoint);
            open.push(session::close);
            List<LanguageModel> models = new ArrayList<>();
            List<Checkpoint> checkpoints = new ArrayList<>();
            for (Source source : sources) {
                if (source == a) {
                    checkpoints.add(checkpoint);
                    models.add(session.model());
                } else {
                    Checkpoint another = options.read(Checkpoint.open(source.directory));
                    open.push(another);
                    LanguageModel model = session.open(another);
                    open.push(model::close);
                    checkpoints.add(another);
                    models.add(model);
                }
            }
            ProgressView view = console.progress();
            view.start(
                    "evaluating",
                    models.stream().mapToInt(m -> m.architecture().layers()).sum());
            Comparison comparison = new Comparison(
                    models,
                    against != null,
                    memory.budget(session.torch(), null),
                    (done, blocks) -> view.update(done, "block " + done + "/" + blocks));
            int length = window > 0
                    ? window
                    : models.stream()
                            .mapToInt(m -> m.architecture().defaultWindow())
                            .min()
                            .orElseThrow();
            List<ModelScores> scores = comparison.run(tokens(file, text, sources, checkpoints), length, limit);
            view.finish();
            for (int m = 0; m < scores.size(); m++) {
                if (!Double.isFinite(scores.get(m).nll())) {
                    throw new CheckpointException(sources.get(m).name + " does not give finite probabilities for this"
                            + " text in " + session.model().type() + "; try --dtype float32, and if that does not"
                            + " help, its weights are damaged");
                }
            }
            ComparisonReport report = ComparisonReport.of(
                    file.toString(),
                    length,
                    against == null ? null : scored(against, sources, scores),
                    scored(a, sources, scores),
                    b == null ? null : scored(b, sources, scores),
                    session.torch().device(),
                    session.model().type().toString(),
                    (System.nanoTime() - start) / 1e9);
            console.result(report, report::forReader);
        }
    }

    /** The models to run, the reference first. */
    private static List<Source> sources(@Nullable Source against, Source a, @Nullable Source b) {
        List<Source> sources = new ArrayList<>();
        if (against != null) {
            sources.add(against);
        }
        if (a != against) {
            sources.add(a);
        }
        if (b != null && b != against) {
            sources.add(b);
        }
        return sources;
    }

    private static ComparisonReport.Scored scored(Source source, List<Source> sources, List<ModelScores> scores) {
        int m = 0;
        while (sources.get(m) != source) { // the same model may be there twice
            m++;
        }
        return new ComparisonReport.Scored(source.name, scores.get(m));
    }

    /** The ids of the text, on which all tokenizers must agree. */
    private static int[] tokens(Path file, String text, List<Source> sources, List<Checkpoint> checkpoints)
            throws IOException {
        int[] first = {};
        for (int m = 0; m < sources.size(); m++) {
            try (Tokenizer tokenizer = Tokenizer.open(checkpoints.get(m).tokenizerJson())) {
                int[] ids = tokenizer.encode(text);
                if (m > 0 && !Arrays.equals(ids, first)) {
                    throw new IllegalArgumentException(sources.get(0).name + " and " + sources.get(m).name
                            + " have different tokenizers: they make different token ids of " + file
                            + "; only models that share one can be compared");
                }
                first = ids;
            }
        }
        return first;
    }

    private static void close(Deque<Closeable> open) throws IOException {
        while (!open.isEmpty()) {
            open.pop().close();
        }
    }
}
