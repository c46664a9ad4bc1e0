package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ArtifactCheckTest {
    private static final String MODULE = "transformer.h.1.mlp.dense_4h_to_h";

    private static Torch torch;

    @TempDir
    private Path directory;

    private final ArtifactCheck check = new ArtifactCheck();
    private Path artifact = Path.of("");

    @BeforeAll
    static void open() {
        torch = Torch.open("cpu");
    }

    @AfterAll
    static void close() {
        torch.close();
    }

    @BeforeEach
    void write() throws Exception {
        artifact = directory.resolve("artifact");
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("bloom"), 1);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(4, 32, false, true, false, 128));
            ArtifactWriter.Plan contents =
                    ArtifactPlans.of(checkpoint, language.weights(), plan, "gptq4j:test", 1L << 40);
            try (ArtifactWriter writer = ArtifactWriter.create(artifact, contents)) {
                GptqQuantizer.builder(language, plan)
                        .build()
                        .run(
                                TinyModels.windows(5),
                                module -> {
                                    check.remember(module);
                                    writer.write(module);
                                },
                                QuantizationListener.SILENT);
                writer.commit();
            }
        }
    }

    @Test
    void isContentWithWhatWasWritten() throws Exception {
        assertThat(check.differenceIn(artifact)).isEmpty();
    }

    @ParameterizedTest(name = "bit {2} of byte {1} of {0}")
    @CsvSource({"qweight, 0, 0", "qweight, 18431, 7", "qzeros, 575, 6", "scales, 100, 0", "g_idx, 40, 0"})
    void findsASingleBitThatFlipped(String tensor, int position, int bit) throws Exception {
        try (RandomAccessFile file =
                new RandomAccessFile(artifact.resolve("model.safetensors").toFile(), "rw")) {
            byte[] header = new byte[Math.toIntExact(Long.reverseBytes(file.readLong()))];
            file.readFully(header);
            Matcher entry = Pattern.compile("\"" + Pattern.quote(MODULE + "." + tensor)
                            + "\":\\{[^}]*\"data_offsets\":\\[(\\d+),(\\d+)\\]")
                    .matcher(new String(header, StandardCharsets.UTF_8));
            assertThat(entry.find()).isTrue();
            long at = 8 + header.length + Long.parseLong(entry.group(1)) + position;
            assertThat(at).isLessThan(8 + header.length + Long.parseLong(entry.group(2)));
            file.seek(at);
            int before = file.read();
            file.seek(at);
            file.write(before ^ 1 << bit);
        }
        assertThat(check.differenceIn(artifact))
                .hasValueSatisfying(sentence -> assertThat(sentence)
                        .startsWith("Module " + MODULE + " in " + artifact)
                        .contains("does not read back as it was computed"));
    }

    @Test
    void namesAModuleThatIsMissing() throws Exception {
        check.remember(new QuantizedLinear(
                "transformer.h.2.extra", 4, -1, new byte[32][32], new short[1][32], new byte[1][32], new int[32]));
        assertThat(check.differenceIn(artifact)).hasValue("Module transformer.h.2.extra is missing from " + artifact);
    }

    @Test
    void saysThatAnArtifactCutShortCannotBeOpened() throws Exception {
        Path weights = artifact.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, Arrays.copyOf(bytes, bytes.length - 1));
        assertThatThrownBy(() -> check.differenceIn(artifact))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("model.safetensors");
        Files.delete(weights);
        assertThatThrownBy(() -> check.differenceIn(artifact)).isInstanceOf(CheckpointException.class);
    }
}
