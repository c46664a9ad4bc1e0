package io.gptq4j.card;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Facts to make cards of. */
final class CardFixtures {
    static final List<String> COMMAND = List.of("gptq4j", "quantize", "tiny", "--out", "tiny-4bit");
    /** What we add to the front matter of {@code ns/tiny}. */
    static final String OURS = """
            base_model: ns/tiny
            base_model_relation: quantized
            library_name: transformers
            pipeline_tag: text-generation
            tags:
            - gptq
            - 4-bit
            - quantized
            """;
    /** A front matter of nothing else. */
    static final String FRESH = "---\n" + OURS + "---\n";

    private CardFixtures() {}

    /** A 4-bit model of {@code ns/tiny}, or of a directory. */
    static CardFacts facts(@Nullable String baseModel) {
        return new CardFacts(
                new CardFacts.Source("tiny", baseModel, null),
                new CardFacts.Options(4, 128, true, false, true, 0.01, 0, List.of()),
                new CardFacts.Calibration("the embedded calibration text", 128, 0, 2048, 0),
                "gptq4j 1.2.3",
                List.of(),
                null,
                COMMAND,
                null,
                new CardFacts.Serving(true, true, true));
    }

    static ModelCard card(String readme) {
        return ModelCard.of(readme.getBytes(StandardCharsets.UTF_8), facts("ns/tiny"));
    }

    /** Everything up to our section: the front matter with its two lines of dashes. */
    static String frontMatter(ModelCard card) {
        return card.text().substring(0, card.text().indexOf("<!-- gptq4j: begin -->"));
    }

    /** Everything below our section. */
    static String below(ModelCard card) {
        String end = "<!-- gptq4j: end -->";
        return card.text().substring(card.text().indexOf(end) + end.length()).replaceFirst("^(\r\n|\n|\r)", "");
    }
}
