package io.gptq4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/**
 * Everything about one checkpoint that its forward pass depends on, read from config.json by a model family: sizes,
 * tensor names and choices from a closed set of parts. Names are Hugging Face's.
 *
 * @param family the family's name, such as {@code llama}
 * @param hiddenSize width of the residual stream
 * @param vocabSize rows of the token embedding
 * @param maxPositions the longest window the model can take
 * @param basePrefix what every tensor name but the head's begins with, such as {@code model.}; checkpoints saved from
 *     the headless base model lack it
 * @param path name of the list of blocks, such as {@code model.layers}
 * @param embedding what comes before the first block
 * @param blocks the blocks, in order
 * @param head what comes after the last block
 * @param numbers the number that each block has in the list, if that has others between them
 */
public record Architecture(
        String family,
        int hiddenSize,
        int vocabSize,
        int maxPositions,
        String basePrefix,
        String path,
        Embedding embedding,
        List<Block> blocks,
        Head head,
        List<Integer> numbers) {
    /** Copies the lists. */
    public Architecture {
        blocks = List.copyOf(blocks);
        numbers = List.copyOf(numbers);
        if (numbers.size() != blocks.size()) {
            throw new IllegalArgumentException(numbers.size() + " numbers for " + blocks.size() + " blocks");
        }
    }

    /** One whose blocks are all there are in the list. */
    public Architecture(
            String family,
            int hiddenSize,
            int vocabSize,
            int maxPositions,
            String basePrefix,
            String path,
            Embedding embedding,
            List<Block> blocks,
            Head head) {
        this(
                family,
                hiddenSize,
                vocabSize,
                maxPositions,
                basePrefix,
                path,
                embedding,
                blocks,
                head,
                IntStream.range(0, blocks.size()).boxed().toList());
    }

    /**
     * A matrix product y = x W^T + b.
     *
     * @param name the module's path
     * @param in inputs
     * @param out outputs
     * @param bias whether there is a b
     * @param transposed whether the checkpoint has W as [in, out], as GPT-2's Conv1D, not as [out, in]
     */
    public record Linear(String name, int in, int out, boolean bias, boolean transposed) {
        /** One whose weight is stored as [out, in]. */
        public Linear(String name, int in, int out, boolean bias) {
            this(name, in, out, bias, false);
        }

        Linear renamed(UnaryOperator<String> renaming) {
            return new Linear(renaming.apply(name), in, out, bias, transposed);
        }

        List<Long> shape() {
            return transposed ? List.of((long) in, (long) out) : List.of((long) out, (long) in);
        }
    }

    /** The kinds of normalisation. */
    public enum NormKind {
        RMS,
        /** RMSNorm whose stored weights are one less than what it multiplies by. */
        RMS_PLUS_ONE,
        /** LayerNorm with weight and bias. */
        LAYER,
        /** LayerNorm with weight and bias, whose stored weights are one less than what it multiplies by. */
        LAYER_PLUS_ONE,
        /** LayerNorm without a bias. */
        LAYER_UNBIASED,
        /** LayerNorm without learned parameters. */
        LAYER_PLAIN
    }

    /** A normalisation over {@code size} channels. */
    public record Norm(NormKind kind, String name, int size, double eps) {
        Norm renamed(UnaryOperator<String> renaming) {
            return new Norm(kind, renaming.apply(name), size, eps);
        }
    }

    /** The same for windows of another length at most. */
    public Architecture withMaxPositions(int other) {
        return new Architecture(
                family, hiddenSize, vocabSize, other, basePrefix, path, embedding, blocks, head, numbers);
    }

    /**
     * The same model as a part of another one, in whose checkpoints its tensors have other names.
     *
     * @param other the family of the whole
     * @param prefix what stands for the base prefix there
     * @param newBase what of {@code prefix} checkpoints of the whole without a head lack
     * @param headName the path of the head
     * @param blockNumbers the number of each block among those of the whole
     */
    public Architecture within(
            String other, String prefix, String newBase, String headName, List<Integer> blockNumbers) {
        UnaryOperator<String> renamed = name -> prefix + name.substring(basePrefix.length());
        return new Architecture(
                other,
                hiddenSize,
                vocabSize,
                maxPositions,
                newBase,
                renamed.apply(path),
                embedding.renamed(renamed),
                blocks,
                head.renamed(renamed, headName),
                blockNumbers);
    }

    /** The same with another embedding. */
    public Architecture withEmbedding(Embedding other) {
        return new Architecture(
                family, hiddenSize, vocabSize, maxPositions, basePrefix, path, other, blocks, head, numbers);
    }

    /** The same with another head. */
    public Architecture withHead(Head other) {
        return new Architecture(
                family, hiddenSize, vocabSize, maxPositions, basePrefix, path, embedding, blocks, other, numbers);
    }

    /** How many blocks there are. */
    public int layers() {
        return blocks.size();
    }

    /** What block {@code layer} consists of. */
    public Block block(int layer) {
        return blocks.get(layer);
    }

    /** The blocks that differ from one another, in order of their first appearance, with how often each appears. */
    public Map<Block, Integer> kinds() {
        Map<Block, Integer> kinds = new LinkedHashMap<>();
        blocks.forEach(block -> kinds.merge(block, 1, Integer::sum));
        return kinds;
    }

    /** The window length to take where nobody asks for another: 2048, or what the model can take. */
    public int defaultWindow() {
        return Math.min(2048, maxPositions);
    }

    /** Whether windows longer than {@link #maxPositions} have no meaning: not where all positions are linear biases. */
    public boolean boundsPositions() {
        return embedding.positions().isPresent()
                || blocks.stream().anyMatch(block -> block.attention().position() instanceof Position.Rotary);
    }

    /** The path of a module or norm of block {@code layer}. */
    public String inBlock(int layer, String name) {
        return path + "." + numbers.get(layer) + "." + name;
    }

    /** What a tensor may be called in a checkpoint: its own name, and that without {@link #basePrefix}. */
    public List<String> storedNames(String tensor) {
        return tensor.startsWith(basePrefix) ? List.of(tensor, tensor.substring(basePrefix.length())) : List.of(tensor);
    }

    /** Every tensor the forward pass reads, with its shape as stored, in order of use. A tied head is left out. */
    public Map<String, List<Long>> tensors() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        shapes.put(embedding.tokens() + ".weight", shape(vocabSize + embedding.extraRows(), embedding.size()));
        embedding.projection().ifPresent(linear -> put(shapes, linear, Function.identity()));
        embedding
                .positions()
                .ifPresent(p -> shapes.put(p.name() + ".weight", shape(p.count() + p.offset(), hiddenSize)));
        embedding.norm().ifPresent(norm -> put(shapes, norm, Function.identity()));
        for (int layer = 0; layer < layers(); layer++) {
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
        if (head.bias()) {
            shapes.put(head.name() + ".bias", shape(vocabSize));
        }
        return shapes;
    }

    /** The tensors of one block, with their shapes as stored. */
    public Map<String, List<Long>> blockTensors(int layer) {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        Function<String, String> path = name -> inBlock(layer, name);
        Block block = block(layer);
        block.norms().all().forEach(norm -> put(shapes, norm, path));
        linears(layer).forEach(linear -> put(shapes, linear, path));
        if (block.attention() instanceof Attention.MultiHead attention) {
            attention.norms().ifPresent(norms -> {
                putHeads(shapes, norms.query(), norms.span(), attention.heads(), path);
                putHeads(shapes, norms.key(), norms.span(), attention.kvHeads(), path);
            });
        } else if (block.attention() instanceof Attention.Latent latent) {
            latent.queryLatent().ifPresent(query -> put(shapes, query.norm(), path));
            put(shapes, latent.latentNorm(), path);
        }
        if (block.mlp() instanceof Mlp.Experts moe) {
            moe.routing()
                    .bias()
                    .ifPresent(name ->
                            shapes.put(path.apply(name), shape(moe.experts().size())));
        }
        return shapes;
    }

    /** How many numbers tensors of these shapes have together. */
    public static long elements(Map<String, List<Long>> shapes) {
        return shapes.values().stream()
                .mapToLong(shape -> shape.stream().reduce(1L, Math::multiplyExact))
                .sum();
    }

    /** How many parameters all blocks have. */
    public long blockParameters() {
        return IntStream.range(0, layers())
                .mapToLong(layer -> elements(blockTensors(layer)))
                .sum();
    }

    /** All linear modules of a block: those that can be quantized, then those that stay in float. */
    public List<Linear> linears(int layer) {
        List<Linear> linears = new ArrayList<>();
        block(layer).moduleGroups().forEach(group -> linears.addAll(group.modules()));
        linears.addAll(block(layer).floatModules());
        return linears;
    }

    private static void put(Map<String, List<Long>> shapes, Linear linear, Function<String, String> path) {
        shapes.put(path.apply(linear.name()) + ".weight", linear.shape());
        if (linear.bias()) {
            shapes.put(path.apply(linear.name()) + ".bias", shape(linear.out()));
        }
    }

    private static void put(Map<String, List<Long>> shapes, Norm norm, Function<String, String> path) {
        if (norm.kind() != NormKind.LAYER_PLAIN) {
            shapes.put(path.apply(norm.name()) + ".weight", shape(norm.size()));
        }
        if (norm.kind() == NormKind.LAYER || norm.kind() == NormKind.LAYER_PLUS_ONE) {
            shapes.put(path.apply(norm.name()) + ".bias", shape(norm.size()));
        }
    }

    private static void putHeads(
            Map<String, List<Long>> shapes,
            Norm norm,
            Attention.NormSpan span,
            int heads,
            Function<String, String> path) {
        switch (span) {
            case HEAD, ALL_HEADS -> put(shapes, norm, path);
            case EACH_HEAD -> shapes.put(path.apply(norm.name()) + ".weight", shape(heads, norm.size()));
            case EACH_HEAD_APART -> {
                for (int h = 0; h < heads; h++) {
                    shapes.put(path.apply(norm.name()) + ".norms." + h + ".weight", shape(norm.size()));
                }
            }
        }
    }

    private static List<Long> shape(long... dimensions) {
        return Arrays.stream(dimensions).boxed().toList();
    }
}
