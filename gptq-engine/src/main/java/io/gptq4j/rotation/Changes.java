package io.gptq4j.rotation;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Attention;
import io.gptq4j.model.Block;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.rotation.Change.Fold;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

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
        String tokens = architecture.embedding().tokens() + ".weight";
        changes.put(tokens, new Change.Rows(tokens, Optional.empty()));
        for (int layer = 0; layer < architecture.layers(); layer++) {
            changes.block(architecture, layer);
        }
        Head head = architecture.head();
        if (head.normalized()) {
            throw changes.refused(
                    "the rows of its head are divided by their lengths, which the final norm's weights change");
        }
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

    private void block(Architecture architecture, int layer) {
        Block block = architecture.block(layer);
        switch (block.residual()) {
            case SEQUENTIAL, PARALLEL -> {}
            case FROM_NORM, POST_NORM -> throw refused("the weights of its norms stay in the residual stream");
        }
        if (block.norms().attentionOut().isPresent() || block.norms().mlpOut().isPresent()) {
            throw refused("it has norms between its modules and the residual stream");
        }
        String path = architecture.inBlock(layer, "");
        Fold attention = fold(path, block.norms().attentionIn().orElseThrow());
        Fold mlp = fold(path, block.norms().mlpIn().orElseThrow());
        read(architecture, layer, block.attention().inputs(), attention);
        write(architecture, layer, block.attention().output());
        keep(architecture, layer, block.attention());
        read(architecture, layer, block.floatModules(), mlp);
        if (block.mlp() instanceof Mlp.Experts moe) {
            moe.routing().bias().ifPresent(name -> keep(architecture.inBlock(layer, name)));
        }
        for (Mlp.Dense part : block.mlp().networks()) {
            read(architecture, layer, part.inputs(), mlp);
            write(architecture, layer, part.output());
        }
    }

    /** What lies within the attention, where nothing is rotated. */
    private void keep(Architecture architecture, int layer, Attention attention) {
        Set<String> own = new LinkedHashSet<>(architecture.blockTensors(layer).keySet());
        for (Linear linear : architecture.linears(layer)) {
            own.remove(architecture.inBlock(layer, linear.name()) + ".weight");
            own.remove(architecture.inBlock(layer, linear.name()) + ".bias");
        }
        if (attention instanceof Attention.MultiHead multi && multi.norms().isPresent()) {
            String query =
                    architecture.inBlock(layer, multi.norms().get().query().name() + ".");
            String key = architecture.inBlock(layer, multi.norms().get().key().name() + ".");
            own.stream()
                    .filter(name -> name.startsWith(query) || name.startsWith(key))
                    .forEach(this::keep);
        } else if (attention instanceof Attention.Latent latent) {
            throw refused("it has latent attention, whose modules between two others are not known to allow it ("
                    + latent.keyValue().name() + ")");
        }
    }

    private void keep(String name) {
        put(name, new Change.None(name));
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
            case RMS_PLUS_ONE -> 1;
            case LAYER, LAYER_PLUS_ONE, LAYER_UNBIASED, LAYER_PLAIN ->
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
