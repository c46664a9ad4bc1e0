package io.gptq4j.eval;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.KeyValues;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.NativeHeap;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;

/**
 * Text that a model makes up, to calibrate it on. A calibration text is of one kind, and the Hessians of modules know only the
 * directions that occur in it; what a model says by itself has some of everything that it has learned. After Liu et al.
 * 2023 (arXiv 2305.17888, section 3.1) and Williams et al. 2024 (arXiv 2410.17170). Windows are made of {@link Pieces}, the first
 * token of which is any one of the vocabulary, as likely as another, and the others are drawn by the model's probabilities. Each
 * piece has chances of its own, so that it does not depend on which others are made at the same time.
 *
 * <p>Keys and values are kept, so that a token is computed once. A model that is small beside the memory is kept, too; of another
 * one all pieces go through one block before the next is loaded, and it is read once for each token. Not thread-safe.
 */
public final class SelfCalibration {
    /** Draws that may meet tokens that begin no text, before there seem to be no others. */
    private static final int ATTEMPTS = 10_000;

    /** Bytes of all blocks that may stay in a CPU's memory, which a run does not notice. */
    private static final long CPU_BLOCKS = 1L << 28;

    private final LanguageModel model;
    private final TensorStore.Budget budget;
    private final Evaluator.Progress progress;

    /**
     * Prepares to let {@code model} speak.
     *
     * @param budget what keys and values may take, and on a GPU also the blocks
     * @param progress hears how many of {@link #passes} are done
     */
    public SelfCalibration(LanguageModel model, TensorStore.Budget budget, Evaluator.Progress progress) {
        this.model = model;
        this.budget = budget;
        this.progress = progress;
    }

    /** How many passes through the model it takes to make {@code count} windows up beside those of a text. */
    public int passes(CalibrationSet text, int count) {
        return count == 0
                ? 0
                : pieces(text.windows().length + count, count, text.seqlen()).passes();
    }

    /**
     * Makes windows up, of the length of a text's.
     *
     * @param text the windows of a text; checked first, since what is wrong with them should be told sooner
     * @param count how many to make, 0 or more
     * @param begins whether a token may begin a piece; special tokens and those without text should not
     * @param seed the same gives the same windows
     * @return those of the text, and after them the new ones
     * @throws IllegalArgumentException if the model has no positions for the windows
     * @throws CheckpointException if a token of the text is none of the model's, or a weight is NaN or infinite
     */
    public CalibrationSet extended(CalibrationSet text, int count, IntPredicate begins, long seed) throws IOException {
        model.requireWindow(text.seqlen());
        model.requireTokens(text.windows());
        if (count == 0) {
            return text;
        }
        Pieces pieces = pieces(text.windows().length + count, count, text.seqlen());
        boolean together = fitsBeside(pieces.cacheBytes(model.architecture(), model.type()));
        int[] stream = stream(pieces, together, begins, seed);
        int[][] windows = new int[count][];
        Arrays.setAll(windows, w -> Arrays.copyOfRange(stream, w * text.seqlen(), (w + 1) * text.seqlen()));
        return text.with(windows);
    }

    private Pieces pieces(int windows, int count, int seqlen) {
        long memory = model.isOnGpu() ? budget.deviceBytes() : budget.hostBytes();
        return Pieces.of(model.architecture(), windows, count, seqlen)
                .within(memory, model.architecture(), model.type());
    }

    /**
     * The tokens of some pieces, one after the other.
     *
     * @param together whether all blocks are to be in memory
     */
    int[] stream(Pieces pieces, boolean together, IntPredicate begins, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        List<Piece> all = new ArrayList<>();
        for (int i = 0; i < pieces.count(); i++) {
            all.add(new Piece(new int[pieces.length()], random.split()));
            all.get(i).tokens[0] = first(all.get(i).chances, begins);
        }
        for (int round = 0; round < pieces.rounds(); round++) {
            int start = round * pieces.lines();
            List<Piece> lines = all.subList(start, Math.min(start + pieces.lines(), all.size()));
            int before = round * (pieces.length() - 1);
            Evaluator.Progress share = (done, ofRound) -> progress.update(before + done, pieces.passes());
            try (Scope scope = model.scope()) {
                List<Batch> batches = batches(scope, lines, pieces.batch());
                if (together) {
                    complete(scope, batches, share);
                } else {
                    completeBlockByBlock(scope, batches, share);
                }
            }
        }
        if (!together) {
            NativeHeap.trim();
        }
        return all.stream().flatMapToInt(piece -> Arrays.stream(piece.tokens)).toArray();
    }

    private boolean fitsBeside(long cache) {
        return keepsBlocks(
                model.architecture().blockParameters() * model.type().bytes(),
                model.isOnGpu(),
                budget.deviceBytes() - cache);
    }

