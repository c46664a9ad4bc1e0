package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.HeadNorms;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Embedding;
import io.gptq4j.model.Head;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.Position;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

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

    /** Missing keys make as many key heads as heads, and heads that share the hidden size. */
    LlamaLayout(Keys keys) throws CheckpointException {
        this(keys, 0, 0);
    }

    /**
     * With defaults of the family's own where keys are missing, though not where they are null.
     *
     * @param defaultKvHeads of {@code num_key_value_heads}; 0 for as many as heads
     * @param defaultHeadDim of {@code head_dim}; 0 for the hidden size over the heads
     */
    LlamaLayout(Keys keys, int defaultKvHeads, int defaultHeadDim) throws CheckpointException {
        this.keys = keys;
        this.hidden = keys.integer("hidden_size");
        this.heads = keys.integer("num_attention_heads");
        int kv = keys.integerOrNone(defaultKvHeads, "num_key_value_heads");
        this.kvHeads = kv == 0 ? heads : kv;
        keys.divided("num_attention_heads over num_key_value_heads", heads, kvHeads);
        int dim = keys.integerOrNone(defaultHeadDim, "head_dim");
        this.headDim = dim == 0 ? keys.divided("hidden_size over num_attention_heads", hidden, heads) : dim;
        this.layers = keys.count("num_hidden_layers");
    }

    /** q, k, v and o under {@code self_attn}, with rotary positions. */
    MultiHead attention(boolean qkvBias, boolean outputBias) throws CheckpointException {
        return attention(qkvBias, outputBias, keys.rotary(headDim, false));
    }

    MultiHead attention(boolean qkvBias, boolean outputBias, Position position) {
        return attention(qkvBias, "self_attn.o_proj", outputBias, position);
    }

    /** The same with another name for o. */
    MultiHead attention(boolean qkvBias, String output, boolean outputBias, Position position) {
        return MultiHead.of(
                heads,
                kvHeads,
                headDim,
                position,
                Separate.under("self_attn", hidden, heads * headDim, kvHeads * headDim, qkvBias),
                new Linear(output, heads * headDim, hidden, outputBias));
    }

    /** One module {@code self_attn.NAME} for all queries, all keys, all values, without biases. */
    MultiHead fusedAttention(String name, Position position) {
        int outputs = (heads + 2 * kvHeads) * headDim;
        return MultiHead.of(
                heads,
                kvHeads,
                headDim,
                position,
                new Fused(new Linear("self_attn." + name, hidden, outputs, false), 1, "qkv"),
                new Linear("self_attn.o_proj", heads * headDim, hidden, false));
    }

    /** How far back {@code sliding_window} lets a query look; 0 for all the way. Null counts as 0, a missing key as the default. */
    int window(int defaultWindow) throws CheckpointException {
        return keys.integerOrNone(defaultWindow, "sliding_window");
    }

    /** Which layers {@code layer_types} calls {@code sliding_attention}, or those that the rule says where it is missing. */
    IntPredicate sliding(IntPredicate rule) throws CheckpointException {
        Optional<List<?>> types = keys.perBlock("layer_types", layers);
        for (Object type : types.orElse(List.of())) {
            if (!"sliding_attention".equals(type) && !"full_attention".equals(type)) {
                throw keys.error("layer_types has \"" + type
                        + "\"; supported are full_attention and sliding_attention for model_type \""
                        + keys.config().modelType() + "\"");
            }
        }
        return types.isPresent()
                ? layer -> "sliding_attention".equals(types.get().get(layer))
                : rule;
    }

    /** The same where all layers slide but every nth, n being {@code sliding_window_pattern}. */
    IntPredicate sliding(int defaultPattern) throws CheckpointException {
        if (keys.has("layer_types")) {
            keys.ignore("sliding_window_pattern");
            return sliding(layer -> false);
        }
        int pattern = keys.integerOrNone(defaultPattern, "sliding_window_pattern");
        return layer -> pattern > 0 && (layer + 1) % pattern != 0;
    }

    /** Norms over each head of queries and keys, {@code self_attn.q_norm} and {@code self_attn.k_norm}. */
    HeadNorms headNorms(NormKind kind, double eps) {
        return headNorms(NormSpan.HEAD, kind, "norm", eps);
    }

    /** Norms {@code self_attn.q_NAME} and {@code self_attn.k_NAME}, each over a head. */
    HeadNorms headNorms(NormSpan span, NormKind kind, String name, double eps) {
        return new HeadNorms(
                span,
                new Norm(kind, "self_attn.q_" + name, headDim, eps),
                new Norm(kind, "self_attn.k_" + name, headDim, eps));
    }

    /** gate, up and down under {@code mlp}. */
    Mlp.Gated mlp(boolean bias) throws CheckpointException {
        return gated("mlp", keys.integer("intermediate_size"), bias);
    }

    /** {@code mlp.gate_up_proj}, gate first, and down, without biases. */
    Mlp.FusedGated fusedMlp() throws CheckpointException {
        int intermediate = keys.integer("intermediate_size");
        return new Mlp.FusedGated(
                keys.activation("silu", "hidden_act"),
                new Linear("mlp.gate_up_proj", hidden, 2 * intermediate, false),
                new Linear("mlp.down_proj", intermediate, hidden, false));
    }

    /** Two modules under {@code mlp}. */
    Mlp.Plain plainMlp(String up, String down, String defaultActivation, boolean bias) throws CheckpointException {
        int intermediate = keys.integer("intermediate_size");
        return new Mlp.Plain(
                keys.activation(defaultActivation, "hidden_act"),
                new Linear("mlp." + up, hidden, intermediate, bias),
                new Linear("mlp." + down, intermediate, hidden, bias));
    }

    /** gate, up and down under another path. */
    Mlp.Gated gated(String path, int intermediate, boolean bias) throws CheckpointException {
        return gated(path, intermediate, bias, keys.activation("silu", "hidden_act"));
    }

    /** The same with an activation that was read elsewhere. */
    Mlp.Gated gated(String path, int intermediate, boolean bias, Activation activation) {
        return new Mlp.Gated(
                activation,
                new Linear(path + ".gate_proj", hidden, intermediate, bias),
                new Linear(path + ".up_proj", hidden, intermediate, bias),
                new Linear(path + ".down_proj", intermediate, hidden, bias));
    }

    /** The value of {@code rms_norm_eps}, 1e-6 if it is missing. */
    double eps() throws CheckpointException {
        return eps(1e-6);
    }

    double eps(double defaultEps) throws CheckpointException {
        return keys.numberOr(defaultEps, "rms_norm_eps");
    }

    Norm norm(NormKind kind, String name, double eps) {
        return new Norm(kind, name, hidden, eps);
    }

    /** {@code input_layernorm} and {@code post_attention_layernorm} on what the parts read. */
    Norms norms(NormKind kind, double eps) {
        return Norms.before(norm(kind, "input_layernorm", eps), norm(kind, "post_attention_layernorm", eps));
    }

    /** Norms on what the parts read and on what they give, under the names that Gemma 2 has for them. */
    Norms normsAround(NormKind kind, double eps) {
        return Norms.around(
                norm(kind, "input_layernorm", eps),
                norm(kind, "post_attention_layernorm", eps),
                norm(kind, "pre_feedforward_layernorm", eps),
                norm(kind, "post_feedforward_layernorm", eps));
    }

    /** Norms on what the parts give only, under the names that OLMo 2 has for them. */
    Norms normsAfter(NormKind kind, double eps) {
        return Norms.after(norm(kind, "post_attention_layernorm", eps), norm(kind, "post_feedforward_layernorm", eps));
    }

    /** Blocks that differ in their attention only. */
    List<Block> blocks(AttentionOf maker, Mlp mlp, Norms norms) throws CheckpointException {
        return blocks(layer -> new Block(maker.attention(layer), mlp, norms, Residual.SEQUENTIAL));
    }

    /** What makes the attention of a layer. */
    interface AttentionOf {
        MultiHead attention(int layer) throws CheckpointException;
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

    /** Blocks with a dense MLP where {@code dense} says so, and experts in the others. */
    List<Block> blocks(IntPredicate dense, Attention attention, Mlp mlp, Mlp experts, Norms norms)
            throws CheckpointException {
        Block one = new Block(attention, mlp, norms, Residual.SEQUENTIAL);
        Block other = new Block(attention, experts, norms, Residual.SEQUENTIAL);
        return blocks(layer -> dense.test(layer) ? one : other);
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
                keys.maxPositions(2048),
                "model.",
                "model.layers",
                embedding,
                blocks,
                head);
    }
}
