package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import io.gptq4j.format.CheckpointFormat;
import io.gptq4j.format.PackedLinear;
import io.gptq4j.format.Packing;
import io.gptq4j.format.QuantizeConfig;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the options accept, the kernel must solve, the format must hold and quantize_config.json must say. */
class GptqOptionsTest extends CpuTest {
    private static final int IN = 96;
    private static final int OUT = 32;

    static Stream<GptqOptions> accepted() {
        List<GptqOptions> options = new ArrayList<>();
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (int group : new int[] {-1, 8, 32, 96}) {
                for (int flags = 0; flags < 16; flags++) {
                    for (double mse : new double[] {0, 2.4}) {
                        options.add(new GptqOptions(
                                bits,
                                group,
                                (flags & 1) != 0,
                                (flags & 2) != 0,
                                (flags & 4) != 0,
                                0.01,
                                mse,
                                flags == 3 ? 40 : 128,
                                (flags & 8) != 0));
                    }
                }
            }
        }
        // Refused by the plan: AutoGPTQ's asymmetric grids can have the zero point 0.
        return options.stream().filter(o -> o.sym() || !o.reference());
    }

    @ParameterizedTest(name = "{0}, seed 1")
    @MethodSource("accepted")
    void isSolvedPackedAndRead(GptqOptions options) {
        Random random = new Random(1);
        float[] x = new float[200 * IN];
        float[] w = new float[OUT * IN];
        for (int i = 0; i < x.length; i++) {
            x[i] = i % IN == 5 ? 0 : (float) random.nextGaussian(); // input 5 is dead
        }
        for (int i = 0; i < w.length; i++) {
            float value = (float) random.nextGaussian();
            // Rows of each sign, a row of zeros, and rows around zero.
            w[i] = switch (i / IN) {
                case 0 -> Math.abs(value) + 1;
                case 1 -> -Math.abs(value) - 1;
                case 2 -> 0;
                default -> value;
            };
        }
        QuantizedLinear linear;
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, IN);
            hessian.add(scope.floats(x, 200, IN));
            GptqSolver solver = new GptqSolver(options);
            linear = solver.solve(
                            scope,
                            solver.factor(scope, hessian),
                            List.of(new GptqSolver.Module("m", scope.floats(w, OUT, IN))),
                            FloatType.FLOAT32)
                    .modules()
                    .get(0)
                    .linear();
        }
        PackedLinear packed = Packing.pack(linear, CheckpointFormat.GPTQ);
        QuantizedLinear read = Packing.unpack(packed, CheckpointFormat.GPTQ);
        assertThat(read.codes()).isDeepEqualTo(linear.codes());
        assertThat(read.zeros()).isDeepEqualTo(linear.zeros());
        assertThat(read.scales()).isDeepEqualTo(linear.scales());
        assertThat(read.gIdx()).isEqualTo(linear.gIdx());
        int[] trivial = new int[IN];
        Arrays.setAll(trivial, i -> options.groupSize() == -1 ? 0 : i / options.groupSize());
        if (!options.descAct()) {
            assertThat(linear.gIdx()).isEqualTo(trivial);
        }
        if (options.sym()) {
            for (byte[] row : linear.zeros()) {
                assertThat(row).containsOnly((byte) (1 << options.bits() - 1));
            }
        }
        assertThatCode(() -> QuantizeConfig.of(options.bits(), options.groupSize(), options.descAct(), options.sym()))
                .doesNotThrowAnyException();
    }
}
