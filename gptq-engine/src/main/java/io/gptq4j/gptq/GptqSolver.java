package io.gptq4j.gptq;

import io.gptq4j.format.Half;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.QuantizedWeights;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * GPTQ's solve (Frantar, Ashkboos, Hoefler, Alistarh 2022, arXiv 2210.17323, algorithm 1) for all modules that share
 * one input: their weights are stacked by rows, since given the Hessian every row is an independent problem.
 *
 * <p>The symbols, as in the paper:
 *
 * <ul>
 *   <li>{@code W} [rows, in], the weights; {@code Q}, their quantized values.
 *   <li>{@code H} [in, in], the Hessian 2/n sum x x^T of the input, plus {@code percdamp} times its mean diagonal.
 *   <li>{@code Hinv}, its inverse. The algorithm reads it only through {@code U}, its upper Cholesky factor:
 *       {@code Hinv = U^T U}.
 *   <li>{@code Err} [rows, blocksize], the scaled errors {@code (W[:, i] - Q[:, i]) / U[i, i]} of a block of columns.
 *   <li>{@code blocksize}, how many columns are finished before the columns after them are updated in one product.
 * </ul>
 *
 * <ol>
 *   <li>Columns that never saw an input ("dead") get the mean diagonal, so that they neither disturb the factor nor are
 *       disturbed: they keep their rounded weights.
 *   <li>With static groups, every group's scale and zero point is fixed now, from the original weights.
 *   <li>With act-order, the columns are sorted by falling diagonal of {@code H}: the most sensitive are rounded while
 *       the others can still make up for them.
 *   <li>{@code U} is computed. If {@code H} is not positive definite, the damping grows until it is; if that fails too,
 *       the weights are rounded to nearest.
 *   <li>Column by column: round, spread {@code Err} over the columns to come by {@code U[i, i:]}; after each block,
 *       update all columns behind it.
 *   <li>The order is undone. The integers stay integers from here to the packer.
 * </ol>
 *
 * <p>The column loop itself is {@code solve} in {@code gptq.py}. Stateless but for its options; as thread-safe as the
 * scope it is given.
 */
public final class GptqSolver {
    /** The damping's growth on failure, and where it stops. */
    private static final double DAMP_FACTOR = 4;

    private static final double DAMP_LIMIT = 1;

    private final GptqOptions options;

    /** A solver with these options. */
    public GptqSolver(GptqOptions options) {
        this.options = options;
    }

    /** One module to solve: its path and its weight [out, in], of any floating type. */
    public record Module(String name, Tensor weight) {}

    /**
     * One solved module.
     *
     * @param linear the integers for the packer
     * @param weight Q, the de-quantized weight [out, in] in the type asked for, owned by the caller's scope
     */
    public record Solved(QuantizedLinear linear, Tensor weight) {}

    /**
     * The result of one solve.
     *
     * @param modules in the order given
     * @param loss sum of (W - Q)^2 / U_ii^2 / 2 over all entries, with H normalised by tokens
     * @param dampPercent the damping that was needed; 1 or more means that rounding to nearest was the last resort
     * @param deadColumns inputs that were zero in every token
     */
    public record Solution(List<Solved> modules, double loss, double dampPercent, int deadColumns) {}

    /**
     * Quantizes the modules that read one input.
     *
     * @param scope owns the results' weights
     * @param hessian the input's statistics
     * @param modules at least one, each with as many inputs as the Hessian
     * @param type the type of the de-quantized weights
     * @throws ArithmeticException if the Hessian holds a NaN or an infinity
     */
    public Solution solve(Scope scope, Hessian hessian, List<Module> modules, FloatType type) {
        try (Scope work = scope.child()) {
            Tensor h = work.call("gptq", "scaled", hessian.sum(), 2.0 / Math.max(1, hessian.tokens()));
            Tensor w = work.call(
                    "gptq", "stacked", modules.stream().map(Module::weight).toList());
            Rows rows = solve(work, h, w);
            return new Solution(split(scope, work, modules, rows, type), rows.loss, rows.dampPercent, rows.deadColumns);
        }
    }

    /**
     * All rows of the modules, solved: codes [in, rows] uint8 in column order, scale and zero [groups, rows] float32.
     */
    record Rows(
            Tensor codes, Tensor scale, Tensor zero, int[] gIdx, double loss, double dampPercent, int deadColumns) {}

