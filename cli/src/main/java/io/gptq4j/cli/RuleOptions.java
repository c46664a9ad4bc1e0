package io.gptq4j.cli;

import io.gptq4j.format.ModuleRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Modules with settings of their own. */
final class RuleOptions {
    @Option(
            names = "--rule",
            paramLabel = "RULE",
            description =
                    "REGEX=bits:8,group:32 gives the modules whose path REGEX matches from its start settings of their"
                            + " own: bits, group, sym, desc_act, damp, mse; -:REGEX leaves them in float. Repeatable; the first rule"
                            + " that matches a module counts, those with -: before all others. Only vLLM and GPTQModel load such a"
                            + " model.")
    private final List<String> rules = new ArrayList<>();

    @Option(
            names = "--target-bpw",
            paramLabel = "X",
            description =
                    "Choose 2, 3, 4 or 8 bits for each module, by what each does to the model's predictions, so that the"
                            + " quantized modules take at most X bits per weight: codes, scales, zero points and g_idx together.")
    private @Nullable Double targetBpw;

    @Spec(Spec.Target.MIXEE)
    private @Nullable CommandSpec command;

    /**
     * Refuses what makes no sense for any model.
     *
     * @throws IllegalArgumentException naming the option
     */
    void check() {
        rules();
        target();
    }

    /**
     * The bits per weight to stay within, or null.
     *
     * @throws IllegalArgumentException if the bits are given, too
     */
    @Nullable
    Double target() {
        if (targetBpw != null
                && Objects.requireNonNull(command)
                        .commandLine()
                        .getParseResult()
                        .hasMatchedOption("--bits")) {
            throw new IllegalArgumentException(
                    "--target-bpw chooses the bits of each module, --bits sets them; leave one out");
        }
        if (targetBpw != null && !(targetBpw > 0)) {
            throw new IllegalArgumentException("--target-bpw must be a number of bits such as 3.25, not " + targetBpw);
        }
        return targetBpw;
    }

    /**
     * The rules.
     *
     * @throws IllegalArgumentException naming the rule and what is wrong with it
     */
    List<ModuleRule> rules() {
        return rules.stream().map(RuleOptions::parse).toList();
    }

    private static ModuleRule parse(String text) {
        try {
            return ModuleRule.parse(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("--rule " + text + ": " + e.getMessage(), e);
        }
    }
}
