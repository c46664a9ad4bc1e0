package io.gptq4j.cli;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.cost.Calibration;
import io.gptq4j.format.CheckpointFormat;
import io.gptq4j.format.PackedLinear;
import io.gptq4j.format.Packing;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqSolver;
import io.gptq4j.gptq.Hessian;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The parts of a quantization alone, each against what the machine can do at best, measured in the same run: matrix
 * products against the rate of the library's own, packing against a copy, reading against plain reads.
 */
final class BenchKernels {
    private static final int HESSIAN_TOKENS = 8192;
    private static final int READ_BLOCK = 1 << 23;
    private static final int DIGEST_BYTES = 1 << 28;

    private final Torch torch;
    private final FloatType type;
    private final int repeats;
    private final int largest;
    private final ProgressView view;
    private final List<Row> rows = new ArrayList<>();
    private final Calibration calibration;

    /**
     * The kernels on a device.
     *
     * @param type the forward's type
     * @param repeats timed runs of each, of which the median counts
     * @param largest no matrix gets a larger side
     */
    BenchKernels(Torch torch, FloatType type, int repeats, int largest, ProgressView view) {
        this.torch = torch;
        this.type = type;
        this.repeats = repeats;
        this.largest = largest;
        this.view = view;
        this.calibration = new Calibration(torch);
    }

    /**
     * One kernel.
     *
     * @param seconds median
     * @param rate what it achieves, in {@code unit}
     * @param roof what the machine can do at best in the same unit
     * @param timesRoof how many times as long it takes as at the roof
     */
    record Row(String kernel, String shape, double seconds, double rate, double roof, String unit, double timesRoof) {}

    /** Measures all; {@code shape} gives the block, {@code directory} takes a checkpoint of one. */
    List<Row> run(SyntheticLlama shape, int seqlen, Path directory) throws IOException {
        view.start("kernels", 13);
        product(FloatType.FLOAT32);
        if (type != FloatType.FLOAT32) {
            product(type);
        }
        double copy = calibration.copy();
        add("copy", "256 MiB", 2.0 * (1 << 27) / copy, copy / 1e9, copy / 1e9, "GB/s");
        for (int in : new int[] {2048, 5632}) {
            hessian(Math.min(largest, in));
        }
        for (int in : new int[] {2048, 4096}) {
            factor(Math.min(largest, in));
        }
        for (int out : new int[] {4096, 11_008}) {
            solve(Math.min(largest, out), Math.min(largest, 4096));
        }
        SyntheticLlama one = shape.withBlocks(1);
        one.write(directory);
        forward(one, seqlen, directory);
        packing(Math.min(largest, 4096), copy);
        reading(directory);
        digest();
        view.finish();
        return rows;
    }

    private void add(String kernel, String shape, double seconds, double rate, double roof, String unit) {
        rows.add(new Row(kernel, shape, seconds, rate, roof, unit, roof / rate));
        view.update(rows.size(), kernel + " " + shape);
    }

    private void product(FloatType of) {
        int n = square();
        double rate = calibration.products(of, n, n, n);
        add("product " + of, n + "^3", 2.0 * n * n * n / rate, rate / 1e9, rate / 1e9, "GFLOP/s");
    }

    private int square() {
        return Math.min(largest, 2048);
    }

    /**
     * Times a kernel of so many operations against products in one type. Their rate is measured before and after it, since
     * that of a shared machine drifts.
     */
    private void against(FloatType of, String kernel, String shape, double flops, Timing.Action task)
            throws IOException {
        int n = square();
        double before = calibration.products(of, n, n, n);
        double seconds = Timing.median(repeats, task);
        double peak = (before + calibration.products(of, n, n, n)) / 2;
        add(kernel, shape, seconds, flops / seconds / 1e9, peak / 1e9, "GFLOP/s");
    }

    private void hessian(int in) throws IOException {
        try (Scope scope = torch.scope()) {
            Tensor x = gaussian(scope, HESSIAN_TOKENS, in);
            Hessian hessian = new Hessian(scope, in);
            double flops = (double) HESSIAN_TOKENS * in * in;
            against(FloatType.FLOAT32, "hessian", in + " x " + HESSIAN_TOKENS, flops, () -> {
                hessian.add(x);
                await(scope);
            });
        }
    }

    private void factor(int in) throws IOException {
        GptqSolver solver = new GptqSolver(GptqOptions.plain());
        try (Scope scope = torch.scope()) {
            Hessian hessian = hessianOf(scope, in);
            against(FloatType.FLOAT32, "factor", in + "", 2.0 / 3 * in * in * in, () -> {
                try (Scope step = scope.child()) {
                    solver.factor(step, hessian);
                }
            });
        }
    }

    private void solve(int out, int in) throws IOException {
        int group = in % 128 == 0 ? 128 : 32;
        GptqSolver solver = new GptqSolver(GptqOptions.plain().withBits(4, group));
        try (Scope scope = torch.scope()) {
            GptqSolver.Factored factored = solver.factor(scope, hessianOf(scope, in));
            Tensor weight = gaussian(scope, out, in);
            against(FloatType.FLOAT32, "solve", out + " x " + in, (double) out * in * in, () -> {
                try (Scope step = scope.child()) {
                    solver.solve(step, factored, List.of(new GptqSolver.Module("m", weight)), FloatType.FLOAT32);
                }
            });
        }
    }

