package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.eval.Evaluator;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.CpuTest;
import io.gptq4j.tensor.FloatType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Families that are built like Llama through a whole run: quantized, written, read back, and still the same function. */
class LlamaFamiliesRoundTripTest extends CpuTest {
    private static final String LLAMA =
            "self_attn.q_proj self_attn.k_proj self_attn.v_proj|self_attn.o_proj|mlp.gate_proj mlp.up_proj|mlp.down_proj";
    /** Module groups as GPTQModel and AutoGPTQ list them; those of other families are Llama's. */
    private static final Map<String, String> GROUPS = Map.of(
            "phi3", "self_attn.qkv_proj|self_attn.o_proj|mlp.gate_up_proj|mlp.down_proj",
            "glm", LLAMA.replace("mlp.gate_proj mlp.up_proj", "mlp.gate_up_proj"),
            "glm4", LLAMA.replace("mlp.gate_proj mlp.up_proj", "mlp.gate_up_proj"),
            "phi", "self_attn.q_proj self_attn.k_proj self_attn.v_proj|self_attn.dense|mlp.fc1|mlp.fc2",
            "starcoder2", "self_attn.q_proj self_attn.k_proj self_attn.v_proj|self_attn.o_proj|mlp.c_fc|mlp.c_proj",
            "nemotron", LLAMA.replace("mlp.gate_proj ", ""),
            "arcee", LLAMA.replace("mlp.gate_proj ", ""),
            "baichuan", LLAMA.replace("self_attn.q_proj self_attn.k_proj self_attn.v_proj", "self_attn.W_pack"),
            "internlm2", "attention.wqkv|attention.wo|feed_forward.w1 feed_forward.w3|feed_forward.w2");

    @ParameterizedTest(name = "{0}, seed 11")
    @CsvSource({
        "llama",
        "qwen2",
        "qwen3",
        "mistral",
        "ministral",
        "gemma",
        "gemma2",
        "gemma3_text",
        "phi3",
        "phi",
        "starcoder2",
        "stablelm",
        "olmo",
        "olmo2",
        "olmo3",
        "granite",
        "cohere",
        "cohere2",
        "smollm3",
        "glm",
        "glm4",
        "exaone4",
        "seed_oss",
        "nemotron",
        "helium",
        "arcee",
        "hunyuan_v1_dense",
        "ernie4_5",
        "baichuan",
        "internlm",
        "internlm2"
    })
    void keepsTheModulesAndTheFunctionOfAFamily(String family) throws Exception {
        Path source = TinyModels.write(
                directory.resolve("model"),
                TinyModels.config(family, "num_key_value_heads", family.equals("baichuan") ? 4 : 2, "head_dim", 32),
                11);
        Path result = directory.resolve("result");
        GptqOptions options = TinyModels.options(8, 32, true, true, true, 128);
        int[] tokens = {5, 1, 60, 33, 2, 2, 47, 18, 9, 40, 63, 0, 12};
        try (Checkpoint checkpoint = Checkpoint.open(source);
                LanguageModel model = TinyModels.open(torch, checkpoint, FloatType.FLOAT32)) {
            TinyModels.artifact(checkpoint, model, options, result);
            try (Checkpoint artifact = Checkpoint.open(result);
                    LanguageModel quantized = TinyModels.open(torch, artifact, FloatType.FLOAT32)) {
                assertThat(ArtifactReader.of(artifact).modules()).containsExactlyInAnyOrderElementsOf(modules(family));
                assertThat(score(quantized, tokens)).isCloseTo(score(model, tokens), within(0.1));
            }
        }
    }

    private static List<String> modules(String family) {
        List<String> modules = new ArrayList<>();
        for (int layer = 0; layer < 2; layer++) {
            for (String name : GROUPS.getOrDefault(family, LLAMA).split("[ |]")) {
                modules.add("model.layers." + layer + "." + name);
            }
        }
        return modules;
    }

    /** The mean log-likelihood. */
    private static double score(LanguageModel model, int[] tokens) throws Exception {
        double[] values = new Evaluator(model, (done, blocks) -> {}).score(tokens, logits -> {});
        return Arrays.stream(values).average().orElseThrow();
    }
}
