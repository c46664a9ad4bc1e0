package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelFamily;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The register of model families. */
public final class ModelFamilies {
    /** Every family there is. */
    public static final List<ModelFamily> ALL = List.of(LlamaFamily.FAMILY, OptFamily.FAMILY, BloomFamily.FAMILY);

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
        Map<String, Integer> sizes = Map.of(
                "number of blocks", architecture.layers(),
                "hidden size", architecture.hiddenSize(),
                "vocabulary", architecture.vocabSize(),
                "number of positions", architecture.maxPositions(),
                "number of attention heads", architecture.attention().heads(),
                "size of an attention head", architecture.attention().headDim(),
                "inner size of the MLP", architecture.mlp().output().in());
        for (Map.Entry<String, Integer> size : new TreeMap<>(sizes).entrySet()) {
            if (size.getValue() < 1) {
                throw new CheckpointException(config.origin() + ": the model's " + size.getKey() + " is "
                        + size.getValue() + ", expected at least 1");
            }
        }
    }
}
