package io.gptq4j.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.Refinement;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Against numbers worked out by hand for a llama of 2 blocks: q and o [64, 64], k and v [32, 64], gate and up [128, 64],
 * down [64, 128]; embedding and head [100, 64]; 2 windows of 8 tokens.
 */
class CostModelTest {
    private static final Map<String, Object> CONFIG = Map.of(
            "model_type",
            "llama",
            "hidden_size",
            64,
            "intermediate_size",
            128,
            "num_hidden_layers",
            2,
            "num_attention_heads",
            4,
            "num_key_value_heads",
            2,
            "vocab_size",
            100,
            "max_position_embeddings",
            64,
            "rms_norm_eps",
            1e-5,
            "hidden_act",
            "silu");

    private static final MachineProfile MACHINE = new MachineProfile(
            "cpu",
            new MachineProfile.Gemm(0.5e6, 1e6),
            FloatType.FLOAT32,
            new MachineProfile.Gemm(1e6, 2e6),
            4e6,
            1e9,
            1e9,
            1e9,
            1e-6,
            2e-6,
            1e9,
            1e9);

    private static final Run RUN = new Run(2, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 1L << 40);

    private static CostModel model(Run run) throws Exception {
        return model(run, 4, Map.of());
    }

    private static CostModel model(Run run, int bits, Map<String, Object> changes, String... rules) throws Exception {
        return model(run, bits, Refinement.NONE, changes, rules);
    }

    private static CostModel model(
            Run run, int bits, Refinement refinement, Map<String, Object> changes, String... rules) throws Exception {
        Map<String, Object> config = new HashMap<>(CONFIG);
        config.putAll(changes);
        return new CostModel(
                QuantizationPlan.of(
                        ModelFamilies.architecture(ModelConfig.of(config, "config.json")),
                        new GptqOptions(bits, 32, true, true, true, 0.01, 0, 128, false, refinement),
                        Stream.of(rules).map(ModuleRule::parse).toList()),
                run);
    }

    private static Estimate.Cost cost(Estimate estimate, Step step) {
        return estimate.steps().get(step.ordinal());
    }

    @Test
    void countsFloatingPointOperationsAsByHand() throws Exception {
        Estimate estimate = model(RUN).estimate(MACHINE);
        assertThat(cost(estimate, Step.LINEAR).flops()).isEqualTo(2.0 * 16 * 36_864 * 2);
        assertThat(cost(estimate, Step.ATTENTION).flops()).isEqualTo(32_768);
        assertThat(cost(estimate, Step.HESSIAN).flops()).isEqualTo(917_504);
        assertThat(cost(estimate, Step.FACTOR).flops()).isCloseTo(3_844_778.667, within(1e-3));
        assertThat(cost(estimate, Step.SOLVE_PRODUCTS).flops()).isEqualTo(5_767_168);
        assertThat(cost(estimate, Step.EVALUATION).flops()).isZero();
        assertThat(cost(estimate, Step.READ).bytes()).isEqualTo(350_000);
        assertThat(cost(estimate, Step.WRITE).bytes()).isEqualTo(72_960);
    }

    @Test
    void countsWhatGoesBeyondThePaperAsByHand() throws Exception {
        Estimate paper = model(RUN).estimate(MACHINE);
        Estimate refined =
                model(RUN, 4, new Refinement(true, true, 3), Map.of()).estimate(MACHINE);
        // The float model's forward; 2 N in^2 and 2 in^2 rows for q, k and v and for gate and up, 64 inputs and 128 and
        // 256
        // rows; 4 N in rows for o, 4 096 weights, and down, 8 192.
        double drift = 2.0 * 16 * 36_864 * 2
                + 32_768
                + 2 * 16 * (2 * 2 * 4_096 + 4 * (4_096 + 8_192))
                + 2 * 2 * 4_096 * (128 + 256);
        assertThat(cost(refined, Step.DRIFT).flops()).isEqualTo(drift);
        // As products of the solve, 5 767 168: to the target 2, the start of the sweeps 1, each of them 2.
        assertThat(cost(refined, Step.REFINE).flops()).isEqualTo((2 + 1 + 3 * 2) * 5_767_168.0);
        assertThat(cost(paper, Step.DRIFT).seconds()).isZero();
        assertThat(cost(paper, Step.REFINE).seconds()).isZero();
        assertThat(refined.floor()).isEqualTo(paper.floor());
        assertThat(refined.memory().states()).isEqualTo(2 * paper.memory().states());
        assertThat(refined.memory().host()).isGreaterThan(paper.memory().host());
    }

    @Test
    void theFloorIsOperationsAtTheRatesOfTheirSizesAndNothingElse() throws Exception {
        Estimate estimate = model(RUN).estimate(MACHINE);
        // All products are small: 2 359 296 / 1e6 + 32 768 / 4e6 + (917 504 + 3 844 778.667 + 5 767 168) / 0.5e6
        assertThat(estimate.floor()).isCloseTo(23.426389333, within(1e-8));
        assertThat(estimate.seconds()).isGreaterThan(estimate.floor());
    }

