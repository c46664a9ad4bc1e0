package io.gptq4j.hub.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HubTokenTest {
    @Test
    void whiteSpaceAroundItIsStripped() {
        assertThat(new HubToken(" hf_abc\r\n", "x").value()).isEqualTo("hf_abc");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " \n", "hf_a b", "hf_a\nb", "hf_ä", "hf_\u007f"})
    void whatCannotStandInAHeaderIsRefusedAndNotShown(String value) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new HubToken(value, "the file token"))
                .withMessageStartingWith("The token from the file token is not a token")
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("hf_a", "hf_ä"));
    }

    @Test
    void onlyItsEndsAreShown() {
        assertThat(new HubToken("hf_abcdefgh1234", "HF_TOKEN")).hasToString("token hf_****1234 from HF_TOKEN");
        assertThat(new HubToken("hf_12345678", "x").masked()).isEqualTo("****");
    }
}
