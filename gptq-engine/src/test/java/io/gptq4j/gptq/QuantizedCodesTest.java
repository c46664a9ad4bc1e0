package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The codes of a run against the definition of a run, and those of several devices against those of one. */
class QuantizedCodesTest extends CpuTest {
    /**
     * The definition of a run, from its result: a float model that holds the de-quantized weights everywhere has, before
     * each module group, the very input that the group was calibrated on.
     */
    @ParameterizedTest(
            name = "{0} in {1}: {2} bits, group {3}, sym {4}, act-order {5}, static {6}, blocksize {7}, seed 1")
    @CsvSource({
        "llama, FLOAT32,  4,  32, true,  true,  true,  128",
        "llama, BFLOAT16, 3,  96, false, true,  true,  40",
        "llama, FLOAT16,  4,  48, true,  true,  true,  128",
        "opt,   FLOAT32,  2,  16, true,  false, false, 128",
        "opt,   FLOAT32,  8,  -1, false, true,  false, 7",
        "opt,   BFLOAT16, 4,   8, true,  true,  false, 64",
        "bloom, FLOAT32,  4,  96, true,  true,  false, 100",
        "bloom, BFLOAT16, 4,  32, false, false, true,  500",
        "mixtral, FLOAT32, 4, 32, true,  true,  true,  128",
        "qwen2_moe, FLOAT32, 3, 16, true, true, true,  128",
        "deepseek_v2, FLOAT32, 4, 32, true, true, true, 128",
    })
    void solvesEachGroupOnWhatTheQuantizedModulesBeforeItCompute(
            String family,
            FloatType type,
            int bits,
            int group,
            boolean sym,
            boolean actOrder,
            boolean fixed,
            int blocksize)
            throws Exception {
        followsTheDefinition(family, type, TinyModels.options(bits, group, sym, actOrder, fixed, blocksize));
    }

    @ParameterizedTest(name = "{0} in {1}: {2} bits, group {3}, seed 1")
    @CsvSource({
        "llama, FLOAT32, 4, 32",
        "opt, FLOAT32, 3, -1",
        "bloom, FLOAT32, 8, 96",
        "cohere, FLOAT32, 4, 32",
        "mixtral, FLOAT32, 4, 32",
        "qwen2_moe, FLOAT32, 4, 32",
        "deepseek_v2, FLOAT32, 4, 32"
    })
    void aimsEachGroupAtWhatTheFloatModelComputes(String family, FloatType type, int bits, int group) throws Exception {
        Refinement refinement = new Refinement(true, false, 0);
        followsTheDefinition(
                family, type, new GptqOptions(bits, group, true, true, true, 0.01, 0, 128, false, refinement));
    }

