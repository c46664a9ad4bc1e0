package io.gptq4j.model;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import java.util.List;
import java.util.Set;

/**
 * A family of models: the values of config.json's {@code model_type} it answers to, and how to read such a config.
 *
 * @param name the family's name
 * @param modelTypes values of {@code model_type}
 * @param variants what it covers, in words
 * @param servers those that have a class for it which loads GPTQ weights
 * @param reader turns config.json into an architecture
 */
public record ModelFamily(String name, List<String> modelTypes, String variants, Set<Server> servers, Reader reader) {
    /** Copies lists and sets. */
    public ModelFamily {
        modelTypes = List.copyOf(modelTypes);
        servers = Set.copyOf(servers);
    }

    /** Programs that serve GPTQ weights. */
    public enum Server {
        TGI("TGI"),
        VLLM("vLLM"),
        TRANSFORMERS("transformers");

        private final String title;

        Server(String title) {
            this.title = title;
        }

        /** How it is called. */
        public String title() {
            return title;
        }
    }

    /** Reads config.json; every key that changes the computation is obeyed or refused by name. */
    public interface Reader {
        /**
         * What the config describes.
         *
         * @throws CheckpointException naming the key that is missing, wrong or not supported
         */
        Reading read(ModelConfig config) throws CheckpointException;

        /**
         * The same for a checkpoint with tensors of these names, where they have been named in more than one way; none if they
         * are not known.
         */
        default Reading read(ModelConfig config, Set<String> tensors) throws CheckpointException {
            return read(config);
        }
    }

    /**
     * What a family has made of a config.
     *
     * @param architecture what it describes
     * @param warnings what a user should know, in sentences; keys of which it is not known what they do among it
     */
    public record Reading(Architecture architecture, List<String> warnings) {
        /** Copies the list. */
        public Reading {
            warnings = List.copyOf(warnings);
        }
    }
}
