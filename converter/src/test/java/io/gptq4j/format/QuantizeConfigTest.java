package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizeConfigTest {
    @TempDir
    Path directory;

    private static QuantizeConfig ours() {
        Map<String, Object> meta = new LinkedHashMap<>();
        meta.put("quantizer", List.of("gptq4j:0.1.0"));
        meta.put("uri", "https://example.org");
        return new QuantizeConfig(
                4,
                128,
                0.01,
                false,
                true,
                true,
                true,
                false,
                null,
                CheckpointFormat.GPTQ,
                meta,
                List.of(List.of("self_attn.k_proj", "self_attn.v_proj"), List.of("mlp.down_proj")),
                List.of());
    }

    private static final String OURS = """
            {
              "bits": 4,
              "group_size": 128,
              "damp_percent": 0.01,
              "desc_act": false,
              "static_groups": true,
              "sym": true,
              "true_sequential": true,
              "lm_head": false,
              "model_name_or_path": null,
              "model_file_base_name": "model",
              "quant_method": "gptq",
              "checkpoint_format": "gptq",
              "pack_dtype": "int32",
              "meta": {
                "quantizer": [
                  "gptq4j:0.1.0"
                ],
                "uri": "https://example.org"
              },
              "modules_in_block_to_quantize": [
                [
                  "self_attn.k_proj",
                  "self_attn.v_proj"
                ],
                [
                  "mlp.down_proj"
                ]
              ]
            }
            """;

    @Test
    void writesTheObjectEveryConsumerParses() {
        assertThat(ours().toJson()).isEqualTo(OURS);
    }

    @Test
    void readsWhatItWrites() throws IOException {
        Files.writeString(directory.resolve("quantize_config.json"), OURS);

        assertThat(read("{}")).isEqualTo(ours());
    }

    @Test
    void leavesOutAnEmptyModuleListWhichOptimumWouldTakeForNone() {
        assertThat(QuantizeConfig.of(4, 128, false, true).toMap())
                .doesNotContainKeys(
                        "modules_in_block_to_quantize", "is_marlin_format", "zero_point", "version", "dynamic");
    }

    private static QuantizeConfig mixed() {
        QuantizeConfig plain = QuantizeConfig.of(4, 128, false, true);
        return new QuantizeConfig(
                4,
                128,
                plain.dampPercent(),
                false,
                false,
                true,
                true,
                false,
                null,
                CheckpointFormat.GPTQ,
                Map.of(),
                List.of(),
                List.of(
                        ModuleRule.parse(".*\\.down_proj=bits:8,group:32"),
                        ModuleRule.parse("-:model\\.layers\\.0\\."),
                        ModuleRule.parse(".*=bits:3,sym:false")));
    }

    @Test
    void writesRulesForModulesThoseForFloatFirst() {
        assertThat(mixed().toJson()).contains("""
                  "pack_dtype": "int32",
                  "dynamic": {
                    "-:model\\\\.layers\\\\.0\\\\.": {},
                    ".*\\\\.down_proj": {
                      "bits": 8,
                      "group_size": 32
                    },
                    ".*": {
                      "bits": 3,
                      "sym": false
                    }
                  },
                  "meta": {}
                """);
    }

    @Test
    void readsTheRulesItWrites() throws IOException {
        assertThat(readFile(mixed().toJson())).isEqualTo(mixed());
    }

    @Test
    void tellsWhatIsTrueOfOneModule() {
        QuantizeConfig down = mixed().forModule("model.layers.1.mlp.down_proj");
        QuantizeConfig query = mixed().forModule("model.layers.1.self_attn.q_proj");

        assertThat(down.bits()).isEqualTo(8);
        assertThat(down.groupSize()).isEqualTo(32);
        assertThat(down.sym()).isTrue();
        assertThat(query.bits()).isEqualTo(3);
        assertThat(query.groupSize()).isEqualTo(128);
        assertThat(query.sym()).isFalse();
        assertThat(mixed().forModule("model.layers.0.mlp.down_proj").bits()).isEqualTo(4);
        assertThat(mixed().forModule("lm_head").bits()).isEqualTo(3);
    }

    @Test
    void obeysTheRulesOfGptqModel() throws IOException {
        QuantizeConfig config = readFile("""
                {"bits": 4, "group_size": 128, "sym": true, "desc_act": false, "dynamic": {
                 "lm_head": {"bits": 8, "group_size": 32, "sym": true, "desc_act": false, "mse": 2},
                 "+:model\\\\.layers\\\\.1\\\\..*": {"act_group_aware": true, "desc_act": null},
                 ".*layers.*": {"desc_act": true}}}""");

        assertThat(config.forModule("lm_head").bits()).isEqualTo(8);
        assertThat(config.forModule("lm_head").groupSize()).isEqualTo(32);
        assertThat(config.forModule("model.layers.1.mlp.up_proj").descAct()).isFalse();
        assertThat(config.forModule("model.layers.11.mlp.up_proj").descAct()).isTrue();
    }

    /** As AutoGPTQ 0.7 saves it. */
    @Test
    void readsAutoGptq() throws IOException {
        QuantizeConfig config = readFile("""
                {"bits": 4, "group_size": 128, "damp_percent": 0.1, "desc_act": true, "static_groups": false,
                 "sym": true, "true_sequential": true, "model_name_or_path": "TheBloke/x", "is_marlin_format": false,
                 "model_file_base_name": "model", "quant_method": "gptq", "checkpoint_format": "gptq"}""");

        assertThat(config.descAct()).isTrue();
        assertThat(config.dampPercent()).isEqualTo(0.1);
        assertThat(config.modelNameOrPath()).isEqualTo("TheBloke/x");
        assertThat(config.checkpointFormat()).isEqualTo(CheckpointFormat.GPTQ);
    }

    /** The oldest files have four keys. */
    @Test
    void fillsInWhatOldFilesLack() throws IOException {
        QuantizeConfig config = readFile("{\"bits\": 3, \"group_size\": -1}");

        assertThat(config).isEqualTo(QuantizeConfig.of(3, -1, false, true));
    }

    /** As GPTQModel 7 saves it. */
    @Test
    void readsGptqModel() throws IOException {
        QuantizeConfig config = readFile("""
                {"bits": 8, "dynamic": {"-:.*gate$": {}, "+:.*": {}}, "group_size": 32, "desc_act": false,
                 "lm_head": true, "method": "gptq", "quant_method": "gptq", "format": "gptq_v2",
                 "checkpoint_format": "gptq_v2", "pack_dtype": "int32", "rotation": null, "sym": false,
                 "meta": {"quantizer": ["gptqmodel:7.3.4"], "damp_percent": 0.05, "static_groups": true,
                          "true_sequential": false, "mse": 0.0, "fallback": null}}""");

        assertThat(config.bits()).isEqualTo(8);
        assertThat(config.checkpointFormat()).isEqualTo(CheckpointFormat.GPTQ_V2);
        assertThat(config.sym()).isFalse();
        assertThat(config.lmHead()).isTrue();
        assertThat(config.dampPercent()).isEqualTo(0.05);
        assertThat(config.staticGroups()).isTrue();
        assertThat(config.trueSequential()).isFalse();
        assertThat(config.meta()).containsEntry("quantizer", List.of("gptqmodel:7.3.4"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"format", "checkpoint_format"})
    void readsEitherNameOfTheFormat(String key) throws IOException {
        assertThat(readFile("{\"bits\": 4, \"group_size\": 64, \"" + key + "\": \"gptq_v2\"}")
                        .checkpointFormat())
                .isEqualTo(CheckpointFormat.GPTQ_V2);
    }

    /** As transformers and optimum save it: in config.json only, the module list flat. */
    @Test
    void readsTransformers() throws IOException {
        QuantizeConfig config = read("""
                {"model_type": "opt", "quantization_config": {"batch_size": 1, "bits": 4,
                 "block_name_to_quantize": "model.decoder.layers", "cache_block_outputs": true, "damp_percent": 0.1,
                 "dataset": null, "desc_act": false, "exllama_config": {"version": 1}, "group_size": 128,
                 "max_input_length": null, "model_seqlen": 2048, "module_name_preceding_first_block": ["a", "b"],
                 "modules_in_block_to_quantize": ["self_attn.q_proj", "fc1"], "pad_token_id": null,
                 "quant_method": "gptq", "sym": true, "tokenizer": null, "true_sequential": true,
                 "use_cuda_fp16": false, "use_exllama": true}}""");

        assertThat(config.bits()).isEqualTo(4);
        assertThat(config.modulesInBlockToQuantize()).containsExactly(List.of("self_attn.q_proj"), List.of("fc1"));
    }

    @Test
    void completesTheBlockOfConfigJsonFromTheFile() throws IOException {
        Files.writeString(
                directory.resolve("quantize_config.json"),
                "{\"bits\": 4, \"group_size\": 128, \"checkpoint_format\": \"gptq_v2\", \"sym\": false}");

        QuantizeConfig config = read("{\"quantization_config\": {\"bits\": 4, \"group_size\": 128}}");

        assertThat(config.checkpointFormat()).isEqualTo(CheckpointFormat.GPTQ_V2);
        assertThat(config.sym()).isFalse();
    }

    @Test
    void prefersQuantizeConfigToQuantConfig() throws IOException {
        Files.writeString(directory.resolve("quant_config.json"), "{\"bits\": 2, \"group_size\": 32}");
        assertThat(read("{}").bits()).isEqualTo(2);

        Files.writeString(directory.resolve("quantize_config.json"), "{\"bits\": 4, \"group_size\": 128}");
        assertThat(read("{}").bits()).isEqualTo(4);
    }

    @ParameterizedTest
    @CsvSource({"bits, 4, 8", "group_size, 128, -1", "sym, true, false", "checkpoint_format, '\"gptq\"', '\"gptq_v2\"'"
    })
    void refusesTwoFilesThatContradictEachOther(String key, String inConfig, String inFile) throws IOException {
        String rest = "{\"bits\": 4, \"group_size\": 128, \"sym\": true, \"checkpoint_format\": \"gptq\"}";
        String there = "\"" + key + "\": ";
        Path file = directory.resolve("quantize_config.json");
        Files.writeString(file, rest.replaceFirst(there + "[^,}]*", there + inFile));

        assertThatThrownBy(() -> read("{\"quantization_config\": " + rest + "}"))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("config.json, quantization_config says " + key + " is " + inConfig.replace("\"", "")
                        + ", but " + file + " says " + inFile.replace("\"", "") + ": correct the wrong one");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'bits': 5 | bits must be 2, 3, 4 or 8, not 5",
                "'bits': 6 | bits must be 2, 3, 4 or 8, not 6",
                "'bits': 7 | bits must be 2, 3, 4 or 8, not 7",
                "'group_size': 0 | group_size must be -1 or positive, not 0",
                "'damp_percent': 1 | damp_percent must lie between 0 and 1, not be 1.0",
                "'quant_method': 'awq' | quant_method is awq, but only gptq can be read",
                "'method': 'fp8' | quant_method is fp8, but only gptq can be read",
                "'zero_point': true | quant_method is awq, but only gptq can be read",
                "'checkpoint_format': 'marlin' | checkpoint_format marlin cannot be read, only gptq and gptq_v2",
                "'format': 'gemm' | checkpoint_format gemm cannot be read, only gptq and gptq_v2",
                "'format': 'gptq_p' | checkpoint_format gptq_p cannot be read, only gptq and gptq_v2",
                "'format': 'gptq', 'checkpoint_format': 'gptq_v2' | checkpoint_format is both gptq and gptq_v2",
                "'is_marlin_format': true | is_marlin_format: repacked weights cannot be read",
                "'pack_dtype': 'int16' | pack_dtype is int16, but only int32 can be read",
                "'rotation': 'hadamard' | rotation: rotated weights cannot be read",
                "'adapter': {'name': 'lora'} | adapter: weights that need an adapter cannot be read",
                "'dynamic': {'.*down': {'adapter': {}}} | dynamic: modules .*down have their own adapter, which cannot",
                "'dynamic': {'.*down': {'format': 'gptq_v2'}} | dynamic: modules .*down have their own format",
                "'dynamic': {'.*down': {'bits': 5}} | bits must be 2, 3, 4 or 8, not 5",
                "'dynamic': {'.*down': {'sym': 1}} | sym must be true or false, not 1",
                "'dynamic': {'.*down': 8} | dynamic: the settings for modules .*down are no object",
                "'dynamic': {'*down': {'bits': 8}} | '*down' is no regular expression: Dangling meta character '*'",
                "'modules_in_block_to_quantize': 'x' | modules_in_block_to_quantize must be a list of lists of names",
                "'modules_in_block_to_quantize': [[1]] | modules_in_block_to_quantize must be a list of lists of names",
            })
    void refusesByNameWhatItCannotRead(String entries, String message) throws IOException {
        String defaults = entries.contains("'bits'") && !entries.contains("{") ? "" : "'bits': 4, ";
        defaults += entries.contains("group_size") ? "" : "'group_size': 128, ";

        String json = ("{" + defaults + entries + "}").replace('\'', '"');

        assertThatThrownBy(() -> readFile(json))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(directory.resolve("quantize_config.json") + ": ")
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @CsvSource({"bits, '\"4\"'", "bits, 4.5", "sym, 1", "desc_act, '\"no\"'", "meta, []", "dynamic, []"})
    void refusesValuesOfAnotherType(String key, String value) {
        String json = "{\"bits\": 4, \"group_size\": 128}".replace("\"" + key + "\": 4, ", "");

        assertThatThrownBy(() -> readFile(json.replace("}", ", \"" + key + "\": " + value + "}")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'" + key + "'");
    }

    @ParameterizedTest
    @ValueSource(strings = {"bits", "group_size"})
    void refusesToGuessWhatIsMissing(String key) {
        String json = "{\"bits\": 4, \"group_size\": 128}".replace("\"" + key + "\"", "\"other\"");

        assertThatThrownBy(() -> readFile(json))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'" + key + "' is missing");
    }

    @Test
    void saysThatAPlainModelIsNoArtifact() {
        assertThatThrownBy(() -> read("{\"model_type\": \"llama\"}"))
                .isInstanceOf(CheckpointException.class)
                .hasMessage(
                        directory + " is not a GPTQ artifact: config.json has no quantization_config and there is no"
                                + " quantize_config.json");
    }

    private QuantizeConfig readFile(String json) throws IOException {
        Files.writeString(directory.resolve("quantize_config.json"), json);
        return read("{}");
    }

    private QuantizeConfig read(String configJson) throws IOException {
        Path file = directory.resolve("config.json");
        Files.writeString(file, configJson);
        return QuantizeConfig.read(
                directory, ModelConfig.of(ModelConfig.read(file).values(), "config.json"));
    }
}
