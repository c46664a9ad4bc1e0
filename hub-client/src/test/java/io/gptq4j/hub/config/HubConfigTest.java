package io.gptq4j.hub.config;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HubConfigTest {
    private static void read(String endpoint) {
        HubConfig.fromEnvironment(Map.of("HF_ENDPOINT", endpoint), Path.of("home"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://alice:geheim@hub.example",
                "https://alice:ge/he@geheim@hub.example/",
                "alice:geheim@hub.example",
                "ftp://geheim@hub.example"
            })
    void aPasswordIsNotRepeated(String endpoint) {
        assertThatThrownBy(() -> read(endpoint))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("HF_ENDPOINT is '")
                .hasMessageContaining("hub.example'; expected an address")
                .hasMessageNotContaining("geheim");
    }

    @Test
    void whatIsNoAddressIsRepeated() {
        assertThatThrownBy(() -> read("hub.example?x=1"))
                .hasMessageStartingWith("HF_ENDPOINT is 'hub.example?x=1'; expected");
    }
}
