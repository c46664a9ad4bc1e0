package io.gptq4j.card;

import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a model card says about a quantized model. The same facts make the same card: there is no date among them.
 *
 * @param source what was quantized
 * @param options how
 * @param calibration on what
 * @param tool the program and its version, in words
 * @param leftInFloat names of the linears within a block that were not quantized
 * @param perplexity how well the model predicts text before and after, or null if that was not measured
 * @param command the command line, one argument each, the program's name first; access tokens in it are masked
 * @param repoId the repository the model will be found under, or null if that is not known
 * @param serving what loads it
 */
public record CardFacts(
        Source source,
        Options options,
        Calibration calibration,
        String tool,
        List<String> leftInFloat,
        @Nullable Perplexity perplexity,
        List<String> command,
        @Nullable String repoId,
        Serving serving) {
    /** As the Hub allows it, if somewhat looser: nothing in it can end a YAML value or a Markdown link. */
    private static final Pattern REPO_ID =
            Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?");

    /** Checks the repository id and copies the lists. */
    public CardFacts {
        requireRepoId(repoId);
        leftInFloat = List.copyOf(leftInFloat);
        command = List.copyOf(command);
    }

    /**
     * The model that was quantized.
     *
     * @param name what to call it
     * @param repoId its repository on the Hub, if it is certain that the weights are this repository's; else null, and
     *     then the card names no base model
     * @param commit the commit of {@code repoId}, or null
     */
    public record Source(
            String name, @Nullable String repoId, @Nullable String commit) {
        /** Checks the repository id. */
        public Source {
            requireRepoId(repoId);
        }
    }

    /**
     * The options of the quantization, as {@link io.gptq4j.format.QuantizeConfig} has them; {@code mse} 0 is off.
     *
     * @param rules settings of their own for some modules, as {@link io.gptq4j.format.ModuleRule#text} has them
     */
    public record Options(
            int bits,
            int groupSize,
            boolean sym,
            boolean descAct,
            boolean staticGroups,
            double dampPercent,
            double mse,
            List<String> rules) {
        /** Copies the rules. */
        public Options {
            rules = List.copyOf(rules);
        }

        /** The width in a word. */
        String width() {
            return rules.isEmpty() ? bits + "-bit" : "mixed-bit";
        }
    }

    /**
     * The calibration.
     *
     * @param text what the text is, in words
     * @param samples number of windows
     * @param selfSamples number of windows that the model made up, besides
     * @param seqlen tokens per window
     * @param seed chose the windows
     */
    public record Calibration(String text, int samples, int selfSamples, int seqlen, long seed) {}

    /**
     * Perplexities over windows without overlap, the first token of each not scored.
     *
     * @param text what the text is, in words
     * @param windows number of windows
     * @param window tokens per window
     * @param before of the float model
     * @param after of the quantized model
     */
    public record Perplexity(String text, int windows, int window, double before, double after) {}

    /** Which programs load the model. */
    public record Serving(boolean tgi, boolean vllm, boolean transformers) {}

    private static void requireRepoId(@Nullable String id) {
        if (id != null && !REPO_ID.matcher(id).matches()) {
            throw new IllegalArgumentException(
                    "'" + id + "' is no repository id for a model card; expected namespace/name");
        }
    }
}
