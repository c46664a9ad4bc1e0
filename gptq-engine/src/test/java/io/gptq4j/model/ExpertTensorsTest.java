package io.gptq4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpertTensorsTest {
    private static final String EXPERTS = "model.layers.0.mlp.experts.";

    /** A source of BF16 tensors whose bytes tell where they are from, which counts what is read. */
    private static final class Counting implements TensorSource {
        private final Map<String, TensorInfo> tensors = new TreeMap<>();
        private long read;

        Counting with(String name, long... shape) {
            tensors.put(name, TensorInfo.of(name, DType.BF16, shape));
            return this;
        }

        @Override
        public Map<String, TensorInfo> tensors() {
            return tensors;
        }

        @Override
        public void read(String name, long offset, ByteBuffer target) {
            read += target.remaining();
            assertThat(offset + target.remaining())
                    .isLessThanOrEqualTo(tensor(name).byteLength());
            for (long at = offset; target.hasRemaining(); at++) {
                target.put((byte) (at / 2 * (at % 2 == 0 ? 1 : 7)));
            }
        }

        @Override
        public String location(String name) {
            return "file";
        }

        @Override
        public void close() {}
    }

    private static Architecture model(int hidden, int inner) throws CheckpointException {
        return ModelFamilies.architecture(ModelConfig.of(
                Map.of(
                        "model_type", "qwen3_moe",
                        "hidden_size", hidden,
                        "num_hidden_layers", 1,
                        "num_attention_heads", 1,
                        "num_key_value_heads", 1,
                        "intermediate_size", 4,
                        "moe_intermediate_size", inner,
                        "num_experts", 3,
                        "num_experts_per_tok", 1,
                        "vocab_size", 4),
                "config.json"));
    }

    private static byte[] element(long index) {
        return new byte[] {(byte) index, (byte) (index * 7)};
    }

    @ParameterizedTest(name = "turned {0}")
    @CsvSource({"false", "true"})
    void readsNoMoreThanTheExpertThatIsAskedFor(boolean turned) throws Exception {
        Counting source = new Counting()
                .with(EXPERTS + "gate_up_proj", 3, turned ? 8 : 12, turned ? 12 : 8)
                .with(EXPERTS + "down_proj", 3, turned ? 6 : 8, turned ? 8 : 6)
                .with("other", 5);
        TensorSource experts = ExpertTensors.over(source, model(8, 6));
        assertThat(experts.tensors())
                .hasSize(10)
                .containsEntry(
                        EXPERTS + "2.up_proj.weight", TensorInfo.of(EXPERTS + "2.up_proj.weight", DType.BF16, 6, 8))
                .containsEntry(
                        EXPERTS + "0.down_proj.weight", TensorInfo.of(EXPERTS + "0.down_proj.weight", DType.BF16, 8, 6))
                .containsKey("other")
                .doesNotContainKey(EXPERTS + "down_proj");
        ByteBuffer gate = ByteBuffer.allocate(6 * 8 * 2);
        ByteBuffer up = ByteBuffer.allocate(6 * 8 * 2);
        ByteBuffer down = ByteBuffer.allocate(8 * 6 * 2);
        experts.read(EXPERTS + "2.gate_proj.weight", 0, gate);
        experts.read(EXPERTS + "2.up_proj.weight", 0, up);
        assertThat(source.read).isEqualTo(12 * 8 * 2);
        experts.read(EXPERTS + "1.down_proj.weight", 0, down);
        assertThat(source.read).isEqualTo(12 * 8 * 2 + 6 * 8 * 2);
        for (int r = 0; r < 6; r++) {
            for (int c = 0; c < 8; c++) {
                byte[] of = {gate.get((r * 8 + c) * 2), gate.get((r * 8 + c) * 2 + 1)};
                assertThat(of).isEqualTo(element(2 * 96 + (turned ? c * 12 + r : r * 8 + c)));
                of = new byte[] {up.get((r * 8 + c) * 2), up.get((r * 8 + c) * 2 + 1)};
                assertThat(of).isEqualTo(element(2 * 96 + (turned ? c * 12 + 6 + r : (6 + r) * 8 + c)));
                of = new byte[] {down.get((c * 6 + r) * 2), down.get((c * 6 + r) * 2 + 1)};
                assertThat(of).isEqualTo(element(48 + (turned ? r * 8 + c : c * 6 + r)));
            }
        }
        for (int offset = 0; offset < 96; offset += 5) {
            byte[] part = new byte[Math.min(7, 96 - offset)];
            experts.read(EXPERTS + "2.up_proj.weight", offset, ByteBuffer.wrap(part));
            byte[] expected = new byte[part.length];
            up.get(offset, expected);
            assertThat(part).as("from %d", offset).isEqualTo(expected);
        }
    }

    @Test
    void tellsWhichWayRoundSquareStacksAreFromTheOthers() throws Exception {
        Counting source = new Counting().with(EXPERTS + "gate_up_proj", 3, 8, 8).with(EXPERTS + "down_proj", 3, 4, 8);
        TensorSource experts = ExpertTensors.over(source, model(8, 4));
        ByteBuffer up = ByteBuffer.allocate(4 * 8 * 2);
        experts.read(EXPERTS + "0.up_proj.weight", 0, up);
        byte[] second = {up.get(2), up.get(3)};
        assertThat(second).isEqualTo(element(8 + 4));
    }

    @Test
    void refusesStacksThatCouldBeEitherWayRound() {
        Counting source = new Counting()
                .with(EXPERTS + "gate_proj", 3, 8, 8)
                .with(EXPERTS + "up_proj", 3, 8, 8)
                .with(EXPERTS + "down_proj", 3, 8, 8);
        assertThatThrownBy(() -> ExpertTensors.over(source, model(8, 8)))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("The stacked experts model.layers.0.mlp.experts.gate_proj in file have square matrices"
                        + " [3, 8, 8], so that it cannot be told whether they are stored [out, in] or [in, out]; save"
                        + " them one by one, as experts.0.gate_proj.weight and so on");
    }

    @Test
    void refusesStacksThatDoNotFit() {
        Counting source =
                new Counting().with(EXPERTS + "gate_up_proj", 4, 12, 8).with(EXPERTS + "down_proj", 4, 8, 6);
        assertThatThrownBy(() -> ExpertTensors.over(source, model(8, 6)))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("The stacked experts model.layers.0.mlp.experts.gate_up_proj in file have shape [4, 12, 8]"
                        + " and model.layers.0.mlp.experts.down_proj [4, 8, 6]; config.json makes them 3 experts from 8"
                        + " to 6 channels and back");
    }

    @Test
    void leavesOtherCheckpointsAlone() throws Exception {
        Counting source = new Counting().with(EXPERTS + "0.down_proj.weight", 8, 6);
        assertThat(ExpertTensors.over(source, model(8, 6))).isSameAs(source);
    }
}