    @ParameterizedTest(name = "{0} devices, {1}, {2}, seed 13")
    @CsvSource({
        "2, llama, FLOAT32",
        "3, llama, BFLOAT16",
        "2, bloom, FLOAT32",
        "2, opt, FLOAT32",
        "4, opt, BFLOAT16",
        "2, qwen2_moe, FLOAT32"
    })
    void severalDevicesGiveWhatOneGives(int devices, String family, FloatType type) throws Exception {
        GptqOptions options = new GptqOptions(
                4, 32, true, true, true, 0.01, 0, 128, false, new Refinement(type == FloatType.FLOAT32, false, 0));
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config(family), 13);
        List<QuantizedLinear> expected = TinyModels.quantize(torch, model, options, type);
        List<QuantizedLinear> modules = new ArrayList<>();
        List<Torch> others = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, type)) {
            GptqQuantizer.Builder run =
                    GptqQuantizer.builder(language, QuantizationPlan.of(language.architecture(), options));
            for (int i = 1; i < devices; i++) {
                others.add(Torch.open("cpu"));
                run.alsoOn(TinyModels.open(others.get(i - 1), checkpoint, type));
            }
            run.build().run(TinyModels.windows(5), modules::add, QuantizationListener.SILENT);
            others.forEach(Torch::close);
        }
        assertThat(modules).hasSameSizeAs(expected);
        for (int i = 0; i < expected.size(); i++) {
            // Two sum Hessians in the order of two halves, more in another one; what tips a code of a block then tips
            // many of
            // the next where the float model is followed, so these do without.
            assertSame(modules.get(i), expected.get(i), devices == 2 ? 0 : 1);
        }
    }

    private void followsTheDefinition(String family, FloatType type, GptqOptions options) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config(family), 1);
        Map<String, QuantizedLinear> solved = new LinkedHashMap<>();
        TinyModels.quantize(torch, tiny.write(directory.resolve("float")), options, type)
                .forEach(linear -> solved.put(linear.name(), linear));

        TinyCheckpoint replaced = new TinyCheckpoint(tiny.config(), tiny.architecture(), new LinkedHashMap<>());
        replaced.tensors().putAll(tiny.tensors());
        solved.forEach((name, linear) -> replaced.tensors().put(name + ".weight", dequantized(linear)));
        try (Checkpoint originals = Checkpoint.open(directory.resolve("float"));
                LanguageModel original = TinyModels.open(torch, originals, type);
                Checkpoint checkpoint = Checkpoint.open(replaced.write(directory.resolve("replaced")));
                LanguageModel model = TinyModels.open(torch, checkpoint, type);
                BlockReader blocks = model.blocks();
                BlockReader sources = original.blocks();
                Scope scope = model.scope()) {
            List<Tensor> hidden = new ArrayList<>();
            List<Tensor> exact = new ArrayList<>(); // in the float model
            try (LanguageModel.Embedder embedder = model.embedder()) {
                for (int[][] batch :
                        CalibrationSet.batches(TinyModels.windows(5).windows(), model.batchTokens())) {
                    hidden.add(embedder.embed(scope, batch));
                    exact.add(embedder.embed(scope, batch));
                }
            }
            for (int layer = 0; layer < 2; layer++) {
                DecoderBlock block = model.block(scope, blocks);
                DecoderBlock source = original.block(scope, sources);
                List<DecoderBlock.State> at =
                        hidden.stream().map(x -> block.begin(scope, x)).toList();
                List<DecoderBlock.State> exactly =
                        exact.stream().map(x -> source.begin(scope, x)).toList();
                Stage stage = Stage.ATTENTION_IN;
                for (ModuleGroup modules : model.architecture().block(layer).moduleGroups()) {
                    if (modules.stage() != stage) {
                        stage = modules.stage();
                        at = at.stream()
                                .map(state -> block.advance(scope, modules.stage(), state))
                                .toList();
                        exactly = exactly.stream()
                                .map(state -> source.advance(scope, modules.stage(), state))
                                .toList();
                    }
                    int in = modules.modules().get(0).in();
                    boolean followed = options.refinement().floatTarget();
                    List<Hessian> halves = List.of(new Hessian(scope, in), new Hessian(scope, in));
                    for (int b = 0; b < at.size(); b++) {
                        Hessian half = halves.get(b % 2);
                        if (followed) {
                            float[] x = seen(scope, block, at.get(b), modules).weighted();
                            half.add(scope.floats(x, x.length / in, in));
                        } else {
                            block.inputs(scope, at.get(b), List.of(modules), false, (i, x, share) -> half.add(x));
                        }
                    }
                    Hessian hessian = halves.get(0);
                    hessian.add(halves.get(1));
                    if (modules.expert().isEmpty()) {
                        assertThat(hessian.tokens()).isEqualTo(90 * 24);
                    } else {
                        assertThat(hessian.tokens()).isBetween(1L, 90 * 24 - 1L);
                    }
                    GptqSolver solver = new GptqSolver(options);
                    GptqSolver.Factored factored = solver.factor(scope, hessian);
                    for (Linear module : modules.modules()) { // one by one: rows do not depend on each other
                        String name = source.path(module);
                        GptqSolver.Target drift = null;
                        if (followed && block.parts().hasFloatTarget(modules)) {
                            boolean mixture = modules.stage() == Stage.MLP_OUT
                                    && block.parts().mlp() instanceof Mlp.Experts;
                            Tensor sum = mixture
                                    ? mixtureDrift(scope, modules, block, source, at, exactly)
                                    : drift(scope, modules, block, at, exactly, source.weight(module));
                            drift = (step, from, to) -> step.call("refine", "part", sum, from, to);
                        }
                        QuantizedLinear expected = solver.solve(
                                        scope,
                                        factored,
                                        List.of(new GptqSolver.Module(name, source.weight(module), drift)),
                                        type)
                                .modules()
                                .get(0)
                                .linear();
                        // The target, and with it a largest weight, is a sum in another order here.
                        assertSame(
                                Objects.requireNonNull(solved.get(name), name),
                                expected,
                                options.refinement().floatTarget() ? 1 : 0);
                    }
                }
                hidden = at.stream().map(state -> block.finish(scope, state)).toList();
                exact = exactly.stream()
                        .map(state -> source.finish(scope, state))
                        .toList();
            }
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    /** sum x (y~ - y)^T, [in, out], in double precision, y with the residual stream where the module writes to it. */
    private static Tensor drift(
            Scope scope,
            ModuleGroup group,
            DecoderBlock block,
            List<DecoderBlock.State> at,
            List<DecoderBlock.State> exactly,
            Tensor weight) {
        int out = Math.toIntExact(weight.size(0));
        int in = Math.toIntExact(weight.size(1));
        float[] w = weight.toFloats();
        double[] sum = new double[in * out];
        for (int b = 0; b < at.size(); b++) {
            float[] x = seen(scope, block, at.get(b), group).x;
            float[] exact = seen(scope, block, exactly.get(b), group).x; // norms are never quantized
            boolean writes = block.parts().addsToResidual(group);
            float[] residual = at.get(b).residual().toFloats();
            float[] exactResidual = exactly.get(b).residual().toFloats();
            for (int t = 0; t < x.length / in; t++) {
                for (int o = 0; o < out; o++) {
                    double gap = writes ? (double) exactResidual[t * out + o] - residual[t * out + o] : 0;
                    for (int i = 0; i < in; i++) {
                        gap += (double) w[o * in + i] * (exact[t * in + i] - x[t * in + i]);
                    }
                    for (int i = 0; i < in; i++) {
                        sum[i * out + o] += x[t * in + i] * gap;
                    }
                }
            }
        }
        float[] rounded = new float[sum.length];
        for (int i = 0; i < sum.length; i++) {
            rounded[i] = (float) sum[i];
        }
        return scope.floats(rounded, in, out);
    }

    /**
     * The same for the output of one expert, or of the shared ones: sum w x (w d)^T over its tokens. w is what its output counts
     * for, and d what the sum of all outputs, with float weights on what comes out of quantized gates, lacks of what would take
     * the residual stream to where it is in the float model; divided by the sum of all w of the token.
     */
    private static Tensor mixtureDrift(
            Scope scope,
            ModuleGroup group,
            DecoderBlock block,
            DecoderBlock source,
            List<DecoderBlock.State> at,
            List<DecoderBlock.State> exactly) {
        int in = group.modules().get(0).in();
        int out = group.modules().get(0).out();
        double[] sum = new double[in * out];
        for (int b = 0; b < at.size(); b++) {
            Tensor residual = exactly.get(b).residual();
            Tensor copy = scope.call("tensors", "reshaped", residual, residual.shape());
            float[] wanted =
                    source.finish(scope, new DecoderBlock.State(copy, null)).toFloats();
            float[] before = at.get(b).residual().toFloats();
            double[] gap = new double[wanted.length];
            for (int i = 0; i < gap.length; i++) {
                gap[i] = ((double) wanted[i] - before[i]) / block.parts().multiplier();
            }
            double[] weights = new double[gap.length / out];
            for (ModuleGroup other : block.parts().moduleGroups()) {
                if (other.stage() == Stage.MLP_OUT) {
                    Seen seen = seen(scope, block, at.get(b), other);
                    float[] w = source.weight(other.modules().get(0)).toFloats();
                    int inner = other.modules().get(0).in();
                    for (int t = 0; t < seen.tokens.length; t++) {
                        int token = (int) seen.tokens[t];
                        weights[token] += seen.weights[t];
                        for (int o = 0; o < out; o++) {
                            for (int i = 0; i < inner; i++) {
                                gap[token * out + o] -=
                                        (double) seen.weights[t] * w[o * inner + i] * seen.x[t * inner + i];
                            }
                        }
                    }
                }
            }
            Seen own = seen(scope, block, at.get(b), group);
            float[] x = own.weighted();
            for (int t = 0; t < own.tokens.length; t++) {
                int token = (int) own.tokens[t];
                for (int i = 0; i < in; i++) {
                    for (int o = 0; o < out; o++) {
                        sum[i * out + o] += x[t * in + i] * own.weights[t] * gap[token * out + o] / weights[token];
                    }
                }
            }
        }
        float[] rounded = new float[sum.length];
        for (int i = 0; i < sum.length; i++) {
            rounded[i] = (float) sum[i];
        }
        return scope.floats(rounded, in, out);
    }

    /** The inputs of a group [n, in], of which tokens they are, and what their outputs count for; all for 1 outside mixtures. */
    private record Seen(float[] x, long[] tokens, float[] weights) {
        float[] weighted() {
            float[] weighted = x.clone();
            int in = weights.length == 0 ? 1 : x.length / weights.length;
            for (int i = 0; i < x.length && weights.length > 0; i++) {
                weighted[i] *= weights[i / in];
            }
            return weighted;
        }
    }

    private static Seen seen(Scope scope, DecoderBlock block, DecoderBlock.State state, ModuleGroup group) {
        List<Seen> seen = new ArrayList<>();
        block.inputs(
                scope,
                state,
                List.of(group),
                false,
                (i, x, share) -> seen.add(
                        share == null
                                ? new Seen(x.toFloats(), new long[0], new float[0])
                                : new Seen(
                                        x.toFloats(),
                                        share.tokens().toLongs(),
                                        share.weights().toFloats())));
        return seen.get(0);
    }

    /** The same but for some units in the last place of the scales, which are positive. */
    private static void assertSame(QuantizedLinear actual, QuantizedLinear expected, int units) {
        assertThat(actual.bits()).isEqualTo(expected.bits());
        assertThat(actual.groupSize()).isEqualTo(expected.groupSize());
        for (int g = 0; g < expected.scales().length; g++) {
            for (int o = 0; o < expected.outFeatures(); o++) {
                assertThat((int) actual.scales()[g][o])
                        .as("%s, scale %d of output %d", expected.name(), g, o)
                        .isCloseTo(expected.scales()[g][o], within(units));
            }
        }
        assertThat(actual.zeros()).as(expected.name()).isDeepEqualTo(expected.zeros());
        assertThat(actual.gIdx()).as(expected.name()).isEqualTo(expected.gIdx());
        int differing = 0;
        for (int o = 0; o < actual.outFeatures(); o++) {
            for (int i = 0; i < actual.inFeatures(); i++) {
                differing += actual.codes()[o][i] == expected.codes()[o][i] ? 0 : 1;
            }
        }
        // A matrix product over other rows may sum in another order, and a last bit tip a code and those after it.
        assertThat(differing)
                .as("differing codes of " + expected.name())
                .isLessThanOrEqualTo(actual.outFeatures() * actual.inFeatures() / 200);
    }

    /** scale * (code - zero), row-major [out, in], by the format's definition. */
    private static float[] dequantized(QuantizedLinear linear) {
        int in = linear.inFeatures();
        float[] weight = new float[linear.outFeatures() * in];
        for (int o = 0; o < linear.outFeatures(); o++) {
            for (int i = 0; i < in; i++) {
                int group = linear.gIdx()[i];
                int code = Byte.toUnsignedInt(linear.codes()[o][i]) - Byte.toUnsignedInt(linear.zeros()[group][o]);
                short half = linear.scales()[group][o];
                int exponent = half >> 10 & 31;
                int fraction = half & 1023;
                float scale = exponent == 0
                        ? Math.scalb((float) fraction, -24)
                        : Math.scalb((float) (1024 + fraction), exponent - 25);
                assertThat(half).as("scales are positive").isPositive();
                weight[o * in + i] = scale * code;
            }
        }
        return weight;
    }
}
