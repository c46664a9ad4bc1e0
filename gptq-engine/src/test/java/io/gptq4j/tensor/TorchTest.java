package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TorchTest {
    @Test
    void compilesEveryScript() {
        try (Torch torch = Torch.open("cpu")) {
            assertThat(torch.script("gptq").block()).isNotNull();
            assertThat(torch.script("decoder").block()).isNotNull();
        }
    }
}
