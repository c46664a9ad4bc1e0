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
 * Command R: attention and feed-forward part in parallel on one LayerNorm without bias, pairs of neighbours rotated, scaled logits.
 */
final class CohereFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "cohere",
            List.of("cohere"),
            "Command R, Command R+ with norms on queries and keys, Aya 23",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(CohereFamily::read));

    private CohereFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = keys.numberOr(1e-5, "layer_norm_eps");
        boolean bias = keys.flag(false, "attention_bias");
        MultiHead attention = llama.attention(bias, bias, keys.rotary(llama.headDim, true));
        if (keys.flag(false, "use_qk_norm")) {
            attention = attention.withNorms(llama.headNorms(NormSpan.EACH_HEAD, NormKind.LAYER_UNBIASED, "norm", eps));
        }
        Block block = block(llama, attention, eps);
        return llama.architecture("cohere", llama.embedding(), llama.blocks(layer -> block), head(llama, eps));
    }

    static Block block(LlamaLayout llama, MultiHead attention, double eps) throws CheckpointException {
        Norm norm = llama.norm(NormKind.LAYER_UNBIASED, "input_layernorm", eps);
        return new Block(attention, llama.mlp(false), Norms.before(norm, norm), Residual.PARALLEL);
    }

    static Head head(LlamaLayout llama, double eps) throws CheckpointException {
        return llama.head(NormKind.LAYER_UNBIASED, eps, true).withScale(llama.keys.numberOr(0.0625, "logit_scale"));
    }
}
