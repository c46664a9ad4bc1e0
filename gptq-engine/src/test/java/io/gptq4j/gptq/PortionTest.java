package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.Scope;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class PortionTest extends CpuTest {
    private static final Refinement ALL = new Refinement(true, true, 3);

    @Test
    void areTwoOnACpuAndOneOnAGpuWhereRowsFitIntoTheMemory() {
        assertThat(Portion.size(ALL, 4096, 6144, false)).isEqualTo(3072);
        assertThat(Portion.size(ALL, 4096, 6144, true)).isEqualTo(6144);
        assertThat(Portion.bytes(ALL, 4096, 6144, false)).isEqualTo(3L * 4096 * 6144 * 4);
        assertThat(Portion.bytes(Refinement.NONE, 4096, 6144, true)).isEqualTo(2L * 4096 * 6144 * 4);
    }

    /** Three matrices of 16384 x 4096 are what 805 MB hold; of 22016 rows, half. */
    @Test
    void areEquallyLargeAndOfEvenNumberOnACpuWhereTheyDoNot() {
        assertThat(Portion.size(ALL, 4096, 22_016, false)).isEqualTo(5504);
        assertThat(Portion.bytes(ALL, 4096, 22_016, false)).isEqualTo(3L * 4096 * 11_008 * 4);
        assertThat(Portion.size(ALL, 4096, 22_016, true)).isEqualTo(22_016);
    }

    @Test
    void haveATileOfRowsAtLeastInMultiplesOf16() {
        assertThat(Portion.size(ALL, 1 << 20, 3000, true)).isEqualTo(1504);
        assertThat(Portion.size(ALL, 1 << 20, 6000, false)).isEqualTo(1504);
        assertThat(Portion.size(ALL, 1 << 20, 4096, false)).isEqualTo(2048);
        assertThat(Portion.size(ALL, 64, 1, false)).isEqualTo(16);
        assertThat(Portion.bytes(ALL, 64, 1, false)).isEqualTo(3L * 64 * 4);
    }

    @Test
    void cutModulesWhereTheyMust() {
        try (Scope scope = torch.scope()) {
            List<GptqSolver.Module> modules = List.of(
                    new GptqSolver.Module("a", scope.zeros(5, 2)),
                    new GptqSolver.Module("b", scope.zeros(1, 2)),
                    new GptqSolver.Module("c", scope.zeros(6, 2)));
            assertThat(Portion.of(modules, 4).stream().map(PortionTest::told))
                    .containsExactly("a0-4", "a4-5 b0-1 c0-2", "c2-6");
            assertThat(Portion.of(modules, 100).stream().map(PortionTest::told)).containsExactly("a0-5 b0-1 c0-6");
            assertThat(Portion.of(modules, 6)
                            .get(1)
                            .parts()
                            .get(0)
                            .weight(scope)
                            .shape())
                    .containsExactly(6, 2);
        }
    }

    private static String told(Portion portion) {
        return portion.parts().stream()
                .map(part -> part.module().name() + part.start() + "-" + part.end())
                .collect(Collectors.joining(" "));
    }
}
