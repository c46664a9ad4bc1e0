package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.LiveTensors;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqQuantizerTest extends CpuTest {
    @Test
    void handsModulesOverInTheOrderOfTheSolvesAndTellsTheListener() throws Exception {
        List<String> heard = new ArrayList<>();
        List<String> sunk = new ArrayList<>(); // by a thread of its own, but complete at the end
        List<ModuleReport> reports;
        try (Checkpoint checkpoint = Checkpoint.open(TinyModels.write(directory, TinyModels.config("llama"), 2));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            reports = GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options))
                    .build()
                    .run(TinyModels.windows(5), linear -> sunk.add(linear.name()), new QuantizationListener() {
                        @Override
                        public void blockStarted(int block, int blocks) {
                            heard.add("started " + block + " of " + blocks);
                        }

                        @Override
                        public void moduleQuantized(ModuleReport report) {
                            heard.add("heard " + report.module());
                        }

                        @Override
                        public void blockFinished(int block, int blocks) {
                            heard.add("finished " + block + " of " + blocks);
                        }
                    });
        }
        List<String> expected = new ArrayList<>();
        List<String> modules = new ArrayList<>();
        for (int block = 0; block < 2; block++) {
            expected.add("started " + block + " of 2");
            for (String module : List.of(
                    "self_attn.q_proj",
                    "self_attn.k_proj",
                    "self_attn.v_proj",
                    "self_attn.o_proj",
                    "mlp.gate_proj",
                    "mlp.up_proj",
                    "mlp.down_proj")) {
                String path = "model.layers." + block + "." + module;
                modules.add(path);
                expected.add("heard " + path);
            }
            expected.add("finished " + block + " of 2");
        }
        assertThat(heard).isEqualTo(expected);
        assertThat(sunk).isEqualTo(modules);
        assertThat(reports).extracting(ModuleReport::module).isEqualTo(modules);
        assertThat(reports).allSatisfy(report -> {
            assertThat(report.tokens()).isEqualTo(90 * 24);
            assertThat(report.loss()).isPositive().isFinite();
            assertThat(report.dampPercent()).isEqualTo(0.01);
            assertThat(report.deadColumns()).isZero();
            assertThat(report.seconds()).isNotNegative();
        });
        assertThat(reports).extracting(ModuleReport::block).containsOnly(0, 1).isSorted();
    }

    @Test
    void givesTheSameCodesEachTime() throws Exception {
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        Path model = TinyModels.write(directory, TinyModels.config("opt"), 3);
        List<QuantizedLinear> first = TinyModels.quantize(torch, model, options, FloatType.FLOAT32);
        List<QuantizedLinear> second = TinyModels.quantize(torch, model, options, FloatType.FLOAT32);
        assertSameCodes(second, first);
    }

    @ParameterizedTest(name = "{0} bytes of memory for hidden states, seed 12")
    @ValueSource(longs = {0, 500_000})
    void givesTheSameCodesWhereverHiddenStatesAreKept(long memory) throws Exception {
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 12);
        List<QuantizedLinear> expected = TinyModels.quantize(torch, model, options, FloatType.BFLOAT16);
        List<QuantizedLinear> modules = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.BFLOAT16)) {
            GptqQuantizer.builder(language, QuantizationPlan.of(language.architecture(), options))
                    .budget(new TensorStore.Budget(0, memory, directory))
                    .build()
                    .run(TinyModels.windows(5), modules::add, QuantizationListener.SILENT);
        }
        assertSameCodes(modules, expected);
    }

    private static void assertSameCodes(List<QuantizedLinear> modules, List<QuantizedLinear> expected) {
        assertThat(modules).hasSameSizeAs(expected);
        for (int i = 0; i < expected.size(); i++) {
            assertThat(modules.get(i).codes()).isDeepEqualTo(expected.get(i).codes());
            assertThat(modules.get(i).scales()).isDeepEqualTo(expected.get(i).scales());
        }
    }

    /** The first group sees the float model's activations whatever is done to its modules, so each can be held against a run alone. */
    @ParameterizedTest(name = "{0}, {1}, seed 14")
    @CsvSource({
        "'bits:8,group:48', 'bits:3,sym:false'",
        "'bits:2,damp:0.1', 'desc_act:true,group:32'",
        "'mse:2.4', 'bits:3,damp:0.1'",
    })
    void modulesOfOneGroupWithOptionsOfTheirOwnGetTheCodesOfARunAlone(String query, String value) throws Exception {
        GptqOptions options = TinyModels.options(4, 96, true, true, true, 128);
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 14);
        List<ModuleRule> rules = List.of(ModuleRule.parse(".*q_proj=" + query), ModuleRule.parse(".*v_proj=" + value));
        Map<String, QuantizedLinear> mixed = new LinkedHashMap<>();
        TinyModels.quantize(torch, model, options, rules, FloatType.FLOAT32)
                .forEach(linear -> mixed.put(linear.name(), linear));
        assertThat(mixed).hasSize(14);
        String attention = "model.layers.0.self_attn.";
        for (Map.Entry<String, GptqOptions> own : Map.of(
                        "q_proj", options.with(rules.get(0)), "k_proj", options, "v_proj", options.with(rules.get(1)))
                .entrySet()) {
            QuantizedLinear alone = TinyModels.quantize(torch, model, own.getValue(), FloatType.FLOAT32).stream()
                    .filter(linear -> linear.name().equals(attention + own.getKey()))
                    .findFirst()
                    .orElseThrow();
            QuantizedLinear found = Objects.requireNonNull(mixed.get(alone.name()));
            assertThat(found.bits()).isEqualTo(own.getValue().bits());
            assertThat(found.gIdx()).isEqualTo(alone.gIdx());
            assertThat(found.scales()).isDeepEqualTo(alone.scales());
            assertThat(found.codes()).isDeepEqualTo(alone.codes());
        }
    }

    @Test
    void aRuleThatAsksForWhatAllHaveChangesNoCode() throws Exception {
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("opt"), 15);
        assertSameCodes(
                TinyModels.quantize(
                        torch, model, options, List.of(ModuleRule.parse(".*k_proj=bits:4")), FloatType.FLOAT32),
                TinyModels.quantize(torch, model, options, FloatType.FLOAT32));
    }

    @Test
    void modulesThatARuleLeavesInFloatAreNotSolved() throws Exception {
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("llama"), 16);
        List<QuantizedLinear> modules = TinyModels.quantize(
                torch,
                model,
                options,
                List.of(ModuleRule.parse("-:.*(o|down)_proj"), ModuleRule.parse("-:model\\.layers\\.1\\.mlp")),
                FloatType.FLOAT32);
        assertThat(modules)
                .extracting(QuantizedLinear::name)
                .containsExactlyInAnyOrder(
                        "model.layers.0.self_attn.q_proj",
                        "model.layers.0.self_attn.k_proj",
                        "model.layers.0.self_attn.v_proj",
                        "model.layers.0.mlp.gate_proj",
                        "model.layers.0.mlp.up_proj",
                        "model.layers.1.self_attn.q_proj",
                        "model.layers.1.self_attn.k_proj",
                        "model.layers.1.self_attn.v_proj");
    }

    @Test
    void leavesModulesOutThatCannotBePacked() throws Exception {
        // Two key heads of 24 make k and v 48 wide.
        Path model = TinyModels.write(directory, TinyModels.config("llama", "num_key_value_heads", 2), 4);
        List<QuantizedLinear> modules =
                TinyModels.quantize(torch, model, TinyModels.options(4, 32, true, true, true, 128), FloatType.FLOAT32);
        assertThat(modules)
                .extracting(QuantizedLinear::name)
                .hasSize(10)
                .contains("model.layers.0.self_attn.q_proj")
                .noneMatch(name -> name.contains("k_proj") || name.contains("v_proj"));
    }

    @Test
    void runsOverOneWindowShorterThanTheInputsAreWide() throws Exception {
        CalibrationSet one = new CalibrationSet(new int[][] {{3, 1, 4, 1, 5}}, "one window");
        try (Checkpoint checkpoint = Checkpoint.open(TinyModels.write(directory, TinyModels.config("bloom"), 5));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            List<ModuleReport> reports = GptqQuantizer.builder(
                            model, QuantizationPlan.of(model.architecture(), options))
                    .build()
                    .run(one, linear -> {}, QuantizationListener.SILENT);
            assertThat(reports).hasSize(8).allMatch(report -> report.tokens() == 5 && Double.isFinite(report.loss()));
        }
    }

    @Test
    void starvedExpertsLearnFromTheirSiblingsAndSaySo() throws Exception {
        CalibrationSet few =
                new CalibrationSet(Arrays.copyOf(TinyModels.windows(5).windows(), 2), "48 tokens");
        try (Checkpoint checkpoint = Checkpoint.open(TinyModels.write(directory, TinyModels.config("mixtral"), 5));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            List<ModuleReport> reports = GptqQuantizer.builder(
                            model, QuantizationPlan.of(model.architecture(), options))
                    .build()
                    .run(few, linear -> {}, QuantizationListener.SILENT);
            assertThat(reports)
                    .allSatisfy(report -> assertThat(report.fallbacks())
                            .isNotEmpty()
                            .allSatisfy(fallback -> {
                                assertThat(fallback.cause()).isIn(Fallback.Cause.FEW_TOKENS, Fallback.Cause.NO_TOKENS);
                                assertThat(fallback.amount()).isPositive();
                            }));
            assertThat(reports)
                    .filteredOn(report -> report.fallbacks().get(0).remedy() == Fallback.Remedy.SIBLINGS_PRIOR)
                    .isNotEmpty()
                    .allMatch(report -> report.module().contains(".experts."))
                    .anyMatch(report -> report.module().endsWith(".w1"));
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    @Test
    void namesBlockAndModuleWhoseInputOverflowsInHalfPrecision() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config("llama"), 6);
        tiny.tensors().computeIfPresent("model.layers.1.mlp.up_proj.weight", (name, data) -> {
            for (int i = 0; i < data.length; i++) {
                data[i] *= 5e4f; // still finite in float16, but not what it computes
            }
            return data;
        });
        tiny.write(directory);
        GptqOptions options = TinyModels.options(8, 32, true, true, true, 128);
        assertThatThrownBy(() -> TinyModels.quantize(torch, directory, options, FloatType.FLOAT16))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("Block 1, model.layers.1.mlp.down_proj: its input holds NaN or infinite values")
                .hasMessageEndingWith("in float16; use --dtype bfloat16 or float32, which have a larger range");
        assertThat(LiveTensors.count(torch)).isZero();
    }

    @Test
    void doesNotAdviseFloat32WhereItIsUsed() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(TinyModels.config("llama"), 7);
        tiny.tensors().computeIfPresent("model.layers.0.post_attention_layernorm.weight", (name, data) -> {
            data[17] = 1e30f; // its square is beyond float32, which is survived, but so is what comes of it
            return data;
        });
        tiny.write(directory);
        GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
        assertThatThrownBy(() -> TinyModels.quantize(torch, directory, options, FloatType.FLOAT32))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("Block 0, model.layers.0.mlp.down_proj: ")
                .hasMessageContaining("in float32; weights before it are out of range")
                .hasMessageNotContaining("--dtype");
    }

    @Test
    void holdsNoMoreInTheLastBlockThanInTheFirst() throws Exception {
        List<Integer> held = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(
                        TinyModels.write(directory, TinyModels.config("llama", "num_hidden_layers", 4), 8));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options))
                    .build()
                    .run(TinyModels.windows(5), linear -> {}, new QuantizationListener() {
                        @Override
                        public void blockFinished(int block, int blocks) {
                            held.add(LiveTensors.count(torch));
                        }
                    });
            // Three batches of hidden states, the rotary tables that the model keeps, and up to nine tensors read
            // ahead.
            assertThat(held.subList(0, 3)).allMatch(count -> count >= 5 && count <= 14);
            assertThat(held.get(3)).isEqualTo(5);
            assertThat(LiveTensors.count(torch)).isEqualTo(2);
        }
        assertThat(LiveTensors.count(torch)).isZero();
    }

    @Test
    void givesBackAllMemoryWhenTheSinkFails() throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(TinyModels.write(directory, TinyModels.config("opt"), 9));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            GptqOptions options = TinyModels.options(4, 32, true, true, true, 128);
            GptqQuantizer quantizer = GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options))
                    .build();
            assertThatThrownBy(() -> quantizer.run(
                            TinyModels.windows(5),
                            linear -> {
                                throw new IOException("disk full");
                            },
                            QuantizationListener.SILENT))
                    .isInstanceOf(IOException.class)
                    .hasMessage("disk full");
            assertThat(LiveTensors.count(torch)).isZero();
        }
    }

    @Test
    void knowsThatLinearBiasesTakeWindowsOfAnyLength() throws Exception {
        Path model = TinyModels.write(directory, TinyModels.config("bloom", "seq_length", 4), 11);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel bloom = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            bloom.requireWindow(5000);
            assertThatThrownBy(() -> bloom.requireWindow(1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("A window of 1 tokens does not fit this model: it takes 2 or more");
        }
    }

    @Test
    void refusesWindowsLongerThanTheModelTakes() throws Exception {
        CalibrationSet windows = new CalibrationSet(
                new int[][] {IntStream.range(0, 65).map(i -> i % 64).toArray()}, "65 tokens");
        try (Checkpoint checkpoint = Checkpoint.open(TinyModels.write(directory, TinyModels.config("opt"), 10));
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(model.architecture(), TinyModels.options(4, 32, true, true, true, 128));
            assertThatThrownBy(() -> GptqQuantizer.builder(model, plan)
                            .build()
                            .run(windows, linear -> {}, QuantizationListener.SILENT))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("A window of 65 tokens does not fit this model: it takes 2 to 64");
        }
    }

    @Test
    void calibratesEveryExpertOnAllTokensIfAsked() throws Exception {
        Path model = TinyModels.write(directory.resolve("model"), TinyModels.config("mixtral"), 15);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            QuantizationPlan plan =
                    QuantizationPlan.of(language.architecture(), TinyModels.options(4, 32, true, true, true, 128));
            List<ModuleReport> routed = GptqQuantizer.builder(language, plan)
                    .build()
                    .run(TinyModels.windows(5), module -> {}, QuantizationListener.SILENT);
            List<ModuleReport> all = GptqQuantizer.builder(language, plan)
                    .allExperts(true)
                    .build()
                    .run(TinyModels.windows(5), module -> {}, QuantizationListener.SILENT);
            assertThat(all).extracting(ModuleReport::tokens).containsOnly(90 * 24L);
            assertThat(routed.stream()
                            .filter(report -> report.module().endsWith(".w2") && report.block() == 0)
                            .mapToLong(ModuleReport::tokens)
                            .sum())
                    .isEqualTo(2 * 90 * 24L); // two experts for each token
        }
    }
}
