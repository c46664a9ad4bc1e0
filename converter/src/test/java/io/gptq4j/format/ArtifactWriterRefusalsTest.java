package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Plans and modules that make no artifact, each refused with a reason. */
class ArtifactWriterRefusalsTest extends ArtifactWriterFixture {
    @Test
    void refusesToCommitAnIncompleteArtifact() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                if (!linear.name().contains(".7.")) {
                    writer.write(linear);
                }
            }
            assertThatThrownBy(writer::commit)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("Module model.layers.7.proj was not written, so " + out
                            + " would be incomplete: write all 11 modules before the commit");
        }
        assertThat(names(parent)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"F64", "F32", "BF16"})
    void refusesAValueBeyondHalfPrecisionAndLeavesNothing(String dtype) throws IOException {
        new TestFiles()
                .floats(
                        "embed.weight",
                        DType.valueOf(dtype),
                        new double[] {1, Double.NEGATIVE_INFINITY, Double.NaN, 65280, -131072, 3},
                        6)
                .write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = carryingTheEmbedding(checkpoint);

            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage(source.resolve("model.safetensors")
                            + ": element 4 of tensor embed.weight is -131072.0, beyond the 65504 of F16: this model"
                            + " cannot be stored in half precision");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void saysBeforehandThatTheDiskIsTooSmall() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = ArtifactWriter.Plan.of(
                    checkpoint,
                    QuantizeConfig.of(8, -1, false, true),
                    List.of(new ArtifactWriter.ModuleShape("m", 1 << 30, 1 << 28)),
                    Map.of(),
                    true);

            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(IOException.class)
                    .hasMessageMatching(
                            "Too little space for \\Q" + out + "\\E: its tensors need 288230381251985408 bytes,"
                                    + " only \\d+ are free; free some or choose another disk");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void refusesAPlanThatDoesNotFitTheSource() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            QuantizeConfig config = QuantizeConfig.of(4, 32, false, true);
            List<ArtifactWriter.ModuleShape> odd = List.of(new ArtifactWriter.ModuleShape("m", 96, 40));
            assertThatThrownBy(() ->
                            ArtifactWriter.create(out, ArtifactWriter.Plan.of(checkpoint, config, odd, Map.of(), true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Module m: inputs and outputs must be multiples of 32 to be packed, not 96 and 40");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), Map.of("x", "y"), true)))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage("Tensor y is missing in " + source + ": it is needed as x");
            Map<String, String> twice = Map.of("model.layers.3.proj.weight", "layers.3.proj.weight");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), twice, true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Tensor model.layers.3.proj.weight is to be quantized and carried over, too");
            Map<String, String> clash = Map.of("model.layers.3.proj.scales", "norm.weight");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), clash, true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Two tensors of the artifact are named model.layers.3.proj.scales");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void refusesATypeThatNoConsumerExpects() throws IOException {
        new TestFiles()
                .raw(TensorInfo.of("embed.weight", DType.F8_E4M3, 2), (byte) 1, (byte) 2)
                .write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = carryingTheEmbedding(checkpoint);
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageEndingWith(
                            "tensor embed.weight is F8_E4M3, expected F16, BF16, F32, F64, an integer type"
                                    + " or BOOL");
        }
    }

    @Test
    void refusesModulesThatContradictThePlan() throws IOException {
        String name = "model.layers.0.proj";
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            assertRefused(
                    writer,
                    Linears.random("other", 4, 32, 96, 64, true, false, 1),
                    "Module other: is not among the modules of this artifact");
            assertRefused(
                    writer,
                    Linears.random(name, 4, 32, 64, 96, true, false, 1),
                    "Module " + name + ": has 64 inputs and 96 outputs, planned were 96 and 64");
            assertRefused(
                    writer,
                    Linears.random(name, 8, 32, 96, 64, true, false, 1),
                    "Module " + name + ": has bits 8 and group_size 32, the artifact 4 and 32");
            assertRefused(
                    writer,
                    Linears.random(name, 4, 64, 96, 64, true, false, 1),
                    "Module " + name + ": has bits 4 and group_size 64, the artifact 4 and 32");
            QuantizedLinear scattered = Linears.random(name, 4, 32, 96, 64, true, false, 1);
            scattered.gIdx()[40] = 2;
            assertRefused(
                    writer,
                    scattered,
                    "Module " + name + ": g_idx[40] is 2, but kernels ignore g_idx where desc_act is false");
            QuantizedLinear asymmetric = Linears.random(name, 4, 32, 96, 64, true, false, 1);
            asymmetric.zeros()[2][63] = 7;
            assertRefused(
                    writer,
                    asymmetric,
                    "Module " + name + ": a zero point of group 2 is 7, but kernels assume 8 where sym is true");

            writer.write(Linears.random(name, 4, 32, 96, 64, true, false, 1));
            assertRefused(
                    writer,
                    Linears.random(name, 4, 32, 96, 64, true, false, 1),
                    "Module " + name + ": was written before");
        }
    }

    private static ArtifactWriter.Plan carryingTheEmbedding(Checkpoint checkpoint) throws IOException {
        return ArtifactWriter.Plan.of(
                checkpoint, QuantizeConfig.of(4, 32, false, true), List.of(), Map.of("e", "embed.weight"), true);
    }

    private static void assertRefused(ArtifactWriter writer, QuantizedLinear linear, String message) {
        assertThatThrownBy(() -> writer.write(linear))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(message);
    }
}
