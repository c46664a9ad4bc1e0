package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.Collections;
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
        Block block = new Block(
                MultiHead.of(
                        heads,
                        heads,
                        headDim,
                        new Position.Alibi(8, false, false),
                        new Fused(new Linear("self_attention.query_key_value", hidden, 3 * hidden, true), heads, "qkv"),
                        new Linear("self_attention.dense", hidden, hidden, true)),
                new Mlp.Plain(
                        Activation.GELU_TANH,
                        new Linear("mlp.dense_h_to_4h", hidden, 4 * hidden, true),
                        new Linear("mlp.dense_4h_to_h", 4 * hidden, hidden, true)),
                Norms.before(
                        new Norm(NormKind.LAYER, "input_layernorm", hidden, eps),
                        new Norm(NormKind.LAYER, "post_attention_layernorm", hidden, eps)),
                fromNorm ? Residual.FROM_NORM : Residual.SEQUENTIAL);
        return new Architecture(
                "bloom",
                hidden,
                keys.integer("vocab_size"),
                keys.integerOr(2048, "seq_length"),
                "transformer.",
                "transformer.h",
                Embedding.of("transformer.word_embeddings", hidden)
                        .withNorm(new Norm(NormKind.LAYER, "transformer.word_embeddings_layernorm", hidden, eps)),
                Collections.nCopies(keys.count("n_layer", "num_hidden_layers"), block),
                Head.of(
                        new Norm(NormKind.LAYER, "transformer.ln_f", hidden, eps),
                        "lm_head",
                        keys.flag(true, "tie_word_embeddings")));
    }
}
