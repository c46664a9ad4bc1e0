package io.gptq4j.gptq;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.format.ArtifactWriter;
import io.gptq4j.format.ModuleRule;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Models of two blocks, small enough to be quantized in a moment; all inputs are 96, 192 or 384 wide. */
public final class TinyModels {
    private TinyModels() {}

    public static Map<String, Object> config(String family, Object... changes) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", family);
        config.put("hidden_size", 96);
        config.put("num_attention_heads", 4);
        config.put("vocab_size", 64);
        if (family.equals("bloom")) {
            config.put("n_head", 4);
            config.put("n_layer", 2);
        } else {
            config.put("num_hidden_layers", 2);
            config.put(family.equals("opt") ? "ffn_dim" : "intermediate_size", 192);
            config.put("max_position_embeddings", 64);
        }
        if (family.equals("mixtral") || family.equals("qwen2_moe")) {
            config.put(family.equals("mixtral") ? "num_local_experts" : "num_experts", 4);
            config.put("num_experts_per_tok", 2);
            config.put("num_key_value_heads", 4);
        }
        if (family.equals("deepseek_v2")) {
            config.putAll(Map.of("q_lora_rank", 64, "kv_lora_rank", 32, "v_head_dim", 24));
            config.putAll(Map.of("qk_nope_head_dim", 16, "qk_rope_head_dim", 32, "first_k_dense_replace", 1));
            config.putAll(Map.of("n_routed_experts", 4, "n_shared_experts", 1, "num_experts_per_tok", 2));
            config.put("moe_intermediate_size", 64);
        }
        if (family.equals("qwen2_moe")) {
            config.put("moe_intermediate_size", 64);
            config.put("shared_expert_intermediate_size", 96);
        }
        return TinyCheckpoint.changed(config, changes);
    }

    /** Seeded random windows: 90 of 24 tokens, which fill one batch and part of another. */
    public static CalibrationSet windows(long seed) {
        Random random = new Random(seed);
        int[][] windows = new int[90][24];
        for (int[] window : windows) {
            for (int t = 0; t < window.length; t++) {
                window[t] = random.nextInt(64);
            }
        }
        return new CalibrationSet(windows, "seed " + seed);
    }

    public static GptqOptions options(
            int bits, int group, boolean sym, boolean actOrder, boolean fixed, int blocksize) {
        return new GptqOptions(bits, group, sym, actOrder, fixed, 0.01, 0, blocksize, false);
    }

    /** Every module of the model at {@code directory}, quantized. */
    static List<QuantizedLinear> quantize(Torch torch, Path directory, GptqOptions options, FloatType type)
            throws Exception {
        return quantize(torch, directory, options, List.of(), type);
    }

    /** The same with rules. */
    static List<QuantizedLinear> quantize(
            Torch torch, Path directory, GptqOptions options, List<ModuleRule> rules, FloatType type) throws Exception {
        List<QuantizedLinear> modules = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel model = open(torch, checkpoint, type)) {
            GptqQuantizer.builder(model, QuantizationPlan.of(model.architecture(), options, rules))
                    .build()
                    .run(windows(5), modules::add, QuantizationListener.SILENT);
        }
        return modules;
    }

    /** Quantizes a model and writes the artifact to {@code out}, which is returned. */
    public static Path artifact(Checkpoint checkpoint, LanguageModel model, GptqOptions options, Path out)
            throws Exception {
        QuantizationPlan plan = QuantizationPlan.of(model.architecture(), options);
        ArtifactWriter.Plan files = ArtifactPlans.of(checkpoint, model.weights(), plan, "gptq4j:test", 1L << 30);
        try (ArtifactWriter writer = ArtifactWriter.create(out, files)) {
            GptqQuantizer.builder(model, plan).build().run(windows(5), writer::write, QuantizationListener.SILENT);
            return writer.commit();
        }
    }

    public static LanguageModel open(Torch torch, Checkpoint checkpoint, FloatType type) throws Exception {
        return LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), type);
    }

    public static Path write(Path directory, Map<String, Object> config, long seed) throws Exception {
        return TinyCheckpoint.of(config, seed).write(directory);
    }
}