    /** Solves W^T {@code w} [in, rows] for the undamped {@code h}; consumes both. */
    Rows solve(Scope work, Tensor h, Tensor w) {
        double[] diagonal = work.call("gptq", "diagonal", h).toDoubles();
        for (int i = 0; i < diagonal.length; i++) {
            if (!Double.isFinite(diagonal[i])) {
                throw new ArithmeticException("its input holds NaN or infinite values (input channel " + i + ")");
            }
        }
        int in = diagonal.length;
        int rows = Math.toIntExact(w.size(1));
        int group = options.groupSizeFor(in);
        int[] dead = IntStream.range(0, in).filter(i -> diagonal[i] == 0).toArray();

        // The reference programs make the grid of a whole row before they clear dead columns, those of groups after.
        List<Tensor> grids = options.reference() && options.groupSize() == -1 ? grids(work, w, group) : List.of();
        if (dead.length > 0) {
            h = revive(work, h, diagonal, dead);
            if (options.reference()) {
                w = replace(w, work.call("gptq", "without_lines", w, longs(work, dead)));
            }
        }
        boolean refresh = !options.staticGroups() && options.groupSize() != -1;
        if (refresh) {
            int count = (in + group - 1) / group;
            grids = List.of(work.zeros(count, rows), work.zeros(count, rows));
        } else if (grids.isEmpty()) {
            grids = grids(work, w, group);
        }

        int[] order = IntStream.range(0, in).toArray();
        if (options.actOrder()) {
            order = IntStream.range(0, in)
                    .boxed()
                    .sorted(Comparator.<Integer>comparingDouble(i -> -diagonal[i])) // stable: ties keep their order
                    .mapToInt(Integer::intValue)
                    .toArray();
            h = replace(h, work.call("gptq", "permuted", h, longs(work, order)));
            w = replace(w, work.call("gptq", "reordered", w, longs(work, order)));
        }
        Factor factor = factor(work, h, Arrays.stream(diagonal).average().orElseThrow());
        h.close();

        int[] groups = new int[in]; // in solve order
        int[] gIdx = new int[in]; // in column order
        for (int k = 0; k < in; k++) {
            groups[k] = (refresh ? k : order[k]) / group;
            gIdx[order[k]] = groups[k];
        }
        List<Tensor> solved = work.callAll(
                "gptq",
                "solve",
                w,
                factor.u,
                grids.get(0),
                grids.get(1),
                Arrays.stream(groups).asLongStream().toArray(),
                refresh ? group : 0,
                options.maxq(),
                options.sym(),
                options.mse(),
                options.reference(),
                options.blocksize());
        Tensor codes = solved.get(0); // [in, rows]
        if (options.actOrder()) {
            codes = replace(codes, work.call("gptq", "reordered", codes, longs(work, inverse(order))));
        }
        double loss = solved.get(1).toDoubles()[0];
        return new Rows(codes, grids.get(0), grids.get(1), gIdx, loss, factor.dampPercent, dead.length);
    }

    /** Gives dead inputs a diagonal; their rows and columns are zero, so only the damping and themselves notice. */
    private Tensor revive(Scope work, Tensor h, double[] diagonal, int[] dead) {
        double live = Arrays.stream(diagonal).sum() / Math.max(1, diagonal.length - dead.length);
        for (int i : dead) {
            diagonal[i] = options.reference() || live == 0 ? 1 : live;
        }
        float[] values = new float[diagonal.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) diagonal[i];
        }
        return replace(h, work.call("gptq", "with_diagonal", h, work.floats(values, values.length)));
    }

    private record Factor(Tensor u, double dampPercent) {}

    private Factor factor(Scope work, Tensor h, double meanDiagonal) {
        String method = options.reference() ? "factor_in_three_steps" : "factor";
        for (double damp = options.dampPercent(); damp < DAMP_LIMIT; damp *= DAMP_FACTOR) {
            List<Tensor> result = work.callAll("gptq", method, h, damp * meanDiagonal);
            if (result.get(1).toLongs()[0] == 0) {
                return new Factor(result.get(0), damp);
            }
            result.forEach(Tensor::close);
        }
        // Without feedback between columns the solve rounds to nearest: a poor result is better than a lost run.
        return new Factor(work.call("gptq", "identity_like", h), DAMP_LIMIT);
    }

    private List<Tensor> grids(Scope work, Tensor w, int group) {
        return work.callAll(
                "gptq", "grids", w, group, options.maxq(), options.sym(), options.mse(), options.reference());
    }

    private List<Solved> split(Scope scope, Scope work, List<Module> modules, Rows rows, FloatType type) {
        List<Solved> results = new ArrayList<>();
        long start = 0;
        for (Module module : modules) {
            long end = start + module.weight().size(0);
            try (Scope step = work.child()) {
                Tensor own = step.call("gptq", "module_rows", rows.codes, start, end); // [out, in]
                short[][] scales = halves(step.call("gptq", "module_columns", rows.scale, start, end)); // [G, out]
                Tensor zeros = step.call("gptq", "module_columns", rows.zero, start, end); // [G, out]
                QuantizedLinear linear = new QuantizedLinear(
                        module.name(),
                        options.bits(),
                        options.groupSize(),
                        own.toByteRows(),
                        scales,
                        step.call("gptq", "as_bytes", zeros).toByteRows(),
                        rows.gIdx);
                results.add(new Solved(linear, QuantizedWeights.dequantize(scope, linear, type)));
            }
            start = end;
        }
        return results;
    }

    private static short[][] halves(Tensor scale) {
        int groups = Math.toIntExact(scale.size(0));
        int out = Math.toIntExact(scale.size(1));
        float[] values = scale.toFloats();
        short[][] halves = new short[groups][out];
        for (int g = 0; g < groups; g++) {
            for (int o = 0; o < out; o++) {
                halves[g][o] = Half.fromFloat(values[g * out + o]);
            }
        }
        return halves;
    }

    private static Tensor replace(Tensor old, Tensor replacement) {
        old.close();
        return replacement;
    }

    private static int[] inverse(int[] order) {
        int[] inverse = new int[order.length];
        for (int k = 0; k < order.length; k++) {
            inverse[order[k]] = k;
        }
        return inverse;
    }

    private static Tensor longs(Scope scope, int[] values) {
        return scope.longs(Arrays.stream(values).asLongStream().toArray(), values.length);
    }
}
