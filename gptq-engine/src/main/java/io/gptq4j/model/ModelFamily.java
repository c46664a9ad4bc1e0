package io.gptq4j.model;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import java.util.List;

/**
 * A family of models: the values of config.json's {@code model_type} it answers to, and how to read such a config.
 *
 * @param name the family's name
 * @param modelTypes values of {@code model_type}
 * @param reader turns config.json into an architecture
 */
public record ModelFamily(String name, List<String> modelTypes, Reader reader) {
    /** Reads config.json; every key that changes the computation is obeyed or refused by name. */
    public interface Reader {
        /**
         * The architecture that the config describes.
         *
         * @throws CheckpointException naming the key that is missing, wrong or not supported
         */
        Architecture read(ModelConfig config) throws CheckpointException;
    }
}
