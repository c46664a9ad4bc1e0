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
import org.jspecify.annotations.Nullable;

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
 *   <li>{@code Err} [rows, in], the scaled errors {@code (W[:, i] - Q[:, i]) / U[i, i]}.
 *   <li>{@code blocksize}, how many columns are finished before the columns after them are updated in one product. The
 *       paper updates all of them by blocks of 128. Here a block is halved, and two blocks are joined, recursively: each
 *       half brings its errors to its other half in one product, which is the same sum (see {@code solve} in {@code
 *       gptq.py}).
 * </ul>
 *
 * <ol>
 *   <li>{@link #factor}: columns that never saw an input ("dead") get the mean diagonal, so that they neither disturb the
 *       factor nor are disturbed: they keep their rounded weights.
 *   <li>With act-order, the columns are sorted by falling diagonal of {@code H}: the most sensitive are rounded while
 *       the others can still make up for them.
 *   <li>{@code U} is computed. If {@code H} is not positive definite, the damping grows until it is; if that fails too,
 *       the weights are rounded to nearest.
 *   <li>{@link #solve}: with static groups, every group's scale and zero point is fixed from the original weights.
 *   <li>Column by column: round, spread {@code Err} over the columns to come by {@code U[i, i:]}.
 *   <li>The order is undone. The integers stay integers from here to the packer.
 * </ol>
 *
 * <p>The column loop itself is {@code solve} in {@code gptq.py}. Stateless but for its options; as thread-safe as the
 * scopes it is given.
 */
public final class GptqSolver {
    /** The damping's growth on failure, and where it stops. */
    private static final double DAMP_FACTOR = 4;

    private static final double DAMP_LIMIT = 1;

    /** Columns solved one by one; measured: more cost memory traffic on a CPU, fewer cost launches on a GPU. */
    private static final int CPU_STEP = 16;

    private static final int GPU_STEP = 32;

    /**
     * How much of a drift is believed: n / (n + 4 in) after n tokens. It is a regression on as many variables as there are
     * inputs, and with few tokens for each of them it fits what is particular to the calibration text.
     */
    private static final double DRIFT_SHRINKAGE = 4;

    private final GptqOptions options;

    /** A solver with these options. */
    public GptqSolver(GptqOptions options) {
        this.options = options;
    }

    /**
     * One module to solve.
     *
     * @param name its path
     * @param weight [out, in], of any floating type
     * @param drift how its outputs fall short of the float model's, [in, out], as {@link Drift}; null to aim at {@code weight}
     */
    public record Module(
            String name, Tensor weight, @Nullable Tensor drift) {
        /** A module that aims at its own weight. */
        public Module(String name, Tensor weight) {
            this(name, weight, null);
        }
    }

    /**
     * One solved module.
     *
     * @param linear the integers for the packer
     * @param weight Q, the de-quantized weight [out, in] in the type asked for, owned by the caller's scope
     */
    public record Solved(QuantizedLinear linear, Tensor weight) {}

    /**
     * What the solve needs to know of the input.
     *
     * @param u U in the upper triangle, [in, in], in solve order; strictly below it the Hessian, 2/n sum x x^T
     * @param diagonal the Hessian's damped diagonal, [in], in solve order
     * @param factor what the Hessian has been multiplied by, 2/n
     * @param order the column that is solved k-th
     * @param dead inputs that were zero in every token, ascending
     * @param dampPercent the damping that was needed; 1 or more means that rounding to nearest was the last resort
     */
    public record Factored(Tensor u, Tensor diagonal, double factor, int[] order, int[] dead, double dampPercent) {
        /** The same on the device of {@code scope}, which owns the copy. */
        public Factored copyTo(Scope scope) {
            return new Factored(u.copyTo(scope), diagonal.copyTo(scope), factor, order, dead, dampPercent);
        }
    }

    /**
     * The result of one solve.
     *
     * @param modules in the order given
     * @param loss sum of (W - Q)^2 / U_ii^2 / 2 over all entries, with H normalised by tokens
     */
    public record Solution(List<Solved> modules, double loss) {}

    /**
     * Turns a Hessian into the factor of its inverse.
     *
     * @param scope owns the factor
     * @throws ArithmeticException if the Hessian holds a NaN or an infinity
     */
    public Factored factor(Scope scope, Hessian hessian) {
        return factor(scope, hessian.sum(), 2.0 / Math.max(1, hessian.tokens()));
    }

    /** The same for the matrix {@code factor * h}; {@code h} is symmetric and stays as it is. */
    Factored factor(Scope scope, Tensor h, double factor) {
        try (Scope work = scope.child()) {
            double[] diagonal = work.call("gptq", "diagonal", h).toDoubles();
            for (int i = 0; i < diagonal.length; i++) {
                if (!Double.isFinite(diagonal[i])) {
                    throw new ArithmeticException("its input holds NaN or infinite values (input channel " + i + ")");
                }
                diagonal[i] *= factor;
            }
            int[] dead = IntStream.range(0, diagonal.length)
                    .filter(i -> diagonal[i] == 0)
                    .toArray();
            double live = Arrays.stream(diagonal).sum() / Math.max(1, diagonal.length - dead.length);
            for (int i : dead) { // the rest of their rows and columns is zero, so only the damping notices
                diagonal[i] = options.reference() || live == 0 ? 1 : live;
            }
            int[] order = IntStream.range(0, diagonal.length).toArray();
            if (options.actOrder()) {
                order = Arrays.stream(order)
                        .boxed()
                        .sorted(Comparator.comparingDouble(i -> -diagonal[i])) // stable: ties keep their order
                        .mapToInt(Integer::intValue)
                        .toArray();
            }
            double mean = Arrays.stream(diagonal).average().orElseThrow();
            double damp = options.dampPercent();
            Tensor damped = damped(work, diagonal, order, damp * mean);
            Tensor matrix = work.call("gptq", "arranged", h, longs(work, order), factor, damped);
            while (work.call("gptq", options.reference() ? "factor_in_three_steps" : "factor", matrix)
                            .toLongs()[0]
                    != 0) {
                damp *= DAMP_FACTOR;
                if (damp >= DAMP_LIMIT) {
                    // Without feedback between columns the solve rounds to nearest: better a poor result than a lost
                    // run.
                    work.call("gptq", "unconnected", matrix);
                    return new Factored(matrix.moveTo(scope), damped.moveTo(scope), factor, order, dead, DAMP_LIMIT);
                }
                damped = damped(work, diagonal, order, damp * mean);
                work.call("gptq", "restored", matrix, damped);
            }
            return new Factored(matrix.moveTo(scope), damped.moveTo(scope), factor, order, dead, damp);
        }
    }

    /** The diagonal in solve order, damped, as float32. */
    private static Tensor damped(Scope scope, double[] diagonal, int[] order, double damp) {
        float[] damped = new float[order.length];
        for (int k = 0; k < order.length; k++) {
            damped[k] = (float) diagonal[order[k]] + (float) damp;
        }
        return scope.floats(damped, damped.length);
    }

    /**
     * Quantizes modules that read one input.
     *
     * @param scope owns the results' weights
     * @param factored the input's statistics, on the scope's device
     * @param modules at least one, each with as many inputs as the Hessian
     * @param type the type of the de-quantized weights
     */
    public Solution solve(Scope scope, Factored factored, List<Module> modules, FloatType type) {
        try (Scope work = scope.child()) {
            Rows rows = solveRows(work, factored, modules);
            return new Solution(split(scope, work, modules, rows, type), rows.loss);
        }
    }

    /**
     * All rows of the modules, solved: codes [in, rows] uint8 in column order, scale and zero [groups, rows] float32.
     */
    record Rows(Tensor codes, Tensor scale, Tensor zero, int[] gIdx, double loss) {}

    /** Solves the rows of these weights [out, in], one after the other. */
    Rows solve(Scope work, Factored factored, List<Tensor> weights) {
        return solveRows(
                work,
                factored,
                weights.stream().map(weight -> new Module("", weight)).toList());
    }

    private Rows solveRows(Scope work, Factored factored, List<Module> modules) {
        int[] order = factored.order;
        int in = order.length;
        List<Tensor> weights = modules.stream().map(Module::weight).toList();
        Tensor w = work.call("gptq", "stacked", weights, longs(work, order)); // W^T [in, rows], in solve order
        aim(work, factored, modules, w);
        int rows = Math.toIntExact(w.size(1));
        int[] place = inverse(order);
        int group = options.groupSizeFor(in);

        // The reference programs make the grid of a whole row before they clear dead columns, those of groups after.
        List<Tensor> grids =
                options.reference() && options.groupSize() == -1 ? grids(work, w, place, group) : List.of();
        if (options.reference() && factored.dead.length > 0) {
            int[] lines = Arrays.stream(factored.dead).map(i -> place[i]).toArray();
            work.call("gptq", "without_lines", w, longs(work, lines));
        }
        boolean refresh = !options.staticGroups() && options.groupSize() != -1;
        if (refresh) {
            int count = (in + group - 1) / group;
            grids = List.of(work.zeros(count, rows), work.zeros(count, rows));
        } else if (options.refinement().gridSearch() && options.sym() && options.mse() == 0) {
            grids = work.callAll(
                    "refine",
                    "searched",
                    w,
                    factored.u,
                    members(work, place, group),
                    group,
                    options.maxq(),
                    Refinement.GRID_BETA);
        } else if (grids.isEmpty()) {
            grids = grids(work, w, place, group);
        }
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
                factored.u,
                grids.get(0),
                grids.get(1),
                longs(work, groups),
                refresh ? group : 0,
                options.maxq(),
                options.sym(),
                options.mse(),
                options.reference(),
                options.reference() ? options.blocksize() : step(refresh ? group : options.blocksize(), work.isGpu()));
        Tensor codes = solved.get(0); // [in, rows]
        Tensor loss = solved.get(1);
        if (options.refinement().sweeps() > 0) {
            loss = work.call(
                    "refine",
                    "swept",
                    w,
                    codes,
                    factored.u,
                    factored.diagonal,
                    grids.get(0),
                    grids.get(1),
                    longs(work, groups),
                    members(work, refresh ? identity(in) : place, group),
                    group,
                    options.maxq(),
                    options.refinement().sweeps());
        }
        w.close();
        if (options.actOrder()) {
            Tensor ordered = codes;
            codes = work.call("gptq", "reordered", ordered, longs(work, place));
            ordered.close();
        }
        return new Rows(codes, grids.get(0), grids.get(1), gIdx, loss.toDoubles()[0]);
    }

    /** Moves the weights W^T to where the modules' outputs are nearest to the float model's. */
    private static void aim(Scope work, Factored factored, List<Module> modules, Tensor w) {
        if (modules.stream().allMatch(module -> module.drift() == null)) {
            return;
        }
        try (Scope step = work.child()) {
            List<Tensor> drifts = new ArrayList<>();
            for (Module module : modules) {
                Tensor drift = module.drift();
                long out = module.weight().size(0);
                drifts.add(drift == null ? step.zeros(factored.order.length, out) : drift);
            }
            Tensor drift = step.call("refine", "gathered", drifts, longs(step, factored.order));
            double share = 1 / (1 + DRIFT_SHRINKAGE / 2 * factored.factor * factored.order.length);
            step.call("refine", "aimed", w, factored.u, drift, factored.factor * share);
        }
    }

    /** The columns of the first group, of the second and so on, each group's ascending, by their places in solve order. */
    private static Tensor members(Scope scope, int[] place, int group) {
        int[] members = place.clone();
        for (int start = 0; start < members.length; start += group) {
            Arrays.sort(members, start, Math.min(start + group, members.length));
        }
        return longs(scope, members);
    }

    private static int[] identity(int n) {
        return IntStream.range(0, n).toArray();
    }

    /** How many columns are rounded one by one: a block, or, halved, the largest part of it that is still cheap. */
    private static int step(int columns, boolean gpu) {
        int step = columns;
        while (step % 2 == 0 && step > (gpu ? GPU_STEP : CPU_STEP)) {
            step /= 2;
        }
        return step;
    }

    private List<Tensor> grids(Scope work, Tensor w, int[] place, int group) {
        return work.callAll(
                "gptq",
                "grids",
                w,
                longs(work, place),
                group,
                options.maxq(),
                options.sym(),
                options.mse(),
                options.reference());
    }

    private List<Solved> split(Scope scope, Scope work, List<Module> modules, Rows rows, FloatType type) {
        List<Solved> results = new ArrayList<>();
        long start = 0;
        for (Module module : modules) {
            long end = start + module.weight().size(0);
            try (Scope step = work.child()) {
                Tensor own = step.call("gptq", "module_rows", rows.codes, start, end); // [out, in]
                Tensor scale = step.call("gptq", "module_columns", rows.scale, start, end); // [G, out]
                Tensor zeros = step.call("gptq", "module_columns", rows.zero, start, end); // [G, out]
                QuantizedLinear linear = new QuantizedLinear(
                        module.name(),
                        options.bits(),
                        options.groupSize(),
                        own.toByteRows(),
                        halves(scale),
                        step.call("gptq", "as_bytes", zeros).toByteRows(),
                        rows.gIdx);
                Tensor weight = QuantizedWeights.dequantize(scope, own, scale, zeros, rows.gIdx, type);
                results.add(new Solved(linear, weight));
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