    /** Until the device has done what it was given: one stream, so that what comes last waits for all before. */
    private static void await(Scope scope) {
        try (Tensor last = scope.zeros(1)) {
            last.toFloats();
        }
    }

    /** Of twice as many tokens as inputs, so that it is definite. */
    private Hessian hessianOf(Scope scope, int in) {
        Hessian hessian = new Hessian(scope, in);
        try (Tensor x = gaussian(scope, 2 * in, in)) {
            hessian.add(x);
        }
        return hessian;
    }

    private Tensor gaussian(Scope scope, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(rows * 31L + columns);
        float[] values = new float[Math.multiplyExact(rows, columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextDouble() + random.nextDouble() + random.nextDouble() - 1.5);
        }
        return scope.floats(values, rows, columns);
    }

    private void forward(SyntheticLlama one, int seqlen, Path directory) throws IOException {
        CalibrationSet windows = one.windows(1, seqlen);
        try (Checkpoint checkpoint = Checkpoint.open(directory);
                LanguageModel model =
                        LanguageModel.open(torch, checkpoint, ModelFamilies.architecture(checkpoint), type);
                BlockReader reader = model.blocks();
                Scope scope = model.scope();
                LanguageModel.Embedder embedder = model.embedder()) {
            DecoderBlock block = model.block(scope, reader);
            // A block consumes its input, so each run gets a copy, which is not a thousandth of the work.
            Tensor hidden = embedder.embed(scope, windows.windows());
            double width = one.hidden();
            double perToken = 2 * width * (2 * width + 2 * width * one.kvHeads() / one.heads() + 3.0 * one.ffn())
                    + 2.0 * seqlen * width;
            String size = one.hidden() + ", " + one.ffn() + " x " + seqlen;
            against(type, "block forward " + type, size, seqlen * perToken, () -> {
                try (Scope step = scope.child();
                        Scope output = scope.child()) {
                    block.forward(output, step.call("tensors", "reshaped", hidden, hidden.shape()))
                            .close();
                    await(step);
                }
            });
        }
    }

    private void packing(int size, double copy) throws IOException {
        SplittableRandom random = new SplittableRandom(size);
        byte[][] codes = new byte[size][size];
        int groups = size / 32;
        for (byte[] row : codes) {
            for (int i = 0; i < size; i++) {
                row[i] = (byte) random.nextInt(16);
            }
        }
        byte[][] zeros = new byte[groups][size];
        short[][] scales = new short[groups][size];
        for (int g = 0; g < groups; g++) {
            Arrays.fill(zeros[g], (byte) 8);
            Arrays.fill(scales[g], (short) 0x3C00);
        }
        int[] gIdx = new int[size];
        for (int i = 0; i < size; i++) {
            gIdx[i] = i / 32;
        }
        QuantizedLinear linear = new QuantizedLinear("m", 4, 32, codes, scales, zeros, gIdx);
        PackedLinear packed = Packing.pack(linear, CheckpointFormat.GPTQ);
        double bytes = (double) size * size;
        double seconds = Timing.median(repeats, () -> Packing.pack(linear, CheckpointFormat.GPTQ));
        add("pack, 4 bits", size + " x " + size, seconds, bytes / seconds / 1e9, copy / 1e9, "GB/s of codes");
        seconds = Timing.median(repeats, () -> Packing.unpack(packed, CheckpointFormat.GPTQ));
        add("unpack, 4 bits", size + " x " + size, seconds, bytes / seconds / 1e9, copy / 1e9, "GB/s of codes");
    }

    /** Every tensor of a file against plain reads of the whole, both with the same block; the page cache has all of it. */
    private void reading(Path directory) throws IOException {
        Path file = directory.resolve("model.safetensors");
        ByteBuffer buffer = ByteBuffer.allocateDirect(READ_BLOCK);
        try (SafetensorsReader reader = SafetensorsReader.open(file);
                FileChannel plain = FileChannel.open(file)) {
            List<TensorInfo> tensors = new ArrayList<>(reader.tensors().values());
            tensors.sort(Comparator.comparing(TensorInfo::byteLength));
            double size = plain.size();
            double best = Timing.median(repeats, () -> {
                for (long at = 0; at < size; ) {
                    buffer.clear();
                    at += plain.read(buffer, at);
                }
            });
            double seconds = Timing.median(repeats, () -> {
                for (TensorInfo tensor : tensors) {
                    for (long at = 0; at < tensor.byteLength(); at += READ_BLOCK) {
                        buffer.clear().limit((int) Math.min(READ_BLOCK, tensor.byteLength() - at));
                        reader.read(tensor.name(), at, buffer);
                    }
                }
            });
            add(
                    "safetensors read",
                    Sizes.format((long) size),
                    seconds,
                    size / seconds / 1e9,
                    size / best / 1e9,
                    "GB/s");
        }
    }

    private void digest() throws IOException {
        byte[] bytes = new byte[Math.min(DIGEST_BYTES, largest * largest)];
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            double seconds = Timing.median(repeats, () -> digest.digest(bytes));
            double rate = bytes.length / seconds / 1e9;
            add("sha256", Sizes.format(bytes.length), seconds, rate, rate, "GB/s");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java runtime has SHA-256", e);
        }
    }
}
