package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Embedding;
import io.gptq4j.model.Architecture.Head;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.HeadNorms;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.Position;
import java.util.ArrayList;
import java.util.List;

/**
 * What most families have in common with Llama: its config keys and tensor names. Each method makes one part from the keys, so
 * that a family takes those it shares and says what differs.
 */
final class LlamaLayout {
    final Keys keys;
    final int hidden;
    final int heads;
    final int kvHeads;
    final int headDim;
    final int layers;

    LlamaLayout(Keys keys) throws CheckpointException {
        this.keys = keys;
        this.hidden = keys.integer("hidden_size");
        this.heads = keys.integer("num_attention_heads");
        this.kvHeads = keys.integerOr(heads, "num_key_value_heads");
        keys.divided("num_attention_heads over num_key_value_heads", heads, kvHeads);
        this.headDim = keys.has("head_dim")
                ? keys.integer("head_dim")
                : keys.divided("hidden_size over num_attention_heads", hidden, heads);
        this.layers = keys.integer("num_hidden_layers");
    }

    /** q, k, v and o under {@code self_attn}, with rotary positions. */
    MultiHead attention(boolean qkvBias, boolean outputBias) throws CheckpointException {
        return attention(qkvBias, outputBias, keys.rotary(headDim, false));
    }

    MultiHead attention(boolean qkvBias, boolean outputBias, Position position) {
        return MultiHead.of(
                heads,
                kvHeads,
                headDim,
                position,
                new Separate(
                        new Linear("self_attn.q_proj", hidden, heads * headDim, qkvBias),
                        new Linear("self_attn.k_proj", hidden, kvHeads * headDim, qkvBias),
                        new Linear("self_attn.v_proj", hidden, kvHeads * headDim, qkvBias)),
                new Linear("self_attn.o_proj", heads * headDim, hidden, outputBias));
    }

    /** Norms over each head of queries and keys, {@code self_attn.q_norm} and {@code self_attn.k_norm}. */
    HeadNorms headNorms(NormKind kind, double eps) {
        return new HeadNorms(
                NormSpan.HEAD,
                new Norm(kind, "self_attn.q_norm", headDim, eps),
                new Norm(kind, "self_attn.k_norm", headDim, eps));
    }

    /** gate, up and down under {@code mlp}. */
    Mlp.Gated mlp(boolean bias) throws CheckpointException {
        return gated("mlp", keys.integer("intermediate_size"), bias);
    }

    /** gate, up and down under another path. */
    Mlp.Gated gated(String path, int intermediate, boolean bias) throws CheckpointException {
        return new Mlp.Gated(
                keys.activation("silu", "hidden_act", "hidden_activation"),
                new Linear(path + ".gate_proj", hidden, intermediate, bias),
                new Linear(path + ".up_proj", hidden, intermediate, bias),
                new Linear(path + ".down_proj", intermediate, hidden, bias));
    }

    /** The value of {@code rms_norm_eps}. */
    double eps() throws CheckpointException {
        return keys.numberOr(1e-6, "rms_norm_eps");
    }

    Norm norm(NormKind kind, String name, double eps) {
        return new Norm(kind, name, hidden, eps);
    }

    /** {@code input_layernorm} and {@code post_attention_layernorm} on what the parts read. */
    Norms norms(NormKind kind, double eps) {
        return Norms.before(norm(kind, "input_layernorm", eps), norm(kind, "post_attention_layernorm", eps));
    }

    /** The same block as often as there are layers. */
    List<Block> blocks(MultiHead attention, Mlp mlp, Norms norms) throws CheckpointException {
        Block block = new Block(attention, mlp, norms, Residual.SEQUENTIAL);
        return blocks(layer -> block);
    }

    /** What makes a block of its number. */
    interface BlockOf {
        Block block(int layer) throws CheckpointException;
    }

    /** One block for each layer. */
    List<Block> blocks(BlockOf maker) throws CheckpointException {
        List<Block> blocks = new ArrayList<>();
        for (int layer = 0; layer < layers; layer++) {
            blocks.add(maker.block(layer));
        }
        return blocks;
    }

    Embedding embedding() {
        return Embedding.of("model.embed_tokens", hidden);
    }

    /** The final norm {@code model.norm} and {@code lm_head}. */
    Head head(NormKind kind, double eps, boolean tiedByDefault) throws CheckpointException {
        return Head.of(norm(kind, "model.norm", eps), "lm_head", keys.flag(tiedByDefault, "tie_word_embeddings"));
    }

    /** The whole, with {@code model.layers}. */
    Architecture architecture(String family, Embedding embedding, List<Block> blocks, Head head)
            throws CheckpointException {
        return new Architecture(
                family,
                hidden,
                keys.integer("vocab_size"),
                keys.integerOr(2048, "max_position_embeddings"),
                "model.",
                "model.layers",
                embedding,
                blocks,
                head);
    }
}
