package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelFamily;
import java.util.List;

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
                return family.reader().read(config);
            }
        }
        List<String> known =
                ALL.stream().flatMap(family -> family.modelTypes().stream()).toList();
        throw new CheckpointException(config.origin() + ": model_type \"" + modelType
                + "\" is not supported; supported are " + String.join(", ", known));
    }
}
