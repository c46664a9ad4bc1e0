package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * InternLM 2: as Llama under other names, with q, k and v in one module, group by group of the heads that share keys. Cai et al. 2024
 * (arXiv 2403.17297).
 */
final class InternLm2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "internlm2",
            List.of("internlm2"),
            "1.8B, 7B, 20B, 2.5",
            EnumSet.of(Server.VLLM),
            Keys.reader(InternLm2Family::read));

    private InternLm2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        int hidden = llama.hidden;
        int width = llama.heads * llama.headDim;
        int intermediate = keys.integer("intermediate_size");
        boolean bias = keys.flag(true, "bias");
        MultiHead attention = MultiHead.of(
                llama.heads,
                llama.kvHeads,
                llama.headDim,
                keys.rotary(llama.headDim, false),
                new Fused(
                        new Linear("attention.wqkv", hidden, width + 2 * llama.kvHeads * llama.headDim, bias),
                        llama.kvHeads,
                        "qkv"),
                new Linear("attention.wo", width, hidden, bias));
        Mlp mlp = new Mlp.Gated(
                keys.activation("silu", "hidden_act"),
                new Linear("feed_forward.w1", hidden, intermediate, false),
                new Linear("feed_forward.w3", hidden, intermediate, false),
                new Linear("feed_forward.w2", intermediate, hidden, false));
        Norms norms = Norms.before(
                llama.norm(NormKind.RMS, "attention_norm", llama.eps()),
                llama.norm(NormKind.RMS, "ffn_norm", llama.eps()));
        return llama.architecture(
                "internlm2",
                Embedding.of("model.tok_embeddings", hidden),
                llama.blocks(attention, mlp, norms),
                Head.of(
                        llama.norm(NormKind.RMS, "model.norm", llama.eps()),
                        "output",
                        keys.flag(false, "tie_word_embeddings")));
    }
}
