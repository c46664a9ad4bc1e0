package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;

/**
 * SantaCoder and StarCoder: GPT-2 with plain linears, whose heads share one key and one value. Without that, c_attn holds q, k
 * and v head by head, which GPT-2's does not. Li et al. 2023 (arXiv 2305.06161).
 */
final class GptBigcodeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "gpt_bigcode",
            List.of("gpt_bigcode"),
            "santacoder, starcoder, starcoderbase; one key head, or all",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GptBigcodeFamily::read));

    private GptBigcodeFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        boolean multiQuery = keys.flag(true, "multi_query");
        keys.ignore("num_key_value_heads"); // says the same as multi_query
        int kvHeads = multiQuery ? 1 : gpt.heads;
        MultiHead attention = gpt.fused(
                kvHeads,
                new Position.None(),
                new Fused(
                        new Linear("attn.c_attn", gpt.hidden, gpt.hidden + 2 * kvHeads * gpt.headDim, true),
                        kvHeads,
                        "qkv"),
                new Linear("attn.c_proj", gpt.hidden, gpt.hidden, true));
        Block block = new Block(
                keys.flag(true, "scale_attn_weights") ? attention : attention.withScale(1),
                gpt.mlp("c_fc", "c_proj", "gelu_pytorch_tanh", false),
                gpt.norms(),
                Residual.SEQUENTIAL);
        int positions = gpt.positions(1024);
        return gpt.architecture(
                "gpt_bigcode",
                positions,
                gpt.embedding(positions),
                Collections.nCopies(gpt.layers, block),
                gpt.head(true));
    }
}
