package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The 32 grid cases of the reference program, and where we differ from it on purpose. */
class GridVectorsTest extends CpuTest {
    private static final int ROWS = 24;
    private static final int COLUMNS = 64;
    private static final float[] W = Vectors.npy("grid-W.npy");

    private record Grid(float[] scale, float[] zero, int[][] codes) {}

    private static Grid grid(
            Scope scope, float[] w, int columns, int maxq, boolean sym, double mse, boolean reference) {
        int rows = w.length / columns;
        float[] transposed = new float[w.length];
        for (int i = 0; i < w.length; i++) {
            transposed[i % columns * rows + i / columns] = w[i];
        }
        Tensor weights = scope.floats(transposed, columns, rows);
        List<Tensor> grid = scope.callAll("gptq", "grid", weights, maxq, sym, mse, reference);
        float[] flat = scope.call("gptq", "codes", weights, grid.get(0), grid.get(1), maxq)
                .toFloats();
        int[][] integers = new int[rows][columns];
        for (int i = 0; i < flat.length; i++) {
            integers[i % rows][i / rows] = (int) flat[i];
        }
        return new Grid(grid.get(0).toFloats(), grid.get(1).toFloats(), integers);
    }

    @TestFactory
    Stream<DynamicTest> agreesWithTheReferenceGrid() {
        JsonNode cases = Vectors.json("grid.json").get("cases");
        assertThat(cases).hasSize(32);
        return StreamSupport.stream(cases.spliterator(), false)
                .map(c -> DynamicTest.dynamicTest(
                        "%s bits, sym %s, mse %s, group %s"
                                .formatted(c.get("bits"), c.get("sym"), c.get("mse"), c.get("group_size")),
                        () -> check(c)));
    }

    private static void check(JsonNode c) {
        int maxq = (1 << c.get("bits").asInt()) - 1;
        boolean mse = c.get("mse").asBoolean();
        int width = c.get("group_size").asInt() == -1
                ? COLUMNS
                : c.get("group_size").asInt();
        for (int g = 0; g < COLUMNS / width; g++) {
            float[] w = new float[ROWS * width];
            for (int r = 0; r < ROWS; r++) {
                System.arraycopy(W, r * COLUMNS + g * width, w, r * width, width);
            }
            try (Scope scope = torch.scope()) {
                Grid grid = grid(scope, w, width, maxq, c.get("sym").asBoolean(), mse ? 2.4 : 0, true);
                for (int r = 0; r < ROWS; r++) {
                    float scale = (float) c.get("scale").get(r).get(g).asDouble();
                    float zero = (float) c.get("zero").get(r).get(g).asDouble();
                    int[] expected = new int[width];
                    for (int i = 0; i < width; i++) {
                        expected[i] = c.get("codes").get(r).get(g * width + i).asInt();
                    }
                    if (mse && grid.scale[r] != scale) { // two candidates may tie but for the last bits of a power
                        double ours = error(w, r, width, grid.codes[r], grid.scale[r], grid.zero[r]);
                        double theirs = error(w, r, width, expected, scale, zero);
                        assertThat(ours / theirs).as("row %d group %d", r, g).isCloseTo(1, within(1e-4));
                    } else {
                        assertThat(grid.scale[r])
                                .as("scale of row %d group %d", r, g)
                                .isCloseTo(scale, within(Math.ulp(scale)));
                        assertThat(grid.zero[r])
                                .as("zero of row %d group %d", r, g)
                                .isEqualTo(zero);
                        assertThat(grid.codes[r])
                                .as("codes of row %d group %d", r, g)
                                .isEqualTo(expected);
                    }
                }
            }
        }
    }

    private static double error(float[] w, int row, int width, int[] codes, float scale, float zero) {
        double sum = 0;
        for (int i = 0; i < width; i++) {
            sum += Math.pow(Math.abs(scale * (codes[i] - zero) - w[row * width + i]), 2.4);
        }
        return sum;
    }

    @Test
    void mirrorsSymmetricGroupsWithoutNegativeWeights() {
        float[] w = {0, 1, 2, 3, 4, 5, 6, 7.5f};
        try (Scope scope = torch.scope()) {
            Grid theirs = grid(scope, w, 8, 15, true, 0, true);
            Grid ours = grid(scope, w, 8, 15, true, 0, false);
            assertThat(theirs.scale[0] * (theirs.codes[0][7] - 8)).isEqualTo(3.5f); // less than half of 7.5
            assertThat(ours.scale[0]).isEqualTo(1f);
            assertThat(ours.codes[0]).containsExactly(8, 9, 10, 11, 12, 13, 14, 15);
        }
    }

    @Test
    void neverMakesAZeroPointOfZero() {
        float[] w = {0, 1, 2, 3, 4, 5, 6, 7};
        try (Scope scope = torch.scope()) {
            Grid theirs = grid(scope, w, 8, 15, false, 0, true);
            Grid ours = grid(scope, w, 8, 15, false, 0, false);
            assertThat(theirs.zero[0]).isEqualTo(0f);
            assertThat(ours.zero[0]).isEqualTo(1f);
            assertThat(ours.scale[0]).isEqualTo(0.5f);
            assertThat(ours.codes[0]).containsExactly(1, 3, 5, 7, 9, 11, 13, 15);
        }
    }

    @Test
    void makesOnlyScalesThatFloat16Stores() {
        float[] w = {1e-9f, -1e-9f, 0, 0, 1e9f, -1e9f, 0, 0, 0.1f, -0.2f, 0.3f, 0};
        try (Scope scope = torch.scope()) {
            Grid grid = grid(scope, w, 4, 15, true, 0, false);
            assertThat(grid.scale).containsExactly(0x1p-24f, 65504f, 0.0400085449f);
        }
    }
}