    @Test
    void attentionTakesItsOwnRate() throws Exception {
        assertThat(cost(model(RUN).estimate(MACHINE), Step.ATTENTION).seconds()).isCloseTo(0.008192, within(1e-9));
    }

    @Test
    void theHeldOutTextPassesTwiceThroughBlocksAndHead() throws Exception {
        Run run = new Run(2, 8, FloatType.FLOAT32, false, 350_000, 3, 4, 1L << 40);
        Estimate estimate = model(run).estimate(MACHINE);
        // Twice: 12 tokens through 2 blocks, attention over windows of 4, and the head.
        double linear = 2.0 * 12 * 36_864 * 2;
        double attention = 2.0 * 12 * 4 * 64 * 2;
        double head = 2.0 * 12 * 64 * 100;
        assertThat(cost(estimate, Step.EVALUATION).flops()).isEqualTo(2 * (linear + attention + head));
        assertThat(estimate.floor())
                .isCloseTo(23.426389333 + 2 * ((linear + head) / 1e6 + attention / 4e6), within(1e-8));
    }

    @Test
    void countsArtifactAndHiddenStatesAsByHand() throws Exception {
        Estimate.Memory memory = model(RUN).memory();
        // Modules of a block: 2 624 (q) + 2 * 1 440 (k, v) + 2 624 (o) + 2 * 4 992 (gate, up) + 5 248 (down) = 23 360.
        // In float16: embedding and head 2 * 6 400, five norms of 64.
        assertThat(memory.artifact()).isEqualTo(2 * 23_360 + 2 * (12_800 + 320));
        assertThat(memory.states()).isEqualTo(16 * (64 + 128) * 4);
        assertThat(memory.scratch()).isZero();
        assertThat(memory.device()).isZero();
    }

    @Test
    void countsModulesByTheirRules() throws Exception {
        CostModel ruled = model(RUN, 4, Map.of(), ".*\\.0\\.self_attn\\.q_proj=bits:8", "-:.*down_proj");
        // q of block 0: 4 096 codes, 2 * 64 scales of 2 bytes, 2 * 64 zero points, 64 indices of 4 bytes.
        long query = 4096 + 256 + 128 + 256;
        assertThat(ruled.memory().artifact())
                .isEqualTo(2 * (23_360 - 5_248) - 2_624 + query + 2 * (12_800 + 320) + 2 * 2 * 128 * 64);
        double all = cost(model(RUN).estimate(MACHINE), Step.SOLVE_PRODUCTS).flops();
        assertThat(cost(ruled.estimate(MACHINE), Step.SOLVE_PRODUCTS).flops()).isEqualTo(all - 2.0 * 64 * 128 * 128);
    }

    @Test
    void choosingWidthsCostsTimeAndHiddenStatesButNoDisk() throws Exception {
        CostModel given = model(RUN);
        CostModel chosen = model(new Run(2, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 0, 1L << 40, true, 0));
        assertThat(cost(given.estimate(MACHINE), Step.SENSITIVITY).seconds()).isZero();
        Estimate.Cost cost = cost(chosen.estimate(MACHINE), Step.SENSITIVITY);
        // A window of 8 tokens through 2 blocks for the Hessians; another one through 8 / 2 * 3 + 2 blocks, and 8
        // streams and
        // the original through the head.
        double forward = 2.0 * 8 * 36_864 * (2 + 14) + 2.0 * 8 * 8 * 64 * (2 + 14) + 2.0 * 2 * 8 * 8 * 100 * 64;
        double solve = 917_504.0 / 2 + 3_844_778.667 + 4 * 5_767_168.0;
        assertThat(cost.flops()).isCloseTo(forward + solve, within(1.0));
        assertThat(chosen.memory().artifact()).isEqualTo(given.memory().artifact());
        assertThat(chosen.memory().states()).isGreaterThan(given.memory().states());
        assertThat(chosen.estimate(MACHINE).floor())
                .isEqualTo(given.estimate(MACHINE).floor());
    }

    @Test
    void textOfItsOwnCostsForwardsOfItsPiecesAndWhatOtherWindowsCost() throws Exception {
        CostModel text = model(new Run(4, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 1L << 40));
        CostModel own = model(new Run(4, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 0, 1L << 40, false, 2));
        assertThat(cost(text.estimate(MACHINE), Step.SELF_CALIBRATION).seconds())
                .isZero();
        // 16 tokens are two pieces, but at least 16 are made; 7 tokens of each through 2 blocks and the head.
        double tokens = 16 * 7;
        double linear = 2.0 * 36_864 * 2 * tokens;
        double attention = 2.0 * 64 * 2 * 8 * tokens;
        double head = 2.0 * 100 * 64 * tokens;
        assertThat(cost(own.estimate(MACHINE), Step.SELF_CALIBRATION).flops())
                .isCloseTo(linear + attention + head, within(1.0));
        assertThat(cost(own.estimate(MACHINE), Step.HESSIAN).flops())
                .isEqualTo(cost(text.estimate(MACHINE), Step.HESSIAN).flops());
        assertThat(own.memory().states()).isEqualTo(text.memory().states());
        assertThat(own.estimate(MACHINE).floor())
                .isEqualTo(text.estimate(MACHINE).floor());
    }

