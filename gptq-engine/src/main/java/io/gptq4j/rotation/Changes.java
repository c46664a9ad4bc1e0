package io.gptq4j.rotation;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.rotation.Change.Fold;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a rotation makes of every tensor of a model, from the parts that it consists of. */
final class Changes {
    private final Map<String, Change> changes = new LinkedHashMap<>();
    private final String family;

    private Changes(String family) {
        this.family = family;
    }

    /**
     * The changes by canonical name, the output head among them also where it is tied: the final norm is folded into it,
     * so that it is not the embedding any more.
     *
     * @throws IllegalArgumentException if no rotation leaves the model one of its family, saying why
     */
    static Map<String, Change> of(Architecture architecture) {
        Changes changes = new Changes(architecture.family());
        boolean normed = switch (architecture.residual()) {
            case PRE_NORM -> false;
            case PRE_NORM_FROM_NORM, POST_NORM -> true;
        };
        if (normed) {
            throw changes.refused("the weights of its norms stay in the residual stream");
        }
        String tokens = architecture.embedding().tokens() + ".weight";
        changes.put(tokens, new Change.Rows(tokens, Optional.empty()));
        for (int layer = 0; layer < architecture.layers(); layer++) {
            Fold attention = changes.fold(architecture.inBlock(layer, ""), architecture.attentionNorm());
            Fold mlp = changes.fold(architecture.inBlock(layer, ""), architecture.mlpNorm());
            changes.read(architecture, layer, architecture.attention().inputs(), attention);
            changes.write(architecture, layer, architecture.attention().output());
            changes.read(architecture, layer, architecture.mlp().inputs(), mlp);
            changes.write(architecture, layer, architecture.mlp().output());
        }
        Architecture.Head head = architecture.head();
        changes.put(
                head.name() + ".weight",
                new Change.Rows(
                        head.tied() ? tokens : head.name() + ".weight",
                        head.norm().map(norm -> changes.fold("", norm))));
        for (String name : architecture.tensors().keySet()) {
            if (!changes.changes.containsKey(name)) {
                throw changes.refused("it is not known what becomes of " + name);
            }
        }
        return changes.changes;
    }

    private void read(Architecture architecture, int layer, List<Linear> modules, Fold norm) {
        for (Linear module : modules) {
            String path = architecture.inBlock(layer, module.name());
            put(path + ".weight", new Change.Rows(path + ".weight", Optional.of(norm)));
            if (module.bias()) {
                put(path + ".bias", new Change.None(path + ".bias"));
            }
        }
    }

    private void write(Architecture architecture, int layer, Linear module) {
        String path = architecture.inBlock(layer, module.name());
        put(path + ".weight", new Change.Columns(path + ".weight"));
        if (module.bias()) {
            put(path + ".bias", new Change.Columns(path + ".bias"));
        }
    }

    /** Takes the weights out of a norm; what reads it multiplies by them. */
    private Fold fold(String prefix, Norm norm) {
        double offset = switch (norm.kind()) {
            case RMS -> 0;
            case LAYER, LAYER_PLAIN ->
                throw refused("its LayerNorm subtracts the mean of the channels, which after a rotation are others");
        };
        String weight = prefix + norm.name() + ".weight";
        put(weight, new Change.Constant(weight, (float) (1 - offset)));
        return new Fold(weight, offset);
    }

    private void put(String name, Change change) {
        changes.put(name, change);
    }

    private IllegalArgumentException refused(String reason) {
        return new IllegalArgumentException(
                family + " cannot be rotated into a checkpoint of the same family: " + reason + "; leave --rotate out");
    }
}
