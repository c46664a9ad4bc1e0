package io.gptq4j.card;

import static io.gptq4j.card.CardFixtures.FRESH;
import static io.gptq4j.card.CardFixtures.OURS;
import static io.gptq4j.card.CardFixtures.below;
import static io.gptq4j.card.CardFixtures.card;
import static io.gptq4j.card.CardFixtures.facts;
import static io.gptq4j.card.CardFixtures.frontMatter;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a card says, and of which text. */
class ModelCardTest {
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
}
