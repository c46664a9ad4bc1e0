package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * BLOOM: ALiBi positions, q, k and v fused head by head, a norm on the embedding. Positions have no upper bound; {@code
 * seq_length}, where config.json has it, is only the training length. Scao et al. 2022 (arXiv 2211.05100).
 */
final class BloomFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "bloom",
            List.of("bloom"),
            "560m to 176b, bloomz, residual from the norm",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(BloomFamily::read));

    private BloomFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        int hidden = keys.integer("hidden_size", "n_embed");
        int heads = keys.integer("n_head", "num_attention_heads");
        int headDim = keys.divided("hidden_size over n_head", hidden, heads);
        double eps = keys.numberOr(1e-5, "layer_norm_epsilon");
        if (keys.flag(false, "slow_but_exact") && keys.integerOr(1, "pretraining_tp") > 1) {
            throw keys.error(
                    "slow_but_exact = true with pretraining_tp above 1 is not supported: transformers then leaves"
                            + " out biases that servers add; set slow_but_exact to false to have them added");
        }
        boolean fromNorm = keys.flag(false, "apply_residual_connection_post_layernorm");
        MegatronLayout megatron = new MegatronLayout(keys, hidden, heads, heads, headDim, NormKind.LAYER, eps);
        Block block = new Block(
                megatron.attention("self_attention", new Position.Alibi(8, false, false), heads, true, true),
                megatron.mlp(Activation.GELU_TANH, 4 * hidden, true),
                megatron.norms(),
                fromNorm ? Residual.FROM_NORM : Residual.SEQUENTIAL);
        return megatron.architecture(
                "bloom",
                keys.integerOr(2048, "seq_length"),
                megatron.embedding().withNorm(megatron.norm("transformer.word_embeddings_layernorm")),
                keys.count("n_layer", "num_hidden_layers"),
                block);
    }
}
