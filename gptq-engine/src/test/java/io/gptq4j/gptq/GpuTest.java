package io.gptq4j.gptq;

import static io.gptq4j.gptq.Samples.gaussians;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import io.gptq4j.tensor.Torch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a GPU computes, held against the CPU; skipped where there is none. */
@Tag("gpu")
class GpuTest {
    private static Torch cpu;
    private static Torch gpu;

    @TempDir
    private Path directory;

    @BeforeAll
    static void open() {
        cpu = Torch.open("cpu");
        Torch best = Torch.open("auto");
        if (!best.isGpu()) {
            best.close();
            cpu.close();
        }
        assumeTrue(best.isGpu(), "There is no GPU here, or libtorch is built for the CPU; see README.md, GPU");
        gpu = best;
    }

    @AfterAll
    static void close() {
        if (gpu != null) {
            gpu.close();
            cpu.close();
        }
    }

    private static QuantizedLinear solve(Torch torch, GptqOptions options, int in, int out) {
        try (Scope scope = torch.scope()) {
            Hessian hessian = new Hessian(scope, in);
            hessian.add(scope.floats(gaussians(31, 3 * in * in), 3 * in, in));
            Tensor weight = scope.floats(gaussians(32, out * in), out, in);
            GptqSolver solver = new GptqSolver(options);
            return solver.solve(
                            scope,
                            solver.factor(scope, hessian),
                            List.of(new GptqSolver.Module("m", weight)),
                            FloatType.FLOAT32)
                    .modules()
                    .get(0)
                    .linear();
        }
    }

    @ParameterizedTest(name = "{0} bits, seeds 31 and 32")
    @ValueSource(ints = {2, 3, 4, 8})
    void solvesAsTheCpuDoes(int bits) {
        GptqOptions options = TinyModels.options(bits, 64, true, true, true, 128);
        QuantizedLinear expected = solve(cpu, options, 640, 192);
        QuantizedLinear actual = solve(gpu, options, 640, 192);
        assertThat(actual.scales()).isDeepEqualTo(expected.scales());
        int differing = 0;
        for (int o = 0; o < 192; o++) {
            for (int i = 0; i < 640; i++) {
                differing += actual.codes()[o][i] == expected.codes()[o][i] ? 0 : 1;
            }
        }
        assertThat(differing).as("codes of 122880").isLessThan(1300); // an ulp of U can tip a code and those after it
    }

    @ParameterizedTest(name = "{0}, seed 33")
    @ValueSource(strings = {"llama", "opt", "bloom"})
    void computesTheLikelihoodsThatTheCpuComputes(String family) throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config(family), 33);
        int[] tokens = new Random(34).ints(48, 0, 64).toArray();
        double[] expected = score(cpu, model, tokens);
        double[] actual = score(gpu, model, tokens);
        for (int t = 0; t < expected.length; t++) {
            assertThat(actual[t]).isCloseTo(expected[t], within(2e-3));
        }
    }

    private static double[] score(Torch torch, Path directory, int[] tokens) throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            return new Evaluator(model, (done, blocks) -> {}).score(tokens, null);
        }
    }

    @ParameterizedTest(name = "{0} bytes of device memory, {1} of host memory, seed 35")
    @CsvSource({"1000000000, 0", "500000, 500000", "0, 1000000000", "0, 0"})
    void givesTheSameCodesWhereverHiddenStatesAreKept(long device, long host) throws Exception {
        Path source = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 35);
        List<QuantizedLinear> expected = quantize(source, new TensorStore.Budget(Long.MAX_VALUE, 0, directory));
        List<QuantizedLinear> actual = quantize(source, new TensorStore.Budget(device, host, directory));
        for (int m = 0; m < expected.size(); m++) {
            assertThat(actual.get(m).codes()).isDeepEqualTo(expected.get(m).codes());
        }
    }

    private List<QuantizedLinear> quantize(Path source, TensorStore.Budget budget) throws Exception {
        List<QuantizedLinear> modules = new ArrayList<>();
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel model = TinyModels.open(gpu, checkpoint, FloatType.BFLOAT16)) {
            GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options))
                    .budget(budget)
                    .build()
                    .run(TinyModels.windows(5), modules::add, QuantizationListener.SILENT);
        }
        return modules;
    }

    @Test
    void aGpuAndACpuShareARun() throws Exception {
        Path source = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 36);
        GptqOptions options = TinyModels.options(8, 32, true, true, true, 128);
        List<QuantizedLinear> modules = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel first = TinyModels.open(gpu, checkpoint, FloatType.FLOAT32);
                LanguageModel second = TinyModels.open(cpu, checkpoint, FloatType.FLOAT32)) {
            GptqQuantizer.builder(first, QuantizationPlan.of(first.architecture(), options))
                    .alsoOn(second)
                    .build()
                    .run(TinyModels.windows(5), modules::add, QuantizationListener.SILENT);
        }
        assertThat(modules).hasSize(14);
    }
}
