package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * GPT-Neo: learned positions, scores that are not scaled, and blocks that see all keys or only those of a window, by turns.
 * Black et al. 2021 (doi 10.5281/zenodo.5297715).
 */
final class GptNeoFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "gpt_neo",
            List.of("gpt_neo"),
            "125m to 2.7b, tinystories; any pattern of global and local attention",
            EnumSet.of(Server.TRANSFORMERS),
            Keys.reader(GptNeoFamily::read));

    private GptNeoFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        int hidden = gpt.hidden;
        MultiHead attention = MultiHead.of(
                        gpt.heads,
                        gpt.heads,
                        gpt.headDim,
                        new Position.None(),
                        Separate.under("attn.attention", hidden, hidden, hidden, false),
                        new Linear("attn.attention.out_proj", hidden, hidden, true))
                .withScale(1);
        Mlp mlp = gpt.mlp("c_fc", "c_proj", "gelu_new", false);
        int window = keys.integerOr(256, "window_size");
        List<Block> blocks = new ArrayList<>();
        for (Object type : layerTypes(keys, gpt.layers)) {
            if (!type.equals("global") && !type.equals("local")) {
                throw keys.error("attention_layers has \"" + type + "\", expected global or local");
            }
            blocks.add(new Block(
                    type.equals("local") ? attention.withWindow(window) : attention,
                    mlp,
                    gpt.norms(),
                    Residual.SEQUENTIAL));
        }
        int positions = gpt.positions(2048);
        return gpt.architecture("gpt_neo", positions, gpt.embedding(positions), blocks, gpt.head(true));
    }

    /** One of {@code attention_layers}, or of {@code attention_types}, a list of [[type, ...], repetitions], for each block. */
    private static List<?> layerTypes(Keys keys, int layers) throws CheckpointException {
        keys.ignore("attention_types"); // says the same as attention_layers, which counts
        Optional<List<?>> expanded = keys.perBlock("attention_layers", layers);
        if (expanded.isPresent()) {
            return expanded.get();
        }
        Object value = keys.config().values().get("attention_types");
        if (value == null) {
            return IntStream.range(0, layers)
                    .mapToObj(layer -> layer % 2 == 0 ? "global" : "local")
                    .toList();
        }
        List<Object> types = new ArrayList<>();
        for (Object part : value instanceof List<?> list ? list : List.of()) {
            if (part instanceof List<?> pair
                    && pair.size() == 2
                    && pair.get(0) instanceof List<?> pattern
                    && pair.get(1) instanceof Integer times) {
                for (int i = 0; i < times && types.size() <= layers; i++) {
                    types.addAll(pattern);
                }
            }
        }
        if (types.size() != layers) {
            throw keys.error("attention_types = " + value + " must be a list of [[types], repetitions] that describes "
                    + layers + " blocks");
        }
        return types;
    }
}
