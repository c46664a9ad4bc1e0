package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Activation;
import io.gptq4j.model.Architecture.Alibi;
import io.gptq4j.model.Architecture.Attention;
import io.gptq4j.model.Architecture.Embedding;
import io.gptq4j.model.Architecture.Head;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Mlp;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Architecture.Projection;
import io.gptq4j.model.Architecture.Residual;
import io.gptq4j.model.ModelFamily;
import java.util.List;
import java.util.Optional;

/**
 * BLOOM: ALiBi positions, q, k and v fused head by head, a norm on the embedding. Positions have no upper bound; {@code
 * seq_length}, where config.json has it, is only the training length. Scao et al. 2022 (arXiv 2211.05100).
 */
final class BloomFamily {
    static final ModelFamily FAMILY = new ModelFamily("bloom", List.of("bloom"), BloomFamily::read);

    private BloomFamily() {}

    private static Architecture read(ModelConfig config) throws CheckpointException {
        int hidden = Configs.either(config, "hidden_size", "n_embed");
        int heads = Configs.either(config, "n_head", "num_attention_heads");
        int headDim = Configs.divided(config, "hidden_size over n_head", hidden, heads);
        double eps = config.doubleValue("layer_norm_epsilon", 1e-5);
        boolean fromNorm = config.booleanValue("apply_residual_connection_post_layernorm", false);
        return new Architecture(
                "bloom",
                hidden,
                config.intValue("vocab_size"),
                config.intValue("seq_length", 2048),
                Configs.either(config, "n_layer", "num_hidden_layers"),
                "transformer.",
                "transformer.h",
                new Embedding(
                        "transformer.word_embeddings",
                        hidden,
                        Optional.empty(),
                        Optional.empty(),
                        Optional.of(new Norm(NormKind.LAYER, "transformer.word_embeddings_layernorm", hidden, eps))),
                new Attention(
                        heads,
                        heads,
                        headDim,
                        1 / Math.sqrt(headDim),
                        Projection.FUSED_PER_HEAD,
                        new Alibi(),
                        List.of(new Linear("self_attention.query_key_value", hidden, 3 * hidden, true)),
                        new Linear("self_attention.dense", hidden, hidden, true)),
                new Mlp(
                        Activation.GELU_TANH,
                        List.of(new Linear("mlp.dense_h_to_4h", hidden, 4 * hidden, true)),
                        new Linear("mlp.dense_4h_to_h", 4 * hidden, hidden, true)),
                new Norm(NormKind.LAYER, "input_layernorm", hidden, eps),
                new Norm(NormKind.LAYER, "post_attention_layernorm", hidden, eps),
                fromNorm ? Residual.PRE_NORM_FROM_NORM : Residual.PRE_NORM,
                new Head(
                        Optional.of(new Norm(NormKind.LAYER, "transformer.ln_f", hidden, eps)),
                        Optional.empty(),
                        "lm_head",
                        config.booleanValue("tie_word_embeddings", true)));
    }
}
