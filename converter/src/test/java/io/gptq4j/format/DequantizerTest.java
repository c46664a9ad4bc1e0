package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.safetensors.Half;
import java.io.IOException;
import java.nio.BufferOverflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

class DequantizerTest {
    @Test
    void everyWeightIsScaleTimesCodeMinusZero() throws IOException {
        for (PackVector vector : PackVector.all()) {
            QuantizedLinear linear = vector.linear();
            Dequantizer dequantizer = new Dequantizer(linear);
            for (int o = 0; o < linear.outFeatures(); o++) {
                float[] row = new float[linear.inFeatures()];
                dequantizer.row(o, FloatBuffer.wrap(row));
                for (int i = 0; i < row.length; i++) {
                    int g = vector.json().get("g_idx").get(i).intValue();
                    int steps = vector.json().get("q").get(i).get(o).intValue()
                            - vector.json().get("zeros").get(g).get(o).intValue();
                    float scale = Half.toFloat((short)
                            vector.json().get("scales_fp16_bits").get(g).get(o).intValue());
                    assertThat(row[i]).isEqualTo((float) ((double) scale * steps));
                }
            }
        }
    }

    @Test
    void aByteBufferAdvancesAndKeepsItsOrder() {
        QuantizedLinear linear = Linears.random("m", 8, 32, 64, 32, false, true, 1);
        FloatBuffer floats = FloatBuffer.allocate(128);
        ByteBuffer bytes = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
        Dequantizer dequantizer = new Dequantizer(linear);

        for (int o : new int[] {3, 31}) {
            dequantizer.row(o, floats);
            dequantizer.row(o, bytes);
        }

        assertThat(floats.remaining()).isZero();
        assertThat(bytes.remaining()).isZero();
        assertThat(bytes.flip().asFloatBuffer()).isEqualTo(floats.flip());
    }

    @Test
    void leavesTheBufferAloneIfTheRowDoesNotFit() {
        Dequantizer dequantizer = new Dequantizer(Linears.random("m", 4, 32, 64, 32, false, false, 2));
        ByteBuffer bytes = ByteBuffer.allocate(255);

        assertThatThrownBy(() -> dequantizer.row(0, bytes)).isInstanceOf(BufferOverflowException.class);
        assertThat(bytes.position()).isZero();
    }

    @Test
    void refusesAGroupIndexOutOfRange() {
        QuantizedLinear linear = Linears.random("m", 4, 32, 64, 32, false, false, 3);
        linear.gIdx()[0] = 2;

        assertThatThrownBy(() -> new Dequantizer(linear))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Module m: g_idx[0] is 2, expected 0 to 1");
    }
}
