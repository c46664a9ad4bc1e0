package io.gptq4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Everything about one checkpoint that its forward pass depends on, read from config.json by a model family: sizes,
 * tensor names and choices from a closed set of parts. Names are Hugging Face's.
 *
 * @param family the family's name, such as {@code llama}
 * @param hiddenSize width of the residual stream
 * @param vocabSize rows of the token embedding
 * @param maxPositions the longest window the model can take
 * @param layers number of blocks
 * @param basePrefix what every tensor name but the head's begins with, such as {@code model.}; checkpoints saved from
 *     the headless base model lack it
 * @param blocks name of the list of blocks, such as {@code model.layers}
 * @param embedding what comes before the first block
 * @param attention the attention of every block
 * @param mlp the feed-forward part of every block
 * @param attentionNorm the norm at the attention
 * @param mlpNorm the norm at the feed-forward part
 * @param residual how norms and residual stream are wired
 * @param head what comes after the last block
 */
public record Architecture(
        String family,
        int hiddenSize,
        int vocabSize,
        int maxPositions,
        int layers,
        String basePrefix,
        String blocks,
        Embedding embedding,
        Attention attention,
        Mlp mlp,
        Norm attentionNorm,
        Norm mlpNorm,
        Residual residual,
        Head head) {

    /** A matrix product y = x W^T + b; {@code name} is the module's path, W is [out, in]. */
    public record Linear(String name, int in, int out, boolean bias) {}

    /** The kinds of normalisation. */
    public enum NormKind {
        RMS,
        LAYER,
        /** LayerNorm without learned parameters. */
        LAYER_PLAIN
    }

    /** A normalisation over {@code size} channels. */
    public record Norm(NormKind kind, String name, int size, double eps) {}

    /** Learned position embeddings [count + offset, hidden]; position p reads row p + offset. */
    public record LearnedPositions(String name, int count, int offset) {}

    /** Token embedding [vocab, size], then optionally a projection to the hidden size, positions and a norm. */
    public record Embedding(
            String tokens,
            int size,
            Optional<Linear> projection,
            Optional<LearnedPositions> positions,
            Optional<Norm> norm) {}

    /** How attention knows positions; learned ones are added to the embedding instead. */
    public sealed interface Position permits Rotary, Alibi, NoPosition {}

    /** Rotary embedding over the whole head, frequencies 1 / theta^(2i/d), adjusted by {@code scaling}. */
    public record Rotary(double theta, RopeScaling scaling) implements Position {}

    /** Linear biases with one slope per head. */
    public record Alibi() implements Position {}

    /** Nothing in the attention itself. */
    public record NoPosition() implements Position {}

    /** How the input projections of the attention are laid out. */
    public enum Projection {
        /** Three modules: q, k and v, in this order. */
        SEPARATE,
        /** One module; within each head q, k and v lie side by side. */
        FUSED_PER_HEAD
    }

    /** Causal self-attention. {@code kvHeads} divides {@code heads}; scores are multiplied by {@code scale}. */
    public record Attention(
            int heads,
            int kvHeads,
            int headDim,
            double scale,
            Projection projection,
            Position position,
            List<Linear> inputs,
            Linear output) {}

    /** Activation functions, with the names config.json has for them. */
    public enum Activation {
        SILU("silu", "silu,swish"),
        GELU("gelu", "gelu"),
        GELU_TANH("gelu_tanh", "gelu_new,gelu_pytorch_tanh,gelu_fast"),
        RELU("relu", "relu");

        private final String script;

        /** Separated by commas. */
        private final String names;

        Activation(String script, String names) {
            this.script = script;
            this.names = names;
        }

        /** The name in {@code decoder.py}. */
        String script() {
            return script;
        }

        /** The activation with this name in config.json, if it is a known one. */
        public static Optional<Activation> of(String name) {
            for (Activation activation : values()) {
                if (List.of(activation.names.split(",", -1)).contains(name)) {
                    return Optional.of(activation);
                }
            }
            return Optional.empty();
        }
    }

    /** act(x) W, or act(gate) * up where there are two inputs, gate first. */
    public record Mlp(Activation activation, List<Linear> inputs, Linear output) {}

    /** How norms and residual stream are wired; h is the block's input, a and m its two parts. */
    public enum Residual {
        /** h = h + a(norm(h)); h = h + m(norm(h)). */
        PRE_NORM,
        /** n = norm(h); h = n + a(n); n = norm(h); h = n + m(n). */
        PRE_NORM_FROM_NORM,
        /** h = norm(h + a(h)); h = norm(h + m(h)). */
        POST_NORM
    }

    /** Final norm, optional projection, and the output matrix [vocab, size], which may be the embedding's own. */
    public record Head(Optional<Norm> norm, Optional<Linear> projection, String name, boolean tied) {}

    /** The modules of one block that read the same input, in solve order. */
    public List<ModuleGroup> moduleGroups() {
        return List.of(
                new ModuleGroup(Stage.ATTENTION_IN, attention.inputs()),
                new ModuleGroup(Stage.ATTENTION_OUT, List.of(attention.output())),
                new ModuleGroup(Stage.MLP_IN, mlp.inputs()),
                new ModuleGroup(Stage.MLP_OUT, List.of(mlp.output())));
    }

    /** The window length to take where nobody asks for another: 2048, or what the model can take. */
    public int defaultWindow() {
        return Math.min(2048, maxPositions);
    }

    /** The path of a module or norm of block {@code layer}. */
    public String inBlock(int layer, String name) {
        return blocks + "." + layer + "." + name;
    }

    /** Every tensor the forward pass reads, with its shape, in order of use. A tied head is left out. */
    public Map<String, List<Long>> tensors() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        shapes.put(embedding.tokens() + ".weight", shape(vocabSize, embedding.size()));
        embedding.projection().ifPresent(linear -> put(shapes, linear, Function.identity()));
        embedding
                .positions()
                .ifPresent(p -> shapes.put(p.name() + ".weight", shape(p.count() + p.offset(), hiddenSize)));
        embedding.norm().ifPresent(norm -> put(shapes, norm, Function.identity()));
        for (int layer = 0; layer < layers; layer++) {
            shapes.putAll(blockTensors(layer));
        }
        shapes.putAll(headTensors());
        return shapes;
    }

    /** The tensors that come after the last block, with their shapes. A tied head is left out. */
    public Map<String, List<Long>> headTensors() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        head.norm().ifPresent(norm -> put(shapes, norm, Function.identity()));
        head.projection().ifPresent(linear -> put(shapes, linear, Function.identity()));
        if (!head.tied()) {
            shapes.put(head.name() + ".weight", shape(vocabSize, embedding.size()));
        }
        return shapes;
    }

    /** The tensors of one block, with their shapes. */
    public Map<String, List<Long>> blockTensors(int layer) {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        Function<String, String> path = name -> inBlock(layer, name);
        put(shapes, attentionNorm, path);
        put(shapes, mlpNorm, path);
        List<Linear> linears = new ArrayList<>();
        moduleGroups().forEach(group -> linears.addAll(group.modules()));
        linears.forEach(linear -> put(shapes, linear, path));
        return shapes;
    }

    private static void put(Map<String, List<Long>> shapes, Linear linear, Function<String, String> path) {
        shapes.put(path.apply(linear.name()) + ".weight", shape(linear.out(), linear.in()));
        if (linear.bias()) {
            shapes.put(path.apply(linear.name()) + ".bias", shape(linear.out()));
        }
    }

    private static void put(Map<String, List<Long>> shapes, Norm norm, Function<String, String> path) {
        if (norm.kind() != NormKind.LAYER_PLAIN) {
            shapes.put(path.apply(norm.name()) + ".weight", shape(norm.size()));
        }
        if (norm.kind() == NormKind.LAYER) {
            shapes.put(path.apply(norm.name()) + ".bias", shape(norm.size()));
        }
    }

    private static List<Long> shape(long... dimensions) {
        return Arrays.stream(dimensions).boxed().toList();
    }
}
