package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Head;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Phi 1, 1.5 and 2: LayerNorm, attention and feed-forward part in parallel on one norm, a part of each head rotated, biases
 * everywhere. Li et al. 2023 (arXiv 2309.05463).
 */
final class PhiFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "phi",
            List.of("phi"),
            "1, 1.5, 2",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(PhiFamily::read));

    private PhiFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = keys.numberOr(1e-5, "layer_norm_eps");
        MultiHead attention =
                llama.attention(true, "self_attn.dense", true, keys.partialRotary(llama.headDim, 0.5, false));
        if (keys.flag(false, "qk_layernorm")) {
            attention = attention.withNorms(llama.headNorms(NormSpan.HEAD, NormKind.LAYER, "layernorm", eps));
        }
        Norm norm = llama.norm(NormKind.LAYER, "input_layernorm", eps);
        Block block = new Block(
                attention, llama.plainMlp("fc1", "fc2", "gelu_new", true), Norms.before(norm, norm), Residual.PARALLEL);
        return llama.architecture(
                "phi",
                llama.embedding(),
                llama.blocks(layer -> block),
                Head.of(
                                llama.norm(NormKind.LAYER, "model.final_layernorm", eps),
                                "lm_head",
                                keys.flag(false, "tie_word_embeddings"))
                        .withBias(true));
    }
}
