package io.gptq4j.card;

import static io.gptq4j.card.CardFixtures.FRESH;
import static io.gptq4j.card.CardFixtures.OURS;
import static io.gptq4j.card.CardFixtures.below;
import static io.gptq4j.card.CardFixtures.card;
import static io.gptq4j.card.CardFixtures.frontMatter;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of an author's front matter. */
class ModelCardFrontMatterTest {
    /** The front matter that comes of an author's lines, without a warning. */
    private static String edited(String yaml) {
        ModelCard card = card("---\n" + yaml + "---\n# Title\n");
        assertThat(card.warnings()).isEmpty();
        assertThat(below(card)).isEqualTo("# Title\n");
        String result = frontMatter(card);
        assertThat(result).startsWith("---\n").endsWith("\n---\n");
        return result.substring(4, result.length() - 4);
    }

    /** A card whose source's front matter had to be given up. */
    private static void givenUp(String readme, String reason) {
        ModelCard card = card(readme);
        assertThat(frontMatter(card)).isEqualTo(readme.contains("\r\n") ? FRESH.replace("\n", "\r\n") : FRESH);
        assertThat(below(card)).isEqualTo(readme);
        assertThat(card.warnings()).singleElement().asString().contains(reason, "licence");
    }

    @Test
    void replacesWholeEntriesOfOurKeysWhereTheyStand() {
        assertThat(edited("""
                        # about
                        base_model:
                          - a/b   # first
                          # second
                          - c/d

                        # the licence
                        license: other
                        license_name: "x: y"
                        base_model_relation: merge
                        library_name: peft
                        pipeline_tag: 'text2text-generation'
                        tags: []
                        extra_gated_prompt: |
                          Do you agree?

                          ---
                          Yes.
                        """)).isEqualTo("""
                        # about
                        base_model: ns/tiny

                        # the licence
                        license: other
                        license_name: "x: y"
                        base_model_relation: quantized
                        library_name: peft
                        pipeline_tag: 'text2text-generation'
                        tags: [gptq, 4-bit, quantized]
                        extra_gated_prompt: |
                          Do you agree?

                          ---
                          Yes.
                        """);
    }

    @Test
    void dropsTheFloatModelsScoresAndKeepsTheRest() {
        assertThat(edited("""
                        widget:
                        - text: hello
                        model-index:
                        - name: tiny
                          results:
                          - metrics:
                            - value: 99
                        # end
                        inference: false
                        tags: [gptq, 4-Bit, quantized]
                        library_name: x
                        pipeline_tag: y
                        """)).isEqualTo("""
                        widget:
                        - text: hello
                        # end
                        inference: false
                        tags: [gptq, 4-Bit, quantized]
                        library_name: x
                        pipeline_tag: y
                        base_model: ns/tiny
                        base_model_relation: quantized
                        """);
    }

    private static final String NO_TAGS = OURS.substring(0, OURS.indexOf("tags:"));

    private static void tags(String before, String after) {
        assertThat(edited(before + "license: mit\n")).isEqualTo(after + "license: mit\n" + NO_TAGS);
    }

    @Test
    void addsTagsInTheAuthorsStyle() {
        tags("tags: [a, b]\n", "tags: [a, b, gptq, 4-bit, quantized]\n");
        tags("tags: [a, gptq] # why\n", "tags: [a, gptq, 4-bit, quantized] # why\n");
        tags("tags: [ 'a', \"b, c\", ]\n", "tags: [ 'a', \"b, c\", gptq, 4-bit, quantized, ]\n");
        tags("tags: [\n  a, # x\n  b # y\n]\n", "tags: [\n  a, # x\n  b, gptq, 4-bit, quantized # y\n]\n");
        tags("tags: [[a], {b: c}]\n", "tags: [[a], {b: c}, gptq, 4-bit, quantized]\n");
        tags("tags: &t [a]\n", "tags: &t [a, gptq, 4-bit, quantized]\n");
        tags("tags:\n- a\n- gptq # x\n", "tags:\n- a\n- gptq # x\n- 4-bit\n- quantized\n");
        tags(
                "tags:\n    -   a\n    # c\n",
                "tags:\n    -   a\n    -   gptq\n    -   4-bit\n    -   quantized\n    # c\n");
        tags("tags:\n- >-\n  a\n\n", "tags:\n- >-\n  a\n\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags: a, b\n", "tags:\n- a, b\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags: 7 # x\n", "tags:\n- 7\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags: gptq\n", "tags:\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags:\n", "tags:\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags: null\n", "tags:\n- gptq\n- 4-bit\n- quantized\n");
        tags("tags: {a: b}\n", "tags:\n- gptq\n- 4-bit\n- quantized\n");
        tags("\"tags\" : [a]\n", "\"tags\" : [a, gptq, 4-bit, quantized]\n");
        tags("tags: [gptq, 4-bit, quantized]\n", "tags: [gptq, 4-bit, quantized]\n");
    }

    @Test
    void keepsLineEndsAndIndentation() {
        ModelCard card = card("---\r\n  license: mit\r\n  tags:\r\n  - a\r\n--- \r\nText\r\n");
        assertThat(frontMatter(card))
                .isEqualTo("---\r\n  license: mit\r\n  tags:\r\n  - a\r\n  - gptq\r\n  - 4-bit\r\n  - quantized\r\n"
                        + NO_TAGS.replaceAll("(?m)^(?=.)", "  ").replace("\n", "\r\n") + "--- \r\n");
        assertThat(card.text().replace("\r\n", "")).doesNotContain("\n", "\r");
        assertThat(below(card)).isEqualTo("Text\r\n");

        assertThat(frontMatter(card("---\rlicense: mit\r---\rText\r")))
                .isEqualTo(("---\nlicense: mit\n" + OURS + "---\n").replace('\n', '\r'));
    }

