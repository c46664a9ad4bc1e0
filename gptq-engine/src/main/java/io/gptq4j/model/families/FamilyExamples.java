package io.gptq4j.model.families;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.ModelConfig;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** A small config.json of every family, from which can be seen what its modules are called. */
public final class FamilyExamples {
    private static final String FILE = "examples.json";

    private FamilyExamples() {}

    /** The examples by the family's name. */
    public static Map<String, ModelConfig> all() {
        Map<String, ModelConfig> examples = new LinkedHashMap<>();
        try (InputStream json = FamilyExamples.class.getResourceAsStream(FILE)) {
            if (json == null) {
                throw new IllegalStateException("The resource " + FILE + " is missing");
            }
            new ObjectMapper()
                    .readValue(json, new TypeReference<LinkedHashMap<String, Map<String, Object>>>() {})
                    .forEach((family, values) -> examples.put(family, ModelConfig.of(values, family + " in " + FILE)));
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot read the resource " + FILE, e);
        }
        return examples;
    }
}
