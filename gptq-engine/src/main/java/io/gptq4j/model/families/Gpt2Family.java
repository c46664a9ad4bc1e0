package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;

/**
 * GPT-2: learned positions, LayerNorm, one module for q, k and v, all weights stored as [in, out]. Radford et al. 2019;
 * scaling by the layer's number is Mistral's (Karamcheti et al. 2021).
 */
final class Gpt2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "gpt2",
            List.of("gpt2"),
            "small to xl, distilgpt2, dialogpt, cerebras-gpt; scores scaled by layer, or not at all",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Gpt2Family::read));

    private Gpt2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        keys.only("multihead", "attention_head_type");
        MultiHead attention = gpt.fused(
                gpt.heads,
                new Position.None(),
                new Fused(new Linear("attn.c_attn", gpt.hidden, 3 * gpt.hidden, true, true), 1, "qkv"),
                new Linear("attn.c_proj", gpt.hidden, gpt.hidden, true, true));
        Mlp mlp = gpt.mlp("c_fc", "c_proj", "gelu_new", true);
        double scale = keys.flag(true, "scale_attn_weights") ? attention.scale() : 1;
        boolean byLayer = keys.flag(false, "scale_attn_by_inverse_layer_idx");
        List<Block> blocks = new ArrayList<>();
        for (int layer = 0; layer < gpt.layers; layer++) {
            blocks.add(new Block(
                    attention.withScale(byLayer ? scale / (layer + 1) : scale), mlp, gpt.norms(), Residual.SEQUENTIAL));
        }
        int positions = gpt.positions(1024);
        return gpt.architecture("gpt2", positions, gpt.embedding(positions), blocks, gpt.head(true));
    }
}
