package io.gptq4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PiecesTest {
    private static Architecture llama(int layers, int hidden, int ffn, int heads, int kvHeads) throws Exception {
        return ModelFamilies.architecture(ModelConfig.of(
                Map.of(
                        "model_type", "llama",
                        "num_hidden_layers", layers,
                        "hidden_size", hidden,
                        "intermediate_size", ffn,
                        "num_attention_heads", heads,
                        "num_key_value_heads", kvHeads,
                        "vocab_size", 32_000),
                "config.json"));
    }

    @Test
    void areAsLongAsAWindowUpToALimitWhereTheModelIsSmall() throws Exception {
        Architecture small = llama(6, 256, 704, 8, 4);
        assertThat(Pieces.of(small, 96, 32, 512)).isEqualTo(new Pieces(128, 128, 128));
        assertThat(Pieces.of(small, 960, 320, 100)).isEqualTo(new Pieces(100, 320, 320));
        assertThat(Pieces.of(small, 96, 32, 2048)).isEqualTo(new Pieces(128, 512, 512));
    }

    @Test
    void areShorterWhereThereAreFew() throws Exception {
        Architecture small = llama(6, 256, 704, 8, 4);
        assertThat(Pieces.of(small, 24, 8, 512)).isEqualTo(new Pieces(64, 64, 64));
        assertThat(Pieces.of(small, 3, 1, 512)).isEqualTo(new Pieces(16, 32, 32));
    }

    @Test
    void areNoFewerInTheLastBatchThanProductsNeed() throws Exception {
        Architecture small = llama(6, 256, 704, 8, 4);
        assertThat(Pieces.of(small, 3, 1, 100)).isEqualTo(new Pieces(16, 16, 16)); // of 7
        assertThat(Pieces.of(small, 30, 10, 105)).isEqualTo(new Pieces(16, 80, 80)); // of 66
        assertThat(Pieces.of(small, 30, 10, 105).batches()).isEqualTo(2 * 15);
    }

    @Test
    void goThroughABlockInTwoBatchesAtLeastUnlessTheyAreFewerThanProductsNeed() {
        assertThat(new Pieces(16, 20, 20).batch()).isEqualTo(20);
        assertThat(new Pieces(16, 33, 33).batch()).isEqualTo(17);
        assertThat(new Pieces(16, 64, 64).batch()).isEqualTo(32);
        assertThat(new Pieces(16, 1024, 384).batch()).isEqualTo(64);
    }

    /** Llama 2 7B: 262,144 channels per token, 69 GB in all, where 8 streams of all windows take 26; 6.5e9 parameters 3 * 128 times. */
    @Test
    void areMadeInRoundsWhereKeysAndValuesTakeMuchMemory() throws Exception {
        Architecture large = llama(32, 4096, 11_008, 32, 32);
        Pieces pieces = Pieces.of(large, 192, 64, 2048);
        assertThat(pieces).isEqualTo(new Pieces(128, 1024, 384)); // a third, in whole batches
        assertThat(pieces.passes()).isEqualTo(3 * 127);
        assertThat(pieces.cacheBytes(large, FloatType.FLOAT16)).isEqualTo(524_288L * 128 * 384);
    }

    /** Llama 2 70B: 68.5e9 parameters are read 64 times; 3 terabytes of weights 16 times, whatever they are. */
    @Test
    void areShorterTheMoreHasToBeReadForEachToken() throws Exception {
        assertThat(Pieces.of(llama(80, 8192, 28_672, 64, 8), 192, 64, 2048)).isEqualTo(new Pieces(64, 2048, 2048));
        assertThat(Pieces.of(llama(400, 16_384, 65_536, 128, 1), 192, 64, 2048).length())
                .isEqualTo(16);
    }

    @Test
    void takeMoreRoundsWithinLessMemory() throws Exception {
        Architecture small = llama(6, 256, 704, 8, 4);
        Pieces pieces = new Pieces(128, 300, 192);
        long each = 6 * 2 * 128 * 4L * 128; // a piece's keys and values
        assertThat(pieces.within(192 * each, small, FloatType.FLOAT32)).isEqualTo(pieces);
        assertThat(pieces.within(192 * each - 1, small, FloatType.FLOAT32)).isEqualTo(new Pieces(128, 300, 128));
        assertThat(pieces.within(192 * each - 1, small, FloatType.FLOAT32).passes())
                .isEqualTo(3 * 127);
        assertThat(pieces.within(0, small, FloatType.FLOAT32)).isEqualTo(new Pieces(128, 300, 64));
    }

    @Test
    void refuseNothing() {
        assertThatThrownBy(() -> new Pieces(0, 1, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("No pieces of text: 1 of 0 tokens, 1 at a time");
    }
}
