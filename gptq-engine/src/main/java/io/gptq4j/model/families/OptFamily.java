package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Embedding.LearnedPositions;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.regex.Pattern;

/**
 * OPT: LayerNorm, learned positions with an offset of 2, plain MLP. The 350M model differs: it normalises after each
 * part and projects its narrower embeddings. Zhang et al. 2022 (arXiv 2205.01068).
 */
final class OptFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "opt",
            List.of("opt"),
            "125m to 66b, 350m with its norms after and narrow embedding, galactica",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(OptFamily::read));

    private static final Pattern SCALED_TWICE = Pattern.compile("4\\.52\\.[0-3](\\D.*)?");

    private OptFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        int hidden = keys.integer("hidden_size");
        int heads = keys.integer("num_attention_heads");
        int headDim = keys.divided("hidden_size over num_attention_heads", hidden, heads);
        int ffn = keys.integer("ffn_dim");
        int size = keys.integerOr(hidden, "word_embed_proj_dim");
        int positions = keys.integerOr(2048, "max_position_embeddings");
        boolean bias = keys.flag(true, "enable_bias");
        boolean before = keys.flag(true, "do_layer_norm_before");
        boolean finalNorm = !keys.flag(false, "_remove_final_layer_norm") && before;
        NormKind kind = keys.flag(true, "layer_norm_elementwise_affine") ? NormKind.LAYER : NormKind.LAYER_PLAIN;
        Norm attentionNorm = new Norm(kind, "self_attn_layer_norm", hidden, 1e-5);
        Norm mlpNorm = new Norm(kind, "final_layer_norm", hidden, 1e-5);
        MultiHead attention = MultiHead.of(
                heads,
                heads,
                headDim,
                new Position.None(),
                Separate.under("self_attn", hidden, hidden, hidden, bias),
                new Linear("self_attn.out_proj", hidden, hidden, bias));
        Block block = new Block(
                attention.withScale(scale(keys, headDim)),
                new Mlp.Plain(
                        keys.activation("relu", "activation_function"),
                        new Linear("fc1", hidden, ffn, bias),
                        new Linear("fc2", ffn, hidden, bias)),
                before ? Norms.before(attentionNorm, mlpNorm) : Norms.after(attentionNorm, mlpNorm),
                before ? Residual.SEQUENTIAL : Residual.POST_NORM);
        Embedding embedding = Embedding.of("model.decoder.embed_tokens", size)
                .withPositions(new LearnedPositions("model.decoder.embed_positions", positions, 2));
        Head head = Head.of(
                new Norm(kind, "model.decoder.final_layer_norm", hidden, 1e-5),
                "lm_head",
                keys.flag(true, "tie_word_embeddings"));
        if (size != hidden) {
            embedding = embedding.withProjection(new Linear("model.decoder.project_in", size, hidden, false));
            head = head.withProjection(new Linear("model.decoder.project_out", hidden, size, false));
        }
        return new Architecture(
                "opt",
                hidden,
                keys.integer("vocab_size"),
                positions,
                "model.",
                "model.decoder.layers",
                embedding,
                Collections.nCopies(keys.count("num_hidden_layers"), block),
                finalNorm ? head : head.withoutNorm());
    }

    /**
     * 1 / sqrt(headDim), or its square where config.json was saved by a transformers release that scaled the queries
     * twice (4.51.3 did not, 4.52.4 no longer did; huggingface/transformers issue 38277, pull request 38290). A model
     * trained with such a release has learned its weights under that scale and is wrong under any other.
     */
    private static double scale(Keys keys, int headDim) throws CheckpointException {
        String version = keys.textOr("", "transformers_version");
        if (SCALED_TWICE.matcher(version).matches()) {
            keys.warn(keys.config().origin() + " was saved by transformers " + version
                    + ", which scaled the queries of OPT twice; computing as it did. Servers scale once: if the model was"
                    + " trained with another release, change transformers_version.");
            return 1.0 / headDim;
        }
        return 1 / Math.sqrt(headDim);
    }
}
