package io.gptq4j.card;

import io.gptq4j.card.CardFacts.Calibration;
import io.gptq4j.card.CardFacts.Options;
import io.gptq4j.card.CardFacts.Perplexity;
import io.gptq4j.card.CardFacts.Source;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Our part of a card's Markdown, between two comments by which it is found again. Lines end with \n. */
final class CardSection {
    private static final String BEGIN = "<!-- gptq4j: begin -->";
    private static final String END = "<!-- gptq4j: end -->";
    private static final Pattern SECTION = Pattern.compile(
            "^" + BEGIN + "[ \\t]*$.*?^" + END + "[ \\t]*(\\r\\n|\\n|\\r|\\z)", Pattern.MULTILINE | Pattern.DOTALL);
    private static final Pattern SPECIAL = Pattern.compile("[\\\\`*_\\[\\]<>|#]");
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cntrl}\\u2028\\u2029]+");

    private static final String TGI = """
            [Text Generation Inference](https://github.com/huggingface/text-generation-inference):

            ```sh
            docker run --gpus all --shm-size 1g -p 8080:80 \\
                ghcr.io/huggingface/text-generation-inference:latest --model-id %1$s --quantize gptq
            ```

            """;
    private static final String VLLM = """
            [vLLM](https://github.com/vllm-project/vllm):

            ```sh
            vllm serve %1$s
            ```

            """;
    private static final String TRANSFORMERS = """
            transformers, with optimum and GPTQModel installed:

            ```python
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained("%1$s")
            model = AutoModelForCausalLM.from_pretrained("%1$s", device_map="auto")
            ```

            """;
    private static final String NO_ID = "NAMESPACE/NAME";

    private CardSection() {}

    /** A body without the sections that earlier cards put into it. */
    static String removeFrom(String body) {
        return SECTION.matcher(body).replaceAll("");
    }

    /** The section; its last heading belongs to what follows. */
    static String of(CardFacts facts, boolean withOriginal) {
        StringBuilder text = new StringBuilder(BEGIN).append("\n# ").append(title(facts));
        text.append("\n\n").append(origin(facts)).append("\n\n");
        text.append(options(facts));
        if (facts.perplexity() != null) {
            text.append(perplexity(facts.perplexity(), facts.options().width()));
        }
        text.append(use(facts));
        if (withOriginal) {
            text.append("# Original model card\n\n");
        }
        return text.append(END).append('\n').toString();
    }

    private static String title(CardFacts facts) {
        return plain(facts.source().name()) + ", " + facts.options().width() + " GPTQ";
    }

    private static String origin(CardFacts facts) {
        Source source = facts.source();
        String name = plain(source.name());
        if (source.repoId() != null) {
            name = "[" + plain(source.repoId()) + "](https://huggingface.co/" + source.repoId() + ")";
            if (source.commit() != null) {
                name += " at commit " + code(source.commit());
            }
        }
        return name + ", quantized to " + facts.options().bits()
                + " bits" + (facts.options().rules().isEmpty() ? "" : ", some modules otherwise,")
                + " with [GPTQ](https://arxiv.org/abs/2210.17323) by " + plain(facts.tool())
                + ".\nThe licence and the terms of the original model apply to this one.";
    }

    private static String options(CardFacts facts) {
        Options options = facts.options();
        Calibration calibration = facts.calibration();
        String groups = options.groupSize() == -1 ? "-1 (one scale per output)" : "" + options.groupSize();
        return "## How it was made\n\n| option | value |\n|---|---|\n"
                + row("bits", "" + options.bits())
                + row("group_size", groups)
                + row("sym", "" + options.sym())
                + row("desc_act", "" + options.descAct())
                + row("static_groups", "" + options.staticGroups())
                + row("damp_percent", "" + options.dampPercent())
                + row("mse", options.mse() == 0 ? "off" : "" + options.mse())
                + options.rules().stream()
                        .map(rule -> row("dynamic", code(rule)))
                        .collect(Collectors.joining())
                + row(
                        "calibration",
                        windows(calibration.samples()) + " of " + calibration.seqlen() + " tokens from "
                                + plain(calibration.text())
                                + (calibration.selfSamples() > 0
                                        ? ", " + calibration.selfSamples() + " that the model made up"
                                        : "")
                                + ", seed " + calibration.seed())
                + (facts.leftInFloat().isEmpty()
                        ? ""
                        : row(
                                "not quantized",
                                facts.leftInFloat().stream()
                                        .map(CardSection::code)
                                        .collect(Collectors.joining(", "))))
                + "\n" + fenced(CommandText.of(facts.command())) + "\n";
    }

    private static String perplexity(Perplexity perplexity, String width) {
        return "## Perplexity\n\nOn " + plain(perplexity.text()) + ", in " + windows(perplexity.windows()) + " of "
                + perplexity.window()
                + " tokens without overlap, the first token of each not scored; less is better.\n\n"
                + "| model | perplexity |\n|---|---|\n"
                + row("original", number(perplexity.before()))
                + row(width, number(perplexity.after()))
                + "\n";
    }

    private static String windows(int number) {
        return number + (number == 1 ? " window" : " windows");
    }

    private static String use(CardFacts facts) {
        CardFacts.Serving serving = facts.serving();
        if (!serving.tgi() && !serving.vllm() && !serving.transformers()) {
            return "";
        }
        String id = facts.repoId() == null ? NO_ID : facts.repoId();
        return "## How to use it\n\n"
                + (facts.repoId() == null
                        ? "Put the name of this repository in the place of " + code(NO_ID) + ".\n\n"
                        : "")
                + (serving.tgi() ? String.format(Locale.ROOT, TGI, id) : "")
                + (serving.vllm() ? String.format(Locale.ROOT, VLLM, id) : "")
                + (serving.transformers() ? String.format(Locale.ROOT, TRANSFORMERS, id) : "");
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.2f", value);
    }

    private static String row(String name, String value) {
        return "| " + name + " | " + value + " |\n";
    }

    /** Text that Markdown shows as it is, on one line. */
    private static String plain(String text) {
        return SPECIAL.matcher(oneLine(text)).replaceAll("\\\\$0");
    }

    private static String code(String text) {
        return "`" + oneLine(text).replace('`', '\'').replace("|", "\\|") + "`";
    }

    private static String oneLine(String text) {
        return CONTROL.matcher(text).replaceAll(" ");
    }

    /** A block of code behind a fence that is longer than any in it. */
    private static String fenced(String command) {
        String fence = "```";
        while (command.contains(fence)) {
            fence += "`";
        }
        return fence + "sh\n" + command + "\n" + fence + "\n";
    }
}
