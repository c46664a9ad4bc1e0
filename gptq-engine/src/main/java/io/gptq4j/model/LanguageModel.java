package io.gptq4j.model;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Halves;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A checkpoint, float or GPTQ, ready to run on a device. Nothing of it stays in memory between calls but small tables:
 * embedding, blocks and head are read when they are asked for, so that a model larger than memory can be run block by
 * block. Not thread-safe; blocks may be run by the threads of its {@linkplain #halves halves}.
 */
public final class LanguageModel implements AutoCloseable {
    private static final int CPU_TOKENS = 2048;
    private static final int GPU_TOKENS = 16_384;

    private final Architecture architecture;
    private final ModelWeights weights;
    private final FloatType type;
    private final Scope scope;
    private final PositionTables positions;

    private LanguageModel(Architecture architecture, ModelWeights weights, FloatType type, Scope scope) {
        this.architecture = architecture;
        this.weights = weights;
        this.type = type;
        this.scope = scope;
        this.positions = new PositionTables(scope, type);
    }

    /**
     * Checks that every tensor the architecture needs is there, in the right shape.
     *
     * @param checkpoint must stay open as long as the model
     * @param architecture what {@code ModelFamilies} makes of the checkpoint's config.json
     * @param type the type to compute in
     */
    public static LanguageModel open(Torch torch, Checkpoint checkpoint, Architecture architecture, FloatType type)
            throws IOException {
        return new LanguageModel(architecture, ModelWeights.open(checkpoint, architecture), type, torch.scope());
    }

    /** What the model is. */
    public Architecture architecture() {
        return architecture;
    }

    /** Its tensors. */
    public ModelWeights weights() {
        return weights;
    }

    /** The type it computes in. */
    public FloatType type() {
        return type;
    }

    /** Whether it computes on a GPU. */
    public boolean isOnGpu() {
        return scope.isGpu();
    }

    /** How many tokens should be on their way through a block at a time, in windows of any length: enough to fill a CPU's cores, or a GPU. */
    public static int tokensAtOnce(boolean gpu) {
        return gpu ? GPU_TOKENS : CPU_TOKENS;
    }

    /** How many tokens should go through a part of a block together; each of the halves has as many. */
    public int batchTokens() {
        return tokensAtOnce(isOnGpu()) / halves().count();
    }

    /** Those who go through batches with it; each has a scope of its own for each of them. */
    public Halves halves() {
        return scope.halves();
    }

    /** A fresh scope on the model's device. */
    public Scope scope() {
        return scope.child();
    }

    /**
     * Checks a window length against the model.
     *
     * @throws IllegalArgumentException if the model has no positions for it
     */
    public void requireWindow(int length) {
        boolean bounded = architecture.boundsPositions();
        if (length < 2 || (bounded && length > architecture.maxPositions())) {
            throw new IllegalArgumentException("A window of " + length + " tokens does not fit this model: it takes 2 "
                    + (bounded ? "to " + architecture.maxPositions() : "or more"));
        }
    }

    /**
     * Reads every tensor that comes after the last block once, so that damage there is found before hours are spent.
     *
     * @throws CheckpointException if one of them holds a NaN or an infinity
     */
    public void checkHead() throws IOException {
        for (String name : architecture.headTensors().keySet()) {
            weights.load(scope, name, type).close();
        }
    }

    /** Tensors that belong to no block: each is read when it is first needed, and kept until this is closed. */
    private final class Kept implements AutoCloseable {
        private final Scope own = scope.child();
        private final Map<String, Tensor> tensors = new HashMap<>();

        synchronized Tensor get(String name) throws IOException {
            Tensor tensor = tensors.get(name);
            if (tensor == null) {
                tensor = weights.load(own, name, type);
                tensors.put(name, tensor);
            }
            return tensor;
        }

        /** A matrix with each row divided by its length. */
        synchronized Tensor normalizedRows(String name) throws IOException {
            String key = name + " with normalized rows";
            Tensor tensor = tensors.get(key);
            if (tensor == null) {
                try (Tensor raw = weights.load(own, name, type)) {
                    tensor = own.call("decoder", "normalized_rows", raw);
                }
                tensors.put(key, tensor);
            }
            return tensor;
        }

        Scope step() {
            return own.child();
        }

        @Override
        public void close() {
            own.close();
        }
    }

    /** What comes before the first block; to be closed. */
    public Embedder embedder() {
        return new Embedder();
    }

    /** The token embedding and what follows it. */
    public final class Embedder implements AutoCloseable {
        private final Kept kept = new Kept();

        private Embedder() {}

        /** The input of the first block for B windows of T token ids, [B, T, C], owned by {@code target}. */
        public Tensor embed(Scope target, int[][] windows) throws IOException {
            return embed(target, windows, 0);
        }

        /** The same for tokens in the middle of windows, of which the first has position {@code start}. */
        public Tensor embed(Scope target, int[][] windows, int start) throws IOException {
            Embedding embedding = architecture.embedding();
            try (Scope step = kept.step()) {
                Tensor tokens = kept.get(embedding.tokens() + ".weight"); // [V, embedding size]
                Tensor x = step.call("decoder", "embed", ids(step, windows), tokens);
                if (embedding.scale() != 1) {
                    x = step.call("decoder", "scaled", x, embedding.scale());
                }
                if (embedding.projection().isPresent()) {
                    x = Parts.linear(step, x, embedding.projection().get(), kept::get);
                }
                if (embedding.positions().isPresent()) {
                    Embedding.LearnedPositions learned = embedding.positions().get();
                    Tensor table = kept.get(learned.name() + ".weight");
                    x = step.call("decoder", "add_positions", x, table, learned.offset() + start);
                }
                if (embedding.norm().isPresent()) {
                    x = Parts.norm(step, x, embedding.norm().get(), kept::get);
                }
                return x.moveTo(target);
            }
        }

        @Override
        public void close() {
            kept.close();
        }
    }

    /** Reads all blocks, one ahead of what is computed; to be closed. */
    public BlockReader blocks() {
        return new BlockReader(architecture, weights, scope);
    }

    /** The next block of a reader, which goes on to the one after it; {@code target} owns its weights. */
    public DecoderBlock block(Scope target, BlockReader reader) throws IOException {
        DecoderBlock block;
        try (BlockReader.Block stored = reader.take()) {
            block = block(target, stored);
        }
        reader.readAhead(); // not sooner, or the bytes of two blocks would be in memory
        return block;
    }

    /** A block that was read; {@code target} owns its weights. */
    public DecoderBlock block(Scope target, BlockReader.Block stored) throws IOException {
        return DecoderBlock.load(target, architecture, stored.layer(), stored, positions, type);
    }

    /** What comes after the last block; to be closed. */
    public Output output() {
        return new Output();
    }

    /** From the last block's output to probabilities. */
    public final class Output implements AutoCloseable {
        private final Kept kept = new Kept();

        private Output() {}

        /**
         * Natural logarithms of the probabilities of tokens 2 to T of each window, window by window.
         *
         * @param hidden the last block's output, [B, T, C]
         * @param windows the token ids it came from
         */
        public double[] logLikelihoods(Tensor hidden, int[][] windows) throws IOException {
            try (Scope step = kept.step()) {
                return step.call(
                                "decoder",
                                "log_likelihoods",
                                features(step, hidden),
                                matrix(step),
                                cap(),
                                ids(step, windows))
                        .toDoubles();
            }
        }

        /**
         * The KL divergence of the predictions after {@code other} from those after {@code reference}, in nats, summed over all
         * positions; both are outputs of the last block, [B, T, C].
         */
        public double divergence(Tensor reference, Tensor other) throws IOException {
            try (Scope step = kept.step()) {
                return step.call(
                                "decoder",
                                "divergence",
                                features(step, reference),
                                features(step, other),
                                matrix(step),
                                cap())
                        .toDoubles()[0];
            }
        }

        /** Logits in float32, [end - start, V] row-major, of some positions of one window's {@code hidden} [1, T, C]. */
        public float[] logits(Tensor hidden, int start, int end) throws IOException {
            try (Scope step = kept.step()) {
                Tensor positions = step.call("decoder", "positions", hidden, start, end);
                return step.call("decoder", "logits", features(step, positions), matrix(step), cap())
                        .toFloats();
            }
        }

        /**
         * A next token for each window, drawn by the probabilities that the model gives them.
         *
         * @param hidden the last block's output, [B, T, C]
         * @param draws for each window a number from 0 to less than 1, which chooses
         */
        public int[] next(Tensor hidden, float[] draws) throws IOException {
            try (Scope step = kept.step()) {
                Tensor last = step.call("decoder", "positions", hidden, hidden.size(1) - 1, hidden.size(1));
                Tensor chosen = step.call(
                        "decoder",
                        "drawn",
                        features(step, last),
                        matrix(step),
                        cap(),
                        step.floats(draws, draws.length));
                return Arrays.stream(chosen.toLongs())
                        .mapToInt(Math::toIntExact)
                        .toArray();
            }
        }

        private LanguageModel model() {
            return LanguageModel.this;
        }

        /** The matrix [V, embedding size] and the bias, [V] or [0]. */
        private List<Tensor> matrix(Scope step) throws IOException {
            Head head = architecture.head();
            String name = (head.tied() ? architecture.embedding().tokens() : head.name()) + ".weight";
            Tensor weight = head.normalized() ? kept.normalizedRows(name) : kept.get(name);
            return List.of(weight, head.bias() ? kept.get(head.name() + ".bias") : step.zeros(0));
        }

        private double cap() {
            return architecture.head().softcap();
        }

        private Tensor features(Scope step, Tensor hidden) throws IOException {
            Tensor x = hidden;
            if (architecture.head().norm().isPresent()) {
                x = Parts.norm(step, x, architecture.head().norm().get(), kept::get);
            }
            if (architecture.head().projection().isPresent()) {
                x = Parts.linear(step, x, architecture.head().projection().get(), kept::get);
            }
            double scale = architecture.head().scale();
            return scale == 1 ? x : step.call("decoder", "multiplied", x, scale); // as if logits were
        }

        @Override
        public void close() {
            kept.close();
        }
    }

    /**
     * How models predict tokens 2 to T of the same windows, [3][M][B * (T - 1)] for M models: natural logarithms of the tokens'
     * probabilities; KL divergences from the first model's prediction to each, in nats; and 1 where the token that is most likely
     * for the first model is so for the other, too, 0 elsewhere.
     *
     * @param outputs of models with the same vocabulary, on one device
     * @param hidden the last blocks' outputs, [B, T, C] each
     * @param windows the token ids they came from
     */
    public static double[][][] compare(List<Output> outputs, List<Tensor> hidden, int[][] windows) throws IOException {
        int count = Math.multiplyExact(windows.length, windows[0].length - 1);
        try (Scope step = outputs.get(0).kept.step()) {
            List<Tensor> features = new ArrayList<>();
            List<Tensor> matrices = new ArrayList<>();
            List<Tensor> biases = new ArrayList<>();
            double[] caps = new double[outputs.size()];
            for (int m = 0; m < outputs.size(); m++) {
                features.add(outputs.get(m).features(step, hidden.get(m)));
                List<Tensor> matrix = outputs.get(m).matrix(step);
                matrices.add(matrix.get(0));
                biases.add(matrix.get(1));
                caps[m] = outputs.get(m).cap();
            }
            Tensor ids = outputs.get(0).model().ids(step, windows);
            double[] flat = step.call("decoder", "compare", features, matrices, biases, caps, ids)
                    .toDoubles();
            double[][][] values = new double[3][outputs.size()][];
            for (int i = 0; i < 3; i++) {
                for (int m = 0; m < outputs.size(); m++) {
                    int start = (i * outputs.size() + m) * count;
                    values[i][m] = Arrays.copyOfRange(flat, start, start + count);
                }
            }
            return values;
        }
    }

    /**
     * Checks token ids against the vocabulary.
     *
     * @throws CheckpointException naming the first that is not in it
     */
    public void requireTokens(int[][] windows) throws CheckpointException {
        for (int[] window : windows) {
            for (int id : window) {
                if (id < 0 || id >= architecture.vocabSize()) {
                    throw new CheckpointException("Token id " + id + " is outside the model's vocabulary of "
                            + architecture.vocabSize()
                            + " (vocab_size in config.json): the tokenizer.json beside it, or the"
                            + " token ids that were given, belong to another model");
                }
            }
        }
    }

    private Tensor ids(Scope step, int[][] windows) throws CheckpointException {
        requireTokens(windows);
        long[] flat = Arrays.stream(windows)
                .flatMapToInt(Arrays::stream)
                .asLongStream()
                .toArray();
        return step.longs(flat, windows.length, windows[0].length);
    }

    @Override
    public void close() {
        scope.close();
    }
}
