package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.card.CardFacts;
import io.gptq4j.card.ModelCard;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.ModuleReport;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.hub.transfer.CommitResult;
import io.gptq4j.model.Architecture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a run of {@code quantize} tells: the result on standard output, and the model card.
 *
 * @param source the model as the card names it
 * @param model the model as the user gave it
 * @param out the output directory, or null if none stays
 * @param plan what was quantized, and how
 * @param windows what it was calibrated on
 * @param selfSamples windows that the model made up, besides
 * @param seed what chose the windows
 * @param repoId the repository that the result is meant for, or null
 */
record QuantizeReport(
        CardFacts.Source source,
        String model,
        @Nullable Path out,
        QuantizationPlan plan,
        CalibrationSet windows,
        int selfSamples,
        long seed,
        @Nullable String repoId) {

    /** The result as {@code --json} prints it. */
    record Result(
            String model,
            @Nullable String out,
            int bits,
            int groupSize,
            boolean sym,
            boolean descAct,
            boolean staticGroups,
            double dampPercent,
            double mse,
            List<String> rules,
            double bitsPerWeight,
            int samples,
            int selfSamples,
            int seqlen,
            long seed,
            String calibration,
            String device,
            String dtype,
            List<String> leftInFloat,
            @Nullable Double perplexityBefore,
            @Nullable Double perplexityAfter,
            long bytesBefore,
            long bytesAfter,
            @Nullable String pushedTo,
            double seconds,
            List<FallbackReport.Row> fallbacks,
            List<ModuleReport> modules) {}

    /**
     * What came of a run.
     *
     * @param device where it was computed
     * @param dtype in which type
     * @param modules what each solve says
     * @param perplexity before and after, or null
     * @param bytesBefore of the float weights
     * @param bytesAfter of the quantized weights
     */
    record Outcome(
            String device,
            String dtype,
            List<ModuleReport> modules,
            CardFacts.@Nullable Perplexity perplexity,
            long bytesBefore,
            long bytesAfter) {}

    /**
     * The model as the card names it. Of a directory nothing is known: names of repositories in its README.md or config.json
     * are of models it was made of as often as its own, so that the card names no base model.
     */
    static CardFacts.Source source(ModelOptions.Located model) throws IOException {
        return model.repo() == null
                ? new CardFacts.Source(model.name(), null, null)
                : new CardFacts.Source(model.repo().name(), model.repo().toString(), model.commit());
    }

    /** The bytes of the source's README.md, or null; read early, so that it fails early. */
    static byte @Nullable [] readme(Checkpoint checkpoint) throws IOException {
        Path file = checkpoint.directory().resolve(ModelCard.FILE_NAME);
        return Files.isRegularFile(file) ? Files.readAllBytes(file) : null;
    }

    /** The card, made of the source's. */
    ModelCard card(byte @Nullable [] readme, CardFacts.@Nullable Perplexity perplexity, List<String> command)
            throws IOException {
        GptqOptions gptq = plan.options();
        CardFacts facts = new CardFacts(
                source,
                new CardFacts.Options(
                        gptq.bits(),
                        gptq.groupSize(),
                        gptq.sym(),
                        gptq.descAct(),
                        gptq.staticGroups(),
                        gptq.dampPercent(),
                        gptq.mse(),
                        rules()),
                new CardFacts.Calibration(
                        windows.source(), windows.windows().length, selfSamples, windows.seqlen(), seed),
                "gptq4j " + Version.number(),
                leftInFloat(),
                perplexity,
                command,
                repoId,
                serving());
        return ModelCard.of(readme, facts);
    }

    /**
     * The table of README.md. TGI has no list of modules to leave alone, and GPTQModel refuses others' asymmetric ones; only
     * vLLM and GPTQModel know rules.
     */
    private CardFacts.Serving serving() {
        GptqOptions gptq = plan.options();
        boolean alike = plan.dynamic().isEmpty();
        return new CardFacts.Serving(
                alike && gptq.bits() != 3 && leftInFloat().isEmpty(),
                plan.servedByVllm() && (gptq.sym() || gptq.bits() != 4),
                alike && gptq.sym());
    }

    private List<String> rules() {
        return plan.dynamic().stream().map(ModuleRule::text).toList();
    }

    private List<String> leftInFloat() {
        return plan.skipped().stream().map(Architecture.Linear::name).toList();
    }

    /** Prints the result. */
    void print(Console console, Outcome outcome, @Nullable CommitResult pushed, double seconds) {
        GptqOptions gptq = plan.options();
        CardFacts.Perplexity perplexity = outcome.perplexity();
        FallbackReport fallbacks = FallbackReport.of(outcome.modules());
        Result result = new Result(
                model,
                out == null ? null : out.toString(),
                gptq.bits(),
                gptq.groupSize(),
                gptq.sym(),
                gptq.descAct(),
                gptq.staticGroups(),
                gptq.dampPercent(),
                gptq.mse(),
                rules(),
                plan.size().bitsPerWeight(),
                windows.windows().length,
                selfSamples,
                windows.seqlen(),
                seed,
                windows.source(),
                outcome.device(),
                outcome.dtype(),
                leftInFloat(),
                perplexity == null ? null : perplexity.before(),
                perplexity == null ? null : perplexity.after(),
                outcome.bytesBefore(),
                outcome.bytesAfter(),
                pushed == null ? null : pushed.pullRequestUrl() != null ? pushed.pullRequestUrl() : pushed.url(),
                seconds,
                fallbacks.rows(),
                outcome.modules());
        console.result(result, () -> text(result, perplexity, fallbacks));
        fallbacks.tell(console);
    }

    private static String text(Result result, CardFacts.@Nullable Perplexity perplexity, FallbackReport fallbacks) {
        String text = String.format(
                Locale.ROOT,
                "%s%s%d modules to %d bits, group size %d%s, in %.1f s; weights %s, were %s",
                result.out() == null ? "" : result.out() + System.lineSeparator(),
                fallbacks.rows().isEmpty() ? "" : fallbacks.table() + System.lineSeparator(),
                result.modules().size(),
                result.bits(),
                result.groupSize(),
                result.rules().isEmpty()
                        ? ""
                        : String.format(
                                Locale.ROOT, ", some by rules, %.3f bits per weight in all", result.bitsPerWeight()),
                result.seconds(),
                Sizes.format(result.bytesAfter()),
                Sizes.format(result.bytesBefore()));
        if (result.pushedTo() != null) {
            text += System.lineSeparator() + Console.printable(result.pushedTo());
        }
        return perplexity == null
                ? text
                : String.format(
                        Locale.ROOT,
                        "%s%nperplexity %.4f, was %.4f  (%s of %d tokens of %s)",
                        text,
                        perplexity.after(),
                        perplexity.before(),
                        Sizes.count(perplexity.windows(), "window"),
                        perplexity.window(),
                        perplexity.text());
    }
}
