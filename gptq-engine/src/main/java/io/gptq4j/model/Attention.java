package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import java.util.List;
import java.util.Optional;

/** Causal self-attention. Scores are multiplied by {@code scale}; each head reads {@code width() / heads()} of the output. */
public sealed interface Attention permits Attention.MultiHead, Attention.Latent {
    /** Query heads. */
    int heads();

    /** Channels of a query or key. */
    int headDim();

    /** Channels of the keys and values of one token, all heads together. */
    int keyValueChannels();

    /** What scores are multiplied by. */
    double scale();

    /** How it knows positions. */
    Position position();

    /** The modules that read the block's input, in AutoGPTQ's order. */
    List<Linear> inputs();

    /** The module that reads what the heads have gathered. */
    Linear output();

    /** How the input projections are laid out. */
    sealed interface Projection permits Separate, Fused {}

    /** Three modules: q, k and v. */
    record Separate(Linear q, Linear k, Linear v) implements Projection {
        /** {@code q_proj}, {@code k_proj} and {@code v_proj} under a path, of so many inputs and outputs. */
        public static Separate under(String path, int in, int queries, int keys, boolean bias) {
            return new Separate(
                    new Linear(path + ".q_proj", in, queries, bias),
                    new Linear(path + ".k_proj", in, keys, bias),
                    new Linear(path + ".v_proj", in, keys, bias));
        }
    }

    /**
     * One module whose outputs are {@code groups} equal stretches, each with its share of the query heads, of the key heads and
     * of the value heads, in the order that {@code order} tells, such as {@code qkv}. One group: all queries, all keys, all
     * values. As many as there are heads: q, k and v side by side for each head.
     */
    record Fused(Linear qkv, int groups, String order) implements Projection {}

    /** What the weights of a norm on queries or keys span. */
    enum NormSpan {
        /** One head; all heads share the weights [headDim]. */
        HEAD,
        /** One head; each has weights of its own, [heads, headDim]. */
        EACH_HEAD,
        /** As {@link #EACH_HEAD}, but the weights of each head are a tensor of their own: {@code NAME.norms.0.weight} and so on. */
        EACH_HEAD_APART,
        /** All heads together, [heads * headDim]. */
        ALL_HEADS
    }

    /**
     * Norms on queries and keys; the sizes are those of the weights.
     *
     * @param afterRotation whether queries and keys are rotated first
     */
    record HeadNorms(NormSpan span, Norm query, Norm key, boolean afterRotation) {
        /** Checks the combination. */
        public HeadNorms {
            if (afterRotation && span != NormSpan.HEAD) {
                throw new IllegalArgumentException("Norms after the rotation span a head, not " + span);
            }
        }

        /** Norms before the rotation. */
        public HeadNorms(NormSpan span, Norm query, Norm key) {
            this(span, query, key, false);
        }
    }

    /**
     * Attention with several heads, of which groups may share keys and values.
     *
     * @param kvHeads heads of keys and values; divides {@code heads}
     * @param window keys so many positions back or more are not seen; 0 if all are
     * @param softcap c in c * tanh(score / c), which bounds the scaled scores; 0 for none
     * @param clip bound of the absolute values of q, k and v; 0 for none
     * @param norms norms on queries and keys
     * @param projection the input modules
     */
    record MultiHead(
            int heads,
            int kvHeads,
            int headDim,
            double scale,
            Position position,
            int window,
            double softcap,
            double clip,
            Optional<HeadNorms> norms,
            Projection projection,
            Linear output)
            implements Attention {
        /** Plain attention: scores over sqrt(headDim), no bound on anything. */
        public static MultiHead of(
                int heads, int kvHeads, int headDim, Position position, Projection projection, Linear output) {
            return new MultiHead(
                    heads,
                    kvHeads,
                    headDim,
                    1 / Math.sqrt(headDim),
                    position,
                    0,
                    0,
                    0,
                    Optional.empty(),
                    projection,
                    output);
        }

        @Override
        public int keyValueChannels() {
            return 2 * kvHeads * headDim;
        }

        @Override
        public List<Linear> inputs() {
            if (projection instanceof Separate separate) {
                return List.of(separate.q(), separate.k(), separate.v());
            }
            return List.of(((Fused) projection).qkv());
        }

        /** The same with another scale. */
        public MultiHead withScale(double other) {
            return new MultiHead(
                    heads, kvHeads, headDim, other, position, window, softcap, clip, norms, projection, output);
        }

        /** The same with other positions. */
        public MultiHead withPosition(Position other) {
            return new MultiHead(
                    heads, kvHeads, headDim, scale, other, window, softcap, clip, norms, projection, output);
        }

        /** The same with keys seen only so far back. */
        public MultiHead withWindow(int other) {
            return new MultiHead(
                    heads, kvHeads, headDim, scale, position, other, softcap, clip, norms, projection, output);
        }

        /** The same with bounded scores. */
        public MultiHead withSoftcap(double other) {
            return new MultiHead(
                    heads, kvHeads, headDim, scale, position, window, other, clip, norms, projection, output);
        }

        /** The same with q, k and v clipped. */
        public MultiHead withClip(double other) {
            return new MultiHead(
                    heads, kvHeads, headDim, scale, position, window, softcap, other, norms, projection, output);
        }

        /** The same with norms on queries and keys. */
        public MultiHead withNorms(HeadNorms other) {
            return new MultiHead(
                    heads,
                    kvHeads,
                    headDim,
                    scale,
                    position,
                    window,
                    softcap,
                    clip,
                    Optional.of(other),
                    projection,
                    output);
        }
    }

    /**
     * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values come from one latent vector per token, and the
     * rotated channels of a key, which stand after the others, are shared by all heads.
     *
     * @param plainDim channels of a query or key that are not rotated, before those that are
     * @param valueDim channels of a value
     * @param query queries from the block's input, or, with {@code queryLatent}, from that
     * @param queryLatent the module that makes the queries' latent vector, and the norm on it
     * @param keyValueLatent makes the latent vector of keys and values, and after it the rotated channels of a key
     * @param latentNorm the norm on the former
     * @param keyValue for each head the plain channels of a key, then a value
     */
    record Latent(
            int heads,
            int plainDim,
            int valueDim,
            double scale,
            Position.Rotary position,
            Linear query,
            Optional<QueryLatent> queryLatent,
            Linear keyValueLatent,
            Norm latentNorm,
            Linear keyValue,
            Linear output)
            implements Attention {
        /** The way of queries through a latent vector. */
        public record QueryLatent(Linear module, Norm norm) {}

        @Override
        public int headDim() {
            return plainDim + position.channels();
        }

        @Override
        public int keyValueChannels() {
            return heads * (headDim() + valueDim);
        }

        @Override
        public List<Linear> inputs() {
            return List.of(queryLatent.map(QueryLatent::module).orElse(query), keyValueLatent);
        }
    }
}
