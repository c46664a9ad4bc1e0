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
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * StableLM: as Llama, with LayerNorm and a part of each head rotated. The 12B model has one norm for both parts and norms of its own on
 * each head. Bellagente et al. 2024 (arXiv 2402.17834).
 */
final class StableLmFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "stablelm",
            List.of("stablelm", "stablelm_epoch"),
            "3B, Zephyr, 1.6B and 2-12B with parallel residual and norms on each head",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(StableLmFamily::read));

    private StableLmFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 32, 0);
        double eps = keys.numberOr(1e-5, "layer_norm_eps", "norm_eps");
        MultiHead attention = llama.attention(
                keys.flag(false, "use_qkv_bias"), false, keys.partialRotary(llama.headDim, 0.25, false));
        if (keys.flag(false, "qk_layernorm")) {
            attention = attention.withNorms(
                    llama.headNorms(NormSpan.EACH_HEAD_APART, NormKind.LAYER_UNBIASED, "layernorm", eps));
        }
        boolean parallel = keys.flag(false, "use_parallel_residual");
        Norm norm = llama.norm(NormKind.LAYER, "input_layernorm", eps);
        Block block = new Block(
                attention,
                llama.mlp(false),
                parallel ? Norms.before(norm, norm) : llama.norms(NormKind.LAYER, eps),
                parallel ? Residual.PARALLEL : Residual.SEQUENTIAL);
        return llama.architecture(
                "stablelm", llama.embedding(), llama.blocks(layer -> block), llama.head(NormKind.LAYER, eps, false));
    }
}