    @Test
    void statesBeyondTheBudgetGoToTheScratchFile() throws Exception {
        Estimate.Memory inMemory = model(RUN).memory();
        Estimate.Memory spilled = model(new Run(2, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 2_288))
                .memory();
        assertThat(spilled.scratch()).isEqualTo(10_000);
        assertThat(spilled.host()).isEqualTo(inMemory.host() - 10_000);
    }

    /** As many parameters beside the model's 86,848 as in it: a block of 36,992 takes half of the bytes ahead. */
    @Test
    void whatLiesBesideTheModelIsCarriedAlongAndNotReadAhead() throws Exception {
        Estimate.Memory alone = model(RUN).memory();
        Run run = new Run(2, 8, FloatType.FLOAT32, false, 350_000, 2 * 86_848, 0, 0, 1L << 40, false, 0);
        Estimate.Memory beside = model(run).memory();
        assertThat(beside.artifact() - alone.artifact()).isEqualTo(2 * 86_848);
        assertThat(alone.host() - beside.host()).isEqualTo(149_078 - 74_539);
    }

    @Test
    void onAGpuTheComputingTakesTheDevicesMemory() throws Exception {
        Estimate.Memory host = model(RUN).memory();
        Estimate.Memory gpu = model(new Run(2, 8, FloatType.FLOAT32, true, 350_000, 0, 0, 1L << 40))
                .memory();
        assertThat(gpu.device()).isPositive();
        assertThat(gpu.host()).isLessThan(host.host());
    }

    @Test
    void moreOfAnythingCostsMore() throws Exception {
        Estimate base = model(RUN).estimate(MACHINE);
        Run moreWindows = new Run(4, 8, FloatType.FLOAT32, false, 350_000, 0, 0, 1L << 40);
        Run longerWindows = new Run(2, 16, FloatType.FLOAT32, false, 350_000, 0, 0, 1L << 40);
        for (CostModel more : new CostModel[] {
            model(moreWindows),
            model(longerWindows),
            model(RUN, 4, Map.of("num_hidden_layers", 3)),
            model(RUN, 4, Map.of("intermediate_size", 160)),
            model(RUN, 4, Map.of("hidden_size", 128))
        }) {
            Estimate estimate = more.estimate(MACHINE);
            assertThat(estimate.seconds()).isGreaterThan(base.seconds());
            assertThat(estimate.floor()).isGreaterThan(base.floor());
        }
        assertThat(model(moreWindows).memory().host())
                .isGreaterThan(base.memory().host());
        assertThat(model(RUN, 8, Map.of()).memory().artifact())
                .isGreaterThan(base.memory().artifact());
        assertThat(model(new Run(2, 8, FloatType.BFLOAT16, false, 350_000, 0, 0, 1L << 40))
                        .memory()
                        .host())
                .isLessThan(base.memory().host());
    }

    @Test
    void theCostOfBlocksAndWindowsIsLinear() throws Exception {
        double[] windows = {32, 64, 128};
        double[] blocks = {4, 8, 16};
        double[] byWindows = new double[3];
        double[] byBlocks = new double[3];
        for (int i = 0; i < 3; i++) {
            Run run = new Run((int) windows[i], 2048, FloatType.FLOAT32, false, 350_000, 0, 0, 1L << 40);
            byWindows[i] = model(run).estimate(MACHINE).seconds();
            byBlocks[i] = model(RUN, 4, Map.of("num_hidden_layers", (int) blocks[i]))
                    .estimate(MACHINE)
                    .seconds();
        }
        assertThat(LinearFit.of(windows, byWindows).r2()).isCloseTo(1, within(1e-9));
        assertThat(LinearFit.of(blocks, byBlocks).r2()).isCloseTo(1, within(1e-9));
    }

    @Test
    void aSlowDiskIsWhatTheRunWaitsFor() throws Exception {
        MachineProfile slow = new MachineProfile(
                "cpu", MACHINE.float32(), MACHINE.type(), MACHINE.forward(), 1e6, 1e9, 1e9, 1e9, 1e-6, 2e-6, 100, 1e9);
        assertThat(model(RUN).estimate(slow).seconds()).isCloseTo(3500, within(0.1));
    }

    @Test
    void refusesARunOfNothing() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Run(0, 8, FloatType.FLOAT32, false, 0, 0, 0, 0))
                .withMessageContaining("at least one window");
    }
}
