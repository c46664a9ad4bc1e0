package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Granite 3, dense: as Llama, with multipliers of embeddings, scores, logits and what joins the residual stream.
 */
final class GraniteFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "granite",
            List.of("granite"),
            "3.0 to 3.3, dense; all four multipliers",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GraniteFamily::read));

    private GraniteFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        boolean bias = keys.flag(false, "attention_bias");
        Block block = new Block(
                llama.attention(bias, bias).withScale(keys.numberOr(1, "attention_multiplier")),
                llama.mlp(keys.flag(false, "mlp_bias")),
                llama.norms(NormKind.RMS, llama.eps()),
                Residual.SEQUENTIAL,
                keys.numberOr(1, "residual_multiplier"));
        return llama.architecture(
                "granite",
                llama.embedding().withScale(keys.numberOr(1, "embedding_multiplier")),
                llama.blocks(layer -> block),
                llama.head(NormKind.RMS, llama.eps(), false).withScale(1 / keys.numberOr(1, "logits_scaling")));
    }
}
