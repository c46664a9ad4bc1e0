package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.SafetensorsReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReadBackTest {
    private static final QuantizeConfig CONFIG = QuantizeConfig.of(4, 32, true, false);

    @TempDir
    Path directory;

    private final QuantizedLinear module = Linears.random("m", 4, 32, 96, 64, false, true, 7);
    private Path file = Path.of("");

    @BeforeEach
    void write() throws IOException {
        file = directory.resolve("model.safetensors");
        PackedLinear packed = Packing.pack(module, CheckpointFormat.GPTQ);
        double[] scales = new double[3 * 64];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = Half.toFloat(packed.scales()[i / 64][i % 64]);
        }
        new TestFiles()
                .ints("m.qweight", packed.qweight())
                .ints("m.qzeros", packed.qzeros())
                .floats("m.scales", DType.F16, scales, 3, 64)
                .gIdx("m.g_idx", packed.gIdx())
                .write(file);
    }

    private void check() throws IOException {
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            ReadBack.require(module, reader, CONFIG);
        }
    }

    @Test
    void isContentWithWhatWasWritten() {
        assertThatCode(this::check).doesNotThrowAnyException();
    }

    @ParameterizedTest(name = "bit {2} of byte {1} of {0}")
    @CsvSource({
        "qweight, 0, 0",
        "qweight, 3071, 7",
        "qzeros, 95, 6",
        "scales, 100, 0",
        "g_idx, 40, 0",
        "g_idx, 43, 7" // far out of range
    })
    void findsASingleBitThatFlipped(String tensor, int position, int bit) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            assertThat(position).isLessThan((int) reader.tensor("m." + tensor).byteLength());
            long begin = reader.header().entries().values().stream()
                    .filter(entry -> entry.info().name().equals("m." + tensor))
                    .findFirst()
                    .orElseThrow()
                    .begin();
            long at = reader.header().dataStart() + begin + position;
            bytes[Math.toIntExact(at)] ^= (byte) (1 << bit);
        }
        Files.write(file, bytes);
        assertThatThrownBy(this::check)
                .isInstanceOf(VerificationException.class)
                .hasMessage("Module m in " + file
                        + " does not read back as it was computed; the disk or the memory is faulty");
    }
}
