package io.gptq4j.model.families;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.safetensors.TensorInfo;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** The register of model families. */
public final class ModelFamilies {
    /** Every family there is. */
    public static final List<ModelFamily> ALL = List.of(
            LlamaFamily.FAMILY,
            QwenFamily.FAMILY,
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
            MiniCpmFamily.FAMILY,
            SmolLm3Family.FAMILY,
            OlmoFamily.FAMILY,
            Olmo2Family.FAMILY,
            Olmo3Family.FAMILY,
            ExaoneFamily.FAMILY,
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
            DeciFamily.FAMILY,
            MixtralFamily.FAMILY,
            GraniteMoeFamily.FAMILY,
            GraniteMoeFamily.SHARED,
            GraniteHybridFamily.FAMILY,
            Qwen2MoeFamily.FAMILY,
            Qwen2MoeFamily.QWEN3,
            OlmoeFamily.FAMILY,
            DeepseekFamily.V2,
            DeepseekFamily.V3,
            Glm4MoeFamily.FAMILY,
            OptFamily.FAMILY,
            BloomFamily.FAMILY,
            Gpt2Family.FAMILY,
            GptBigcodeFamily.FAMILY,
            GptjFamily.FAMILY,
            CodegenFamily.FAMILY,
            GptNeoFamily.FAMILY,
            GptNeoxFamily.FAMILY,
            FalconFamily.FAMILY,
            MptFamily.FAMILY,
            ChatglmFamily.FAMILY,
            MultimodalFamily.QWEN2_VL,
            MultimodalFamily.QWEN2_5_VL,
            MultimodalFamily.QWEN3_VL,
            MultimodalFamily.LLAVA,
            MultimodalFamily.LLAVA_NEXT,
            MultimodalFamily.LLAVA_ONEVISION,
            MultimodalFamily.GEMMA3,
            MultimodalFamily.MISTRAL3,
            MultimodalFamily.PALIGEMMA,
            MultimodalFamily.MLLAMA);

    private ModelFamilies() {}

    /**
     * The architecture of a checkpoint, by its {@code model_type}, or by the family that it is {@linkplain ModelConfig#readAs to be
     * taken for}.
     *
     * @throws CheckpointException if no family answers to its model type, or the family cannot read it
     */
    public static Architecture architecture(ModelConfig config) throws CheckpointException {
        return reading(config, Map.of()).architecture();
    }

    /** The same of a checkpoint, as {@link #reading(Checkpoint)}. */
    public static Architecture architecture(Checkpoint checkpoint) throws CheckpointException {
        return reading(checkpoint).architecture();
    }

    /**
     * The architecture of a checkpoint, and what a user should know about it. If no family answers to the model type, the error
     * tells from the checkpoint's tensors which one is nearest.
     *
     * @throws CheckpointException as {@link #architecture(ModelConfig)}
     */
    public static ModelFamily.Reading reading(Checkpoint checkpoint) throws CheckpointException {
        return reading(checkpoint.config(), checkpoint.tensors().tensors());
    }

    /** What the family that answers to a config makes of it. */
    static ModelFamily.Reading reading(ModelConfig config, Map<String, TensorInfo> tensors) throws CheckpointException {
        Optional<String> wanted = config.family();
        String name = wanted.isPresent() ? wanted.get() : config.modelType();
        for (ModelFamily family : ALL) {
            if (family.modelTypes().contains(name)
                    || (wanted.isPresent() && family.name().equals(name))) {
                return read(family, config, tensors.keySet());
            }
        }
        if (wanted.isPresent()) {
            throw new CheckpointException("There is no family \"" + name + "\"; there are "
                    + ALL.stream().map(ModelFamily::name).collect(Collectors.joining(", ")));
        }
        throw new CheckpointException(config.origin() + ": model_type \"" + name + "\" is not supported"
                + Nearest.of(config, tensors)
                        .map(Nearest::sentence)
                        .orElse("; supported are "
                                + ALL.stream()
                                        .flatMap(family -> family.modelTypes().stream())
                                        .collect(Collectors.joining(", "))));
    }

    /** What a family makes of a config. */
    static ModelFamily.Reading read(ModelFamily family, ModelConfig config, Set<String> tensors)
            throws CheckpointException {
        ModelFamily.Reading reading = family.reader().read(config, tensors);
        requirePositive(config, reading.architecture());
        return reading;
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
        for (Block block : architecture.kinds().keySet()) {
            if (block.mlp() instanceof Mlp.Experts moe) {
                requireExperts(config, moe.routing(), moe.experts().size());
            }
        }
    }

    /** The choice of experts must be possible, whatever the family calls its numbers. */
    private static void requireExperts(ModelConfig config, Mlp.Routing routing, int experts)
            throws CheckpointException {
        if (routing.chosen() < 1 || routing.chosen() > experts) {
            throw new CheckpointException(config.origin() + ": num_experts_per_tok " + routing.chosen()
                    + " must lie between 1 and the number of experts, " + experts);
        }
        int groups = routing.groups();
        boolean possible = groups >= 1
                && experts % groups == 0
                && routing.chosenGroups() >= 1
                && routing.chosenGroups() <= groups
                && routing.chosen() <= experts / groups * routing.chosenGroups();
        if (!possible) {
            throw new CheckpointException(config.origin() + ": n_group " + groups + " and topk_group "
                    + routing.chosenGroups() + " do not fit " + experts + " experts of which " + routing.chosen()
                    + " are chosen");
        }
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