    /**
     * Whether all blocks stay in memory while text is made up.
     *
     * @param bytes that they take
     * @param free what of a GPU's memory may be taken
     */
    public static boolean keepsBlocks(long bytes, boolean gpu, long free) {
        return bytes <= (gpu ? free : CPU_BLOCKS);
    }

    private int first(SplittableRandom chances, IntPredicate begins) {
        int id = chances.nextInt(model.architecture().vocabSize());
        for (int attempt = 1; attempt < ATTEMPTS && !begins.test(id); attempt++) {
            id = chances.nextInt(model.architecture().vocabSize());
        }
        return id;
    }

    /** Some tokens, and the chances of those to come. */
    private record Piece(int[] tokens, SplittableRandom chances) {}

    /** Pieces that go through a block together, and what each block remembers of them. */
    private record Batch(List<Piece> pieces, List<KeyValues> past) {
        int length() {
            return pieces.get(0).tokens.length;
        }

        /** The input of the first block for one token of each piece, [B, 1, C]. */
        Tensor embedded(Scope step, LanguageModel.Embedder embedder, int position) throws IOException {
            int[][] ids = pieces.stream()
                    .map(piece -> new int[] {piece.tokens[position]})
                    .toArray(int[][]::new);
            return embedder.embed(step, ids, position);
        }

        /** Draws the tokens after some, from the last block's output [B, 1, C]. */
        void draw(LanguageModel.Output output, Tensor x, int position) throws IOException {
            float[] draws = new float[pieces.size()];
            for (int i = 0; i < draws.length; i++) {
                draws[i] = pieces.get(i).chances.nextFloat();
            }
            int[] next = output.next(x, draws);
            for (int i = 0; i < next.length; i++) {
                pieces.get(i).tokens[position + 1] = next[i];
            }
        }
    }

    private List<Batch> batches(Scope scope, List<Piece> lines, int size) {
        List<Batch> batches = new ArrayList<>();
        for (int start = 0; start < lines.size(); start += size) {
            List<Piece> share = lines.subList(start, Math.min(start + size, lines.size()));
            List<KeyValues> past = new ArrayList<>();
            for (int layer = 0; layer < model.architecture().layers(); layer++) {
                past.add(new KeyValues(scope, share.get(0).tokens.length));
            }
            batches.add(new Batch(share, past));
        }
        return batches;
    }

    /** Completes the pieces with all blocks in memory. */
    private void complete(Scope scope, List<Batch> batches, Evaluator.Progress share) throws IOException {
        List<DecoderBlock> blocks = new ArrayList<>();
        try (BlockReader reader = model.blocks()) {
            while (blocks.size() < model.architecture().layers()) {
                blocks.add(model.block(scope, reader));
            }
        }
        int last = batches.get(0).length() - 1;
        try (LanguageModel.Embedder embedder = model.embedder();
                LanguageModel.Output output = model.output()) {
            for (int position = 0; position < last; position++) {
                int here = position;
                model.halves().forEach(batches.size(), (b, half) -> {
                    Batch batch = batches.get(b);
                    try (Scope step = scope.child()) {
                        Tensor x = batch.embedded(step, embedder, here);
                        for (int layer = 0; layer < blocks.size(); layer++) {
                            x = blocks.get(layer).forward(step, x, batch.past.get(layer));
                        }
                        batch.draw(output, x, here);
                    }
                });
                share.update(position + 1, last);
            }
        }
    }

    /** Completes the pieces with one block in memory at a time. */
    private void completeBlockByBlock(Scope scope, List<Batch> batches, Evaluator.Progress share) throws IOException {
        int last = batches.get(0).length() - 1;
        for (int position = 0; position < last; position++) {
            int here = position;
            try (Scope pass = scope.child()) {
                List<Tensor> hidden = new ArrayList<>();
                try (LanguageModel.Embedder embedder = model.embedder()) {
                    for (Batch batch : batches) {
                        hidden.add(batch.embedded(pass, embedder, here));
                    }
                }
                try (BlockReader reader = model.blocks()) {
                    for (int layer = 0; layer < model.architecture().layers(); layer++) {
                        int number = layer;
                        try (Scope own = model.scope()) {
                            DecoderBlock block = model.block(own, reader);
                            model.halves().forEach(batches.size(), (b, half) -> {
                                KeyValues past = batches.get(b).past.get(number);
                                hidden.set(b, block.forward(pass, hidden.get(b), past));
                            });
                        }
                    }
                }
                try (LanguageModel.Output output = model.output()) {
                    for (int b = 0; b < batches.size(); b++) {
                        batches.get(b).draw(output, hidden.get(b), here);
                    }
                }
            }
            share.update(position + 1, last);
        }
    }
}
