package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Ministral 3: as Mistral, with YaRN; queries beyond the original context are multiplied by more and more, so windows end there.
 */
final class Ministral3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "ministral3",
            List.of("ministral3"),
            "3B, 8B, 14B, text only; windows up to the original context",
            EnumSet.of(Server.TRANSFORMERS),
            Keys.reader(Ministral3Family::read));

    private Ministral3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 8, 0);
        double eps = llama.eps(1e-5);
        Map<String, Object> rope = new LinkedHashMap<>(keys.rope()
                .orElseThrow(() -> keys.error("rope_parameters is missing; ministral3 needs it"))
                .values());
        boolean grows = rope.remove("llama_4_scaling_beta") instanceof Number beta && beta.doubleValue() != 0;
        ModelConfig plain = ModelConfig.of(rope, keys.config().origin());
        Architecture whole = llama.architecture(
                "ministral3",
                llama.embedding(),
                llama.blocks(
                        llama.attention(false, false, keys.rotary(Optional.of(plain), llama.headDim, 1, 1000000, false))
                                .withWindow(llama.window(0)),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
        return grows ? whole.withMaxPositions(plain.intValue("original_max_position_embeddings")) : whole;
    }
}
