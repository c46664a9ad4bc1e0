package io.gptq4j.card;

import static io.gptq4j.card.CardFixtures.below;
import static io.gptq4j.card.CardFixtures.card;
import static io.gptq4j.card.CardFixtures.facts;
import static io.gptq4j.card.CardFixtures.frontMatter;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelCardTest {
    private static final String OURS = """
            base_model: ns/tiny
            base_model_relation: quantized
            library_name: transformers
            pipeline_tag: text-generation
            tags:
            - gptq
            - 4-bit
            - quantized
            """;
    private static final String FRESH = "---\n" + OURS + "---\n";

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
    void isTheAuthorsCardBelowOurs() {
        CardFacts facts = new CardFacts(
                new CardFacts.Source("tiny", "ns/tiny", "0123456789abcdef0123456789abcdef01234567"),
                new CardFacts.Options(4, 64, true, false, true, 0.01, 2.4, List.of()),
                new CardFacts.Calibration("my_text.txt", 16, 8, 512, 7),
                "gptq4j 1.2.3",
                List.of("mlp.down_proj"),
                new CardFacts.Perplexity("the embedded held-out text", 1, 512, 74.63128, 75.5),
                List.of("gptq4j", "quantize", "my model", "--token", "hf_secret", "--out", "x"),
                "me/tiny-4bit",
                new CardFacts.Serving(true, true, true));
        String source = """
                ---
                license: apache-2.0 # all of it
                language: no
                ---
                # tiny

                A model.
                """;
        String expected = """
                ---
                license: apache-2.0 # all of it
                language: no
                base_model: ns/tiny
                base_model_relation: quantized
                library_name: transformers
                pipeline_tag: text-generation
                tags:
                - gptq
                - 4-bit
                - quantized
                ---
                <!-- gptq4j: begin -->
                # tiny, 4-bit GPTQ

                [ns/tiny](https://huggingface.co/ns/tiny) at commit `0123456789abcdef0123456789abcdef01234567`, quantized to 4 bits with [GPTQ](https://arxiv.org/abs/2210.17323) by gptq4j 1.2.3.
                The licence and the terms of the original model apply to this one.

                ## How it was made

                | option | value |
                |---|---|
                | bits | 4 |
                | group_size | 64 |
                | sym | true |
                | desc_act | false |
                | static_groups | true |
                | damp_percent | 0.01 |
                | mse | 2.4 |
                | calibration | 16 windows of 512 tokens from my\\_text.txt, 8 that the model made up, seed 7 |
                | not quantized | `mlp.down_proj` |

                ```sh
                gptq4j quantize 'my model' --token $HF_TOKEN --out x
                ```

                ## Perplexity

                On the embedded held-out text, in 1 window of 512 tokens without overlap, the first token of each not scored; less is better.

                | model | perplexity |
                |---|---|
                | original | 74.63 |
                | 4-bit | 75.50 |

                ## How to use it

                [Text Generation Inference](https://github.com/huggingface/text-generation-inference):

                ```sh
                docker run --gpus all --shm-size 1g -p 8080:80 \\
                    ghcr.io/huggingface/text-generation-inference:latest --model-id me/tiny-4bit --quantize gptq
                ```

                [vLLM](https://github.com/vllm-project/vllm):

                ```sh
                vllm serve me/tiny-4bit
                ```

                transformers, with optimum and GPTQModel installed:

                ```python
                from transformers import AutoModelForCausalLM, AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained("me/tiny-4bit")
                model = AutoModelForCausalLM.from_pretrained("me/tiny-4bit", device_map="auto")
                ```

                # Original model card

                <!-- gptq4j: end -->
                # tiny

                A model.
                """;
        ModelCard card = ModelCard.of(source.getBytes(StandardCharsets.UTF_8), facts);
        assertThat(card.text()).isEqualTo(expected);
        assertThat(card.warnings()).isEmpty();
    }

    @Test
    void standsAloneWhereTheSourceHasNone() {
        ModelCard card = ModelCard.of(null, facts("ns/tiny"));
        assertThat(card.text())
                .startsWith(FRESH + "<!-- gptq4j: begin -->\n# tiny, 4-bit GPTQ\n")
                .endsWith("\n<!-- gptq4j: end -->\n")
                .doesNotContain("Original model card", "Perplexity", "not quantized")
                .contains("Put the name of this repository in the place of `NAMESPACE/NAME`.");
        assertThat(card.warnings()).isEmpty();
    }

    @Test
    void namesOnlyWhatLoadsTheModel() {
        CardFacts all = facts(null);
        CardFacts three = new CardFacts(
                all.source(),
                new CardFacts.Options(3, -1, true, false, false, 0.01, 0, List.of()),
                all.calibration(),
                all.tool(),
                List.of(),
                null,
                all.command(),
                null,
                new CardFacts.Serving(false, true, false));
        assertThat(ModelCard.of(null, three).text())
                .contains("vllm serve", "- 3-bit\n", "-1 (one scale per output)")
                .doesNotContain("docker", "from_pretrained");
    }

    @Test
    void namesNoBaseModelIfTheSourcesRepositoryIsUnknown() {
        String readme = "---\nbase_model: other/ancestor\nlicense: mit\nbase_model_relation: finetune\n---\n";
        ModelCard card = ModelCard.of(readme.getBytes(StandardCharsets.UTF_8), facts(null));
        assertThat(frontMatter(card)).startsWith("---\nlicense: mit\nlibrary_name: transformers\n");
        assertThat(card.text()).contains("\ntiny, quantized to 4 bits").doesNotContain("base_model", "other/ancestor");
    }

    @Test
    void quotesABaseModelWithoutNamespace() {
        assertThat(ModelCard.of(null, facts("123")).text()).startsWith("---\nbase_model: \"123\"\n");
    }

    @Test
    void refusesWhatIsNoRepository() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> facts("ns/tiny\nlicense: mit"))
                .withMessageContaining("namespace/name");
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
    void readsOtherBytesAsWindowsText() {
        byte[] bytes = "---\nlicense: mit\n# Größe\n---\n“Text”\n".getBytes(Charset.forName("windows-1252"));
        ModelCard card = ModelCard.of(bytes, facts("ns/tiny"));
        assertThat(frontMatter(card)).isEqualTo("---\nlicense: mit\n# Größe\n" + OURS + "---\n");
        assertThat(below(card)).isEqualTo("“Text”\n");
        assertThat(card.warnings()).singleElement().asString().contains("not UTF-8");
    }

    @Test
    void replacesTheSectionOfAnEarlierCard() {
        for (String readme : List.of("", "Text\n", "---\nlicense: mit\ntags: [x]\n---\r\nText\r\n", "---\nx")) {
            String once = card(readme).text();
            assertThat(card(once).text()).isEqualTo(once);
            assertThat(card(once).warnings()).isEmpty();
        }
        String introduced = card("---\nlicense: mit\n---\nText\n")
                .text()
                .replace("<!-- gptq4j: begin", "Hello\n$0")
                .replace("$0", "<!-- gptq4j: begin");
        assertThat(below(card(introduced))).isEqualTo("Hello\nText\n");
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
