package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModuleGroup;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The register of model families. */
public final class ModelFamilies {
    /** Every family there is. */
    public static final List<ModelFamily> ALL = List.of(
            LlamaFamily.FAMILY,
            Qwen2Family.FAMILY,
            Qwen3Family.FAMILY,
            MistralFamily.FAMILY,
            MinistralFamily.FAMILY,
            Ministral3Family.FAMILY,
            GemmaFamily.FAMILY,
            Gemma2Family.FAMILY,
            Gemma3Family.FAMILY,
            Phi3Family.FAMILY,
            PhiFamily.FAMILY,
            CohereFamily.FAMILY,
            Cohere2Family.FAMILY,
            GraniteFamily.FAMILY,
            SmolLm3Family.FAMILY,
            OlmoFamily.FAMILY,
            Olmo2Family.FAMILY,
            Olmo3Family.FAMILY,
            Exaone4Family.FAMILY,
            SeedOssFamily.FAMILY,
            StableLmFamily.FAMILY,
            Starcoder2Family.FAMILY,
            GlmFamily.FAMILY,
            BaichuanFamily.FAMILY,
            InternLmFamily.FAMILY,
            InternLm2Family.FAMILY,
            NemotronFamily.FAMILY,
            HeliumFamily.FAMILY,
            ArceeFamily.FAMILY,
            HunYuanFamily.FAMILY,
            Ernie45Family.FAMILY,
            OptFamily.FAMILY,
            BloomFamily.FAMILY);

    private ModelFamilies() {}

    /**
     * The architecture of a checkpoint.
     *
     * @throws CheckpointException if no family answers to its {@code model_type}, or the family cannot read it
     */
    public static Architecture architecture(ModelConfig config) throws CheckpointException {
        String modelType = config.modelType();
        for (ModelFamily family : ALL) {
            if (family.modelTypes().contains(modelType)) {
                Architecture architecture = family.reader().read(config);
                requirePositive(config, architecture);
                return architecture;
            }
        }
        List<String> known =
                ALL.stream().flatMap(family -> family.modelTypes().stream()).toList();
        throw new CheckpointException(config.origin() + ": model_type \"" + modelType
                + "\" is not supported; supported are " + String.join(", ", known));
    }

    /** No size of a model may be zero or negative, whatever its family calls it. */
    private static void requirePositive(ModelConfig config, Architecture architecture) throws CheckpointException {
        Map<String, Integer> sizes = new TreeMap<>(Map.of(
                "number of blocks", architecture.layers(),
                "hidden size", architecture.hiddenSize(),
                "vocabulary", architecture.vocabSize(),
                "number of positions", architecture.maxPositions()));
        for (Block block : architecture.kinds().keySet()) {
            sizes.put("number of attention heads", block.attention().heads());
            sizes.put("size of an attention head", block.attention().headDim());
            requirePositive(config, sizes);
            for (ModuleGroup group : block.moduleGroups()) {
                for (Architecture.Linear module : group.modules()) {
                    sizes.put("inputs of " + module.name(), module.in());
                    sizes.put("outputs of " + module.name(), module.out());
                }
            }
        }
        requirePositive(config, sizes);
    }

    private static void requirePositive(ModelConfig config, Map<String, Integer> sizes) throws CheckpointException {
        for (Map.Entry<String, Integer> size : sizes.entrySet()) {
            if (size.getValue() < 1) {
                throw new CheckpointException(config.origin() + ": the model's " + size.getKey() + " is "
                        + size.getValue() + ", expected at least 1");
            }
        }
    }
}
