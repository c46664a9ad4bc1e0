package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Attention;
import io.gptq4j.model.Architecture.Embedding;
import io.gptq4j.model.Architecture.Head;
import io.gptq4j.model.Architecture.LearnedPositions;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Mlp;
import io.gptq4j.model.Architecture.NoPosition;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Architecture.Projection;
import io.gptq4j.model.Architecture.Residual;
import io.gptq4j.model.ModelFamily;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * OPT: LayerNorm, learned positions with an offset of 2, plain MLP. The 350M model differs: it normalises after each
 * part and projects its narrower embeddings. Zhang et al. 2022 (arXiv 2205.01068).
 */
final class OptFamily {
    static final ModelFamily FAMILY = new ModelFamily("opt", List.of("opt"), OptFamily::read);

    private static final Pattern SCALED_TWICE = Pattern.compile("4\\.52\\.[0-3](\\D.*)?");
    private static final Logger LOG = LoggerFactory.getLogger(OptFamily.class);

    private OptFamily() {}

    private static Architecture read(ModelConfig config) throws CheckpointException {
        int hidden = config.intValue("hidden_size");
        int heads = config.intValue("num_attention_heads");
        int headDim = Configs.divided(config, "hidden_size over num_attention_heads", hidden, heads);
        int ffn = config.intValue("ffn_dim");
        int embedding = config.intValue("word_embed_proj_dim", hidden);
        int positions = config.intValue("max_position_embeddings", 2048);
        boolean bias = config.booleanValue("enable_bias", true);
        boolean preNorm = config.booleanValue("do_layer_norm_before", true);
        NormKind kind =
                config.booleanValue("layer_norm_elementwise_affine", true) ? NormKind.LAYER : NormKind.LAYER_PLAIN;
        boolean finalNorm = preNorm && !config.booleanValue("_remove_final_layer_norm", false);
        boolean projected = embedding != hidden;
        double scale = scale(config, headDim);
        return new Architecture(
                "opt",
                hidden,
                config.intValue("vocab_size"),
                positions,
                config.intValue("num_hidden_layers"),
                "model.",
                "model.decoder.layers",
                new Embedding(
                        "model.decoder.embed_tokens",
                        embedding,
                        projected
                                ? Optional.of(new Linear("model.decoder.project_in", embedding, hidden, false))
                                : Optional.empty(),
                        Optional.of(new LearnedPositions("model.decoder.embed_positions", positions, 2)),
                        Optional.empty()),
                new Attention(
                        heads,
                        heads,
                        headDim,
                        scale,
                        Projection.SEPARATE,
                        new NoPosition(),
                        List.of(
                                new Linear("self_attn.q_proj", hidden, hidden, bias),
                                new Linear("self_attn.k_proj", hidden, hidden, bias),
                                new Linear("self_attn.v_proj", hidden, hidden, bias)),
                        new Linear("self_attn.out_proj", hidden, hidden, bias)),
                new Mlp(
                        Configs.activation(config, "activation_function", "relu"),
                        List.of(new Linear("fc1", hidden, ffn, bias)),
                        new Linear("fc2", ffn, hidden, bias)),
                new Norm(kind, "self_attn_layer_norm", hidden, 1e-5),
                new Norm(kind, "final_layer_norm", hidden, 1e-5),
                preNorm ? Residual.PRE_NORM : Residual.POST_NORM,
                new Head(
                        finalNorm
                                ? Optional.of(new Norm(kind, "model.decoder.final_layer_norm", hidden, 1e-5))
                                : Optional.empty(),
                        projected
                                ? Optional.of(new Linear("model.decoder.project_out", hidden, embedding, false))
                                : Optional.empty(),
                        "lm_head",
                        config.booleanValue("tie_word_embeddings", true)));
    }

    /**
     * 1 / sqrt(headDim), or its square where config.json was saved by a transformers release that scaled the queries
     * twice (4.51.3 did not, 4.52.4 no longer did; huggingface/transformers issue 38277, pull request 38290). A model
     * trained with such a release has learned its weights under that scale and is wrong under any other.
     */
    private static double scale(ModelConfig config, int headDim) throws CheckpointException {
        String version = config.stringValue("transformers_version", "");
        if (SCALED_TWICE.matcher(version).matches()) {
            LOG.warn(
                    "{} was saved by transformers {}, which scaled the queries of OPT twice; computing as it did."
                            + " Servers scale once: if the model was trained with another release, change"
                            + " transformers_version.",
                    config.origin(),
                    version);
            return 1.0 / headDim;
        }
        return 1 / Math.sqrt(headDim);
    }
}
