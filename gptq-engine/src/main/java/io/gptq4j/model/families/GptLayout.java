package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
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
import io.gptq4j.model.Embedding.LearnedPositions;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.Collections;
import java.util.List;

/**
 * What GPT-2 and its successors have in common: config keys, and tensor names under {@code transformer}. Sizes have an old and a
 * new spelling.
 */
final class GptLayout {
    final Keys keys;
    final int hidden;
    final int heads;
    final int headDim;
    final int layers;
    final double eps;

    GptLayout(Keys keys) throws CheckpointException {
        this.keys = keys;
        this.hidden = keys.integer("n_embd", "hidden_size");
        this.heads = keys.integer("n_head", "num_attention_heads", "num_heads");
        this.headDim = keys.divided("hidden size over attention heads", hidden, heads);
        this.layers = keys.count("n_layer", "num_hidden_layers", "num_layers");
        this.eps = keys.numberOr(1e-5, "layer_norm_epsilon");
    }

    /** Attention whose queries, keys and values one module makes. */
    MultiHead fused(int kvHeads, Position position, Fused projection, Linear output) {
        return MultiHead.of(heads, kvHeads, headDim, position, projection, output);
    }

    /** Two modules under {@code mlp}, with biases; four times as wide within unless the config says otherwise. */
    Mlp.Plain mlp(String up, String down, String defaultActivation, boolean transposed) throws CheckpointException {
        int inner = keys.integerOr(4 * hidden, "n_inner", "intermediate_size");
        return new Mlp.Plain(
                keys.activation(defaultActivation, "activation_function"),
                new Linear("mlp." + up, hidden, inner, true, transposed),
                new Linear("mlp." + down, inner, hidden, true, transposed));
    }

    /** The rotation of the first {@code rotary_dim} channels, in pairs of neighbours. */
    Position.Rotary rotary() throws CheckpointException {
        int channels = keys.has("rotary_dim") ? keys.integer("rotary_dim") : 64;
        if (channels < 2 || channels % 2 != 0 || channels > headDim) {
            throw keys.error("rotary_dim " + channels + " does not fit heads of " + headDim
                    + " channels; expected an even number of at most that many");
        }
        return new Position.Rotary(channels, 10000, true, new RopeScaling.None());
    }

    /** {@code ln_1} and {@code ln_2} on what the parts read. */
    Norms norms() {
        return Norms.before(norm("ln_1"), norm("ln_2"));
    }

    Norm norm(String name) {
        return new Norm(NormKind.LAYER, name, hidden, eps);
    }

    /** An RMSNorm with an epsilon of that key, too. */
    Norm rmsNorm(String name, double defaultEps) throws CheckpointException {
        return new Norm(NormKind.RMS, name, hidden, keys.numberOr(defaultEps, "layer_norm_epsilon"));
    }

    /** The longest window. */
    int positions(int defaultValue) throws CheckpointException {
        return keys.integerOr(defaultValue, "n_positions", "max_position_embeddings", "n_ctx");
    }

    Embedding embedding() {
        return Embedding.of("transformer.wte", hidden);
    }

    /** The same with learned positions. */
    Embedding embedding(int positions) {
        return embedding().withPositions(new LearnedPositions("transformer.wpe", positions, 0));
    }

    /** {@code transformer.ln_f} and {@code lm_head}. */
    Head head(boolean tiedByDefault) throws CheckpointException {
        return head(norm("transformer.ln_f"), tiedByDefault);
    }

    /** The same with another kind of norm. */
    Head head(Norm norm, boolean tiedByDefault) throws CheckpointException {
        return Head.of(norm, "lm_head", keys.flag(tiedByDefault, "tie_word_embeddings"));
    }

    /** The whole of GPT-J and CodeGen: attention and MLP side by side after {@code ln_1}, and a head with a bias. */
    Architecture parallel(String family, MultiHead attention) throws CheckpointException {
        Block block = new Block(
                attention,
                mlp("fc_in", "fc_out", "gelu_new", false),
                Norms.before(norm("ln_1"), norm("ln_1")),
                Residual.PARALLEL);
        return architecture(
                family,
                positions(2048),
                embedding(),
                Collections.nCopies(layers, block),
                head(false).withBias(true));
    }

    /** The whole, with {@code transformer.h}. */
    Architecture architecture(String family, int positions, Embedding embedding, List<Block> blocks, Head head)
            throws CheckpointException {
        return whole(keys, family, hidden, positions, embedding, blocks, head);
    }

    /** The same for who has read the sizes. */
    static Architecture whole(
            Keys keys, String family, int hidden, int positions, Embedding embedding, List<Block> blocks, Head head)
            throws CheckpointException {
        return new Architecture(
                family,
                hidden,
                keys.integer("vocab_size"),
                positions,
                "transformer.",
                "transformer.h",
                embedding,
                blocks,
                head);
    }
}
