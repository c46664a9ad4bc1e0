package io.gptq4j.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CalibrationTest {
    @Test
    void measuresRatesThatAMachineCanHave(@TempDir Path directory) throws Exception {
        Path file = Files.write(directory.resolve("f"), new byte[100_000]);
        try (Torch torch = Torch.open("cpu")) {
            MachineProfile machine = new Calibration(torch).measure(FloatType.BFLOAT16, 64, 32, file);
            assertThat(machine.device()).isEqualTo("cpu");
            assertThat(machine.type()).isEqualTo(FloatType.BFLOAT16);
            // From the slowest machine to be expected to what no CPU has: a loop that was optimised away is beyond.
            assertThat(machine.float32().peak()).isBetween(1e8, 1e14);
            assertThat(machine.float32().small()).isBetween(1e8, 1e14);
            assertThat(machine.forward().peak()).isBetween(1e8, 1e15);
            assertThat(machine.attention()).isBetween(1e7, 1e15);
            assertThat(machine.copy()).isBetween(1e8, 1e13);
            assertThat(machine.elementwise()).isBetween(1e7, 1e13);
            assertThat(machine.conversion()).isBetween(1e6, 1e13);
            assertThat(machine.call()).isBetween(1e-8, 1e-2);
            assertThat(machine.tileCall()).isGreaterThan(machine.call() / 2);
            assertThat(machine.diskRead()).isPositive();
        }
    }

    @Test
    void aProductOfTwoSizesTakesTheRateBetweenThem() {
        MachineProfile.Gemm gemm = new MachineProfile.Gemm(100, 400);
        assertThat(gemm.at(1)).isEqualTo(100);
        assertThat(gemm.at(256)).isEqualTo(100);
        assertThat(gemm.at(512)).isCloseTo(200, within(1e-9));
        assertThat(gemm.at(1024)).isCloseTo(300, within(1e-9));
        assertThat(gemm.at(2048)).isCloseTo(400, within(1e-9));
        assertThat(gemm.at(100_000)).isEqualTo(400);
    }

    @Test
    void ofTwoMeasurementsTheBetterOneOfEachRateCounts() {
        assertThat(profile(1, 20, 0.5).better(profile(10, 2, 0.25))).isEqualTo(profile(10, 20, 0.25));
    }

    private static MachineProfile profile(double first, double second, double call) {
        MachineProfile.Gemm gemm = new MachineProfile.Gemm(first, second);
        return new MachineProfile(
                "cpu", gemm, FloatType.FLOAT32, gemm, first, second, first, second, call, call / 2, first, second);
    }

    @Test
    void aRateThatWasNotMeasuredIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new MachineProfile.Gemm(0, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> new MachineProfile.Gemm(1, Double.NaN));
    }
}
