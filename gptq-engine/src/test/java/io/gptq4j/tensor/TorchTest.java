package io.gptq4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TorchTest {
    @Test
    void compilesEveryScript() {
        try (Torch torch = Torch.open("cpu")) {
            assertThat(torch.script("gptq").block()).isNotNull();
            assertThat(torch.script("decoder").block()).isNotNull();
        }
    }

    @ParameterizedTest(name = "device ''{0}''")
    @ValueSource(strings = {"tpu", "", "cuda:", "cuda:-1", "CPU"})
    void refusesADeviceItDoesNotKnow(String device) {
        assertThatThrownBy(() -> Torch.open(device))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Unknown device '" + device + "': use auto, cpu or cuda:N");
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"cuda:99", "gpu:4711", "cuda:99999999999999999999"})
    void refusesAGpuThatIsNotThere(String device) {
        assertThatThrownBy(() -> Torch.open(device))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("Device " + device + " is not there");
    }
}
