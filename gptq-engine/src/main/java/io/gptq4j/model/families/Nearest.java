package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The family whose tensors are most like those of a checkpoint that no family answers to.
 *
 * @param family the family
 * @param missing tensors that it needs and the checkpoint does not have, or not in this shape
 * @param others tensors of the checkpoint that it does not read
 */
record Nearest(ModelFamily family, List<String> missing, List<String> others) {
    /** The nearest one; none if no family can read the config, or there are no tensors in common. */
    static Optional<Nearest> of(ModelConfig config, Map<String, TensorInfo> tensors) {
        Nearest best = null;
        for (ModelFamily family : ModelFamilies.ALL) {
            Architecture architecture;
            try {
                architecture =
                        ModelFamilies.read(family, config, tensors.keySet()).architecture();
            } catch (CheckpointException | RuntimeException unreadable) {
                continue; // a config that it cannot read is not of this family
            }
            Nearest nearest = compare(family, architecture, tensors);
            boolean common = nearest.missing.size() < architecture.tensors().size();
            if (common && (best == null || nearest.distance() < best.distance())) {
                best = nearest;
            }
        }
        return Optional.ofNullable(best);
    }

    private static Nearest compare(ModelFamily family, Architecture architecture, Map<String, TensorInfo> tensors) {
        Map<String, TensorInfo> others = new HashMap<>(tensors);
        List<String> missing = new ArrayList<>();
        architecture.tensors().forEach((name, shape) -> {
            Optional<TensorInfo> found = architecture.storedNames(name).stream()
                    .filter(others::containsKey)
                    .findFirst()
                    .map(others::remove);
            if (found.filter(info -> info.shape().equals(shape)).isEmpty()) {
                missing.add(name);
            }
        });
        return new Nearest(family, missing, others.keySet().stream().sorted().toList());
    }

    private int distance() {
        return missing.size() + others.size();
    }

    /** What follows "is not supported". */
    String sentence() {
        String difference = missing.isEmpty() && others.isEmpty()
                ? "its tensors are the same"
                : "of what that needs it lacks " + some(missing) + ", and it has besides " + some(others);
        return "; the nearest family is " + family.name() + ": " + difference
                + ". If it computes the same, say --family " + family.name();
    }

    private static String some(List<String> names) {
        return names.isEmpty()
                ? "nothing"
                : names.size() + (names.size() == 1 ? " tensor, " : " tensors, such as ") + names.get(0);
    }
}
