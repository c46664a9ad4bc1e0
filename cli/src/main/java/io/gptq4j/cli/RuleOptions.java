package io.gptq4j.cli;

import io.gptq4j.format.ModuleRule;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

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
