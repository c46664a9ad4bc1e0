package io.gptq4j.card;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class CommandTextTest {
    private static String text(String... arguments) {
        return CommandText.of(List.of(arguments));
    }

    @Test
    void quotesWhatAShellWouldTakeApart() {
        assertThat(text("gptq4j", "my model", "--mse=2.4", "it's", "a|b", "", "größe", "$HOME"))
                .isEqualTo("gptq4j 'my model' --mse=2.4 'it'\\''s' 'a|b' '' 'größe' '$HOME'");
    }

    @Test
    void showsNoToken() {
        assertThat(text("--token", "secret", "x")).isEqualTo("--token $HF_TOKEN x");
        assertThat(text("--token=secret\nmore", "x")).isEqualTo("--token=$HF_TOKEN x");
        assertThat(text("--hub-Token", "--token", "x")).isEqualTo("--hub-Token $HF_TOKEN x");
        assertThat(text("--token", "--token", "--token", "secret")).isEqualTo("--token $HF_TOKEN --token $HF_TOKEN");
        assertThat(text("https://u:hf_abcdefghijklmnop@host/")).isEqualTo("https://u:hf_...@host/");
        assertThat(text("--token")).isEqualTo("--token");
        assertThat(text("--tokens", "a", "--tokenizer=b")).isEqualTo("--tokens a --tokenizer=b");
    }
}
