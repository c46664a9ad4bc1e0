package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * MiniCPM 1, 2 and 4: as Llama, with multipliers of embeddings, logits and what joins the residual stream. From windows of {@code
 * dense_len} tokens on, sparse attention sets in where MiniCPM 4 has it, so windows end before. Hu et al. 2024 (arXiv 2404.06395).
 */
final class MiniCpmFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "minicpm",
            List.of("minicpm"),
            "1B, 2B, MiniCPM4 and 4.1, dense; windows shorter than the dense_len of a sparse_config",
            EnumSet.of(Server.VLLM),
            Keys.reader(MiniCpmFamily::read));

    private MiniCpmFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        keys.ignore("mup_denominator"); // of a draft model
        requireOneListOfFactors(keys);
        LlamaLayout llama = new LlamaLayout(keys);
        boolean bias = keys.flag(false, "attention_bias");
        Block block = new Block(
                llama.attention(bias, bias),
                llama.mlp(false),
                llama.norms(NormKind.RMS, llama.eps()),
                Residual.SEQUENTIAL,
                keys.numberOr(1, "scale_depth") / Math.sqrt(llama.layers));
        Architecture whole = llama.architecture(
                "minicpm",
                llama.embedding().withScale(keys.numberOr(1, "scale_emb")),
                llama.blocks(layer -> block),
                llama.head(NormKind.RMS, llama.eps(), true)
                        .withScale(keys.numberOr(1, "dim_model_base") / llama.hidden));
        Optional<ModelConfig> sparse = keys.object("sparse_config");
        if (sparse.isEmpty()) {
            return whole;
        }
        int dense = sparse.get().intValue("dense_len", 0);
        if (dense < 2) {
            throw keys.error("sparse_config = " + sparse.get().values() + " has dense_len " + dense
                    + ", that is, sparse attention in all windows, which is not supported");
        }
        return whole.withMaxPositions(Math.min(whole.maxPositions(), dense - 1));
    }

    /** The model's own code takes {@code long_factor} for short windows, too, where there are more positions than at first. */
    private static void requireOneListOfFactors(Keys keys) throws CheckpointException {
        int positions = keys.integerOr(2048, "max_position_embeddings");
        Optional<ModelConfig> rope = keys.rope().filter(scaling -> scaling.has("long_factor"));
        if (rope.isPresent() && rope.get().intValue("original_max_position_embeddings", positions) < positions) {
            throw keys.error(
                    "max_position_embeddings " + positions + " is more than original_max_position_embeddings of"
                            + " rope_scaling, which is not supported for model_type \"minicpm\"");
        }
    }
}