    @Test
    void keepsWhatLooksOddButIsYaml() {
        String odd = """
                # Größe 😀 \u201cx\u201d
                a😀: 😀 # 😀
                no: on
                version: 012
                anchor: &x [1, 2]
                alias: *x
                quoted: 'two

                  lines'
                folded: >+
                  text

                # tabs\tare\there
                spaced   :   value\t
                """;
        assertThat(edited(odd)).isEqualTo(odd + OURS);
        assertThat(edited("# only a comment\n")).isEqualTo("# only a comment\n" + OURS);
        assertThat(edited("license: mit\n#---\n  # ---\n")).isEqualTo("license: mit\n#---\n  # ---\n" + OURS);
    }

    @Test
    void readsFrontMatterThatOthersReadToo() {
        assertThat(frontMatter(card("---\n---\nText\n"))).isEqualTo(FRESH);
        assertThat(frontMatter(card("---\nlicense: mit\n---"))).isEqualTo("---\nlicense: mit\n" + OURS + "---\n");
        for (String start : List.of("\ufeff---\n", "\n---\n", "--- \t\n")) {
            ModelCard card = card(start + "license: mit\n---\nText\n---\n");
            assertThat(frontMatter(card)).isEqualTo("---\nlicense: mit\n" + OURS + "---\n");
            assertThat(below(card)).isEqualTo("Text\n---\n");
            assertThat(card.warnings()).isEmpty();
        }
    }

    @Test
    void putsFrontMatterAboveATextThatHasNone() {
        for (String text : List.of("# Title\n---\nlicense: mit\n---\n", "----\nx\n----\n", "--- a\n---\n")) {
            ModelCard card = card(text);
            assertThat(frontMatter(card)).isEqualTo(FRESH);
            assertThat(below(card)).isEqualTo(text);
            assertThat(card.warnings()).isEmpty();
        }
        assertThat(frontMatter(card("# Title\r\ntext\n"))).isEqualTo(FRESH.replace("\n", "\r\n"));
    }

    @Test
    void givesUpFrontMatterThatDoesNotEnd() {
        givenUp("---\nlicense: mit\n", "has no end");
        givenUp("---\r\nlicense: mit\r\n ---\r\n", "has no end");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "license: mit\n\ttags: [a]\n",
                "license:\tmit\n",
                "license: [mit\n",
                "just text\n",
                "- license: mit\n",
                "{license: mit}\n",
                "license: mit\nlicense: mit\n",
                "license: m\u0007it\n",
                "license: *unknown\n",
                "? license\n: mit\n",
                "license: mit\n...\n",
                "base_model: &b a/b\nsame: *b\n",
                "all: &t [a]\ntags: *t\n",
                "tags:\n- [a]\n",
                "tags:\n-\n  a\n",
            })
    void givesUpFrontMatterThatCannotBeAddedTo(String yaml) {
        givenUp("---\n" + yaml + "---\nText\n", "not a YAML mapping");
    }

    @Test
    void withoutOurLinesItIsTheAuthorsBytes() {
        List<String> pieces = List.of(
                "license: mit # c\n",
                "language:\n- en\n- de\n",
                "datasets: [a/b, c/d]\n",
                "extra: |\n  base_model: no\n\n  ---\n",
                "folded: >-\n  tags: a\n   b\n",
                "\n",
                "# base_model: x/y\n",
                "quoted: \"a\\\n  tags: b\"\n",
                "nested:\n  base_model: deep\n  tags: [deep]\n  model-index: 1\n",
                "😀: *a\n",
                "plain: a\n  b\n",
                "null_value:\n");
        for (int seed = 0; seed < 500; seed++) {
            Random random = new Random(seed);
            List<String> chosen = new ArrayList<>(pieces);
            Collections.shuffle(chosen, random);
            String yaml = "anchor: &a b\n" + String.join("", chosen.subList(0, random.nextInt(chosen.size())));
            String lineEnd = random.nextBoolean() ? "\n" : "\r\n";
            String body = random.nextBoolean() ? "" : "tags:\n---\n\ntext";
            String readme = ("---\n" + yaml + "---\n" + body).replace("\n", lineEnd);
            ModelCard card = card(readme);
            assertThat(card.warnings()).as("seed %d: %s", seed, readme).isEmpty();
            assertThat(frontMatter(card).replace(OURS.replace("\n", lineEnd), "") + below(card))
                    .as("seed %d", seed)
                    .isEqualTo(readme);
        }
    }

    @Test
    void damagedFrontMatterNeverFails() {
        String readme = "---\nlicense: &a mit\ntags:\n- a\n- *a\nmodel-index: {a: [b]}\nx: |\n  y\n...\n---\nText\n";
        String noise = "\n\r\t :-[]{}&*#!|>'\"%@?,\u2028\u0085\ufeff😀a";
        for (int seed = 0; seed < 3000; seed++) {
            Random random = new Random(seed);
            StringBuilder damaged = new StringBuilder(readme);
            for (int i = random.nextInt(4); i >= 0; i--) {
                int at = random.nextInt(damaged.length());
                damaged.replace(
                        at, Math.min(damaged.length(), at + random.nextInt(3)), noise.substring(at % 20, at % 20 + 1));
            }
            ModelCard card = card(damaged.toString());
            assertThat(YamlMapping.parse(frontMatter(card)
                            .replaceFirst("\\A---[\n\r]+", "")
                            .replaceFirst("---[ \t]*[\n\r]+\\z", "")))
                    .as("seed %d", seed)
                    .hasValueSatisfying(
                            mapping -> assertThat(mapping.entry("base_model")).isPresent());
        }
    }
}
