package io.gptq4j.gptq;

import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.QuantizedWeights;
import io.gptq4j.safetensors.Half;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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
 *   <li>{@code U} is computed. If {@code H} is not positive definite, its diagonal is raised in several ways, step by step
 *       ({@link Rung}); if none helps, the weights are rounded to nearest.
 *   <li>{@link #solve}: with static groups, every group's scale and zero point is fixed from the original weights.
 *   <li>Column by column: round, spread {@code Err} over the columns to come by {@code U[i, i:]}.
 *   <li>The order is undone. The integers stay integers from here to the packer.
 * </ol>
 *
 * <p>The column loop itself is {@code solve} in {@code gptq.py}. Stateless but for its options; as thread-safe as the
 * scopes it is given.
 */
public final class GptqSolver {
    /** Columns solved one by one; measured: more cost memory traffic on a CPU, fewer cost launches on a GPU. */
    private static final int CPU_STEP = 16;

    private static final int GPU_STEP = 32;

    private final GptqOptions options;
    private final Refining refining;
    private final long most;

    /** A solver with these options. */
    public GptqSolver(GptqOptions options) {
        this(options, Long.MAX_VALUE);
    }

    /** The same that never solves more than {@code most} rows at a time. */
    GptqSolver(GptqOptions options, long most) {
        this.options = options;
        this.refining = new Refining(options);
        this.most = most;
    }

    /**
     * One module to solve.
     *
     * @param name its path
     * @param weight [out, in], of any floating type
     * @param drift how its outputs fall short of the float model's; null to aim at {@code weight}
     */
    public record Module(
            String name, Tensor weight, @Nullable Target drift) {
        /** A module that aims at its own weight. */
        public Module(String name, Tensor weight) {
            this(name, weight, null);
        }
    }

    /** A {@link Drift} of one module. */
    public interface Target {
        /** Its columns from {@code start} to {@code end}, [in, end - start], owned by {@code scope}. */
        Tensor rows(Scope scope, long start, long end);
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
     * @param u U in the upper triangle, [in, in], in solve order; strictly below it the Hessian, 2/n sum x x^T, in the order in
     *     which groups lie one after the other: that of the columns, or of the solve with {@link GptqOptions#descAct}
     * @param diagonal the Hessian's damped diagonal, [in], in the Hessian's order
     * @param factor what the Hessian has been multiplied by, 2/n
     * @param order the column that is solved k-th
     * @param dead inputs that were zero in every token, ascending
     * @param dampPercent the damping that was needed
     * @param scale what a loss has to be multiplied with; 1 unless inputs had to be scaled
     * @param fallbacks what was done to get a factor at all, or a better one than the tokens alone give
     */
    public record Factored(
            Tensor u,
            Tensor diagonal,
            double factor,
            int[] order,
            int[] dead,
            double dampPercent,
            double scale,
            List<Fallback> fallbacks) {
        /** The same on the device of {@code scope}, which owns the copy. */
        public Factored copyTo(Scope scope) {
            return new Factored(
                    u.copyTo(scope), diagonal.copyTo(scope), factor, order, dead, dampPercent, scale, fallbacks);
        }

        /** Whether nothing is known of how the columns are connected. */
        boolean isUnconnected() {
            return fallbacks.stream()
                    .anyMatch(f -> f.remedy() == Fallback.Remedy.ROUND_TO_NEAREST && f.amount() == order.length);
        }
    }

    /**
     * The result of one solve.
     *
     * @param modules in the order given
     * @param loss sum of (W - Q)^2 / U_ii^2 / 2 over all entries, with H normalised by tokens
     * @param fallbacks those of the factor, and of the solve
     */
    public record Solution(List<Solved> modules, double loss, List<Fallback> fallbacks) {}

    /**
     * Turns a Hessian into the factor of its inverse. One is found for every Hessian of finite inputs, by the ladder of {@link
     * Rung}; what had to be done is told in {@link Factored#fallbacks}.
     *
     * @param scope owns the factor
     */
    public Factored factor(Scope scope, Hessian hessian) {
        return new Factoring(options).factor(scope, hessian);
    }

    /** The same for the matrix {@code factor * h}; {@code h} is symmetric and stays as it is. */
    Factored factor(Scope scope, Tensor h, double factor) {
        return new Factoring(options).factor(scope, h, factor);
    }

    static Fallback rounded(Fallback.Cause cause, int columns) {
        return new Fallback(cause, Fallback.Remedy.ROUND_TO_NEAREST, columns);
    }

    /**
     * Quantizes modules that read one input.
     *
     * @param scope owns the results' weights
     * @param factored the input's statistics, on the scope's device
     * @param modules at least one, each with as many inputs as the Hessian
     * @param type the type of the de-quantized weights
     * @throws ArithmeticException naming the module, if weights are NaN or infinite
     */
    public Solution solve(Scope scope, Factored factored, List<Module> modules, FloatType type) {
        try (Scope work = scope.child()) {
            List<Fallback> fallbacks = factored.fallbacks;
            Rows rows = solveRows(work, factored, modules);
            if (!Double.isFinite(rows.loss)) {
                requireFinite(work, modules);
                Factored unconnected = unconnected(work, factored);
                rows = solveRows(work, unconnected, modules);
                fallbacks = unconnected.fallbacks;
            }
            return new Solution(split(scope, work, modules, rows, type), rows.loss * factored.scale, fallbacks);
        }
    }

    /** The same without any connection between columns, so that none hears of another's error. */
    private static Factored unconnected(Scope work, Factored factored) {
        int in = factored.order.length;
        float[] ones = new float[in];
        Arrays.fill(ones, 1);
        Tensor diagonal = work.floats(ones, in);
        Tensor u = work.call("gptq", "unconnected", work.zeros(in, in), diagonal);
        List<Fallback> fallbacks = new ArrayList<>(factored.fallbacks);
        fallbacks.add(rounded(Fallback.Cause.SOLVE_OVERFLOW, in));
        return new Factored(
                u,
                diagonal,
                factored.factor,
                factored.order,
                factored.dead,
                factored.dampPercent,
                factored.scale,
                fallbacks);
    }

    private static void requireFinite(Scope work, List<Module> modules) {
        for (Module module : modules) {
            long bad = work.call("tensors", "count_not_finite", module.weight).toLongs()[0];
            if (bad > 0) {
                throw new ArithmeticException(module.name + ": " + bad + " of its weights are NaN or infinite");
            }
        }
    }

    /**
     * All rows of the modules, solved: codes [in, rows] uint8 in column order, scale and zero [groups, rows] float32.
     */
    record Rows(Tensor codes, Tensor scale, Tensor zero, int[] gIdx, double loss) {
        private Rows moveTo(Scope scope) {
            return new Rows(codes.moveTo(scope), scale.moveTo(scope), zero.moveTo(scope), gIdx, loss);
        }
    }

    /** Solves the rows of these weights [out, in], one after the other. */
    Rows solve(Scope work, Factored factored, List<Tensor> weights) {
        return solveRows(
                work,
                factored,
                weights.stream().map(weight -> new Module("", weight)).toList());
    }

    /** All rows, in portions that two threads share out on a CPU: no row knows of another. */
    private Rows solveRows(Scope work, Factored factored, List<Module> modules) {
        long total = modules.stream().mapToLong(module -> module.weight.size(0)).sum();
        long size = Portion.size(options.refinement(), factored.order.length, total, work.isGpu());
        List<Portion> portions = Portion.of(modules, Math.min(most, size));
        if (portions.size() == 1) {
            return solvePortion(work, factored, portions.get(0));
        }
        Rows[] found = new Rows[portions.size()];
        try {
            work.halves().forEach(portions.size(), (p, half) -> {
                try (Scope step = work.child()) {
                    found[p] = solvePortion(step, factored, portions.get(p)).moveTo(work);
                }
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e); // nothing is read
        }
        List<Rows> solved = List.of(found);
        return new Rows(
                work.call("refine", "beside", solved.stream().map(Rows::codes).toList()),
                work.call("refine", "beside", solved.stream().map(Rows::scale).toList()),
                work.call("refine", "beside", solved.stream().map(Rows::zero).toList()),
                solved.get(0).gIdx,
                solved.stream().mapToDouble(Rows::loss).sum());
    }

    private Rows solvePortion(Scope work, Factored factored, Portion portion) {
        int[] order = factored.order;
        int in = order.length;
        List<Tensor> weights =
                portion.parts().stream().map(part -> part.weight(work)).toList();
        Tensor w = work.call(
                "gptq", "stacked", weights, longs(work, order), work.hasThreads()); // W^T [in, rows], in solve order
        refining.aim(work, factored, portion, w);
        int rows = Math.toIntExact(w.size(1));
        int[] place = inverse(order);
        int group = options.groupSizeFor(in);

        // The reference programs make the grid of a whole row before they clear dead columns, those of groups after.
        // Where all are dead, nothing would be left: there they are not followed.
        List<Tensor> grids =
                options.reference() && options.groupSize() == -1 ? grids(work, w, place, group) : List.of();
        if (options.reference() && factored.dead.length > 0 && factored.dead.length < in) {
            int[] lines = Arrays.stream(factored.dead).map(i -> place[i]).toArray();
            work.call("gptq", "without_lines", w, longs(work, lines));
        }
        boolean refresh = !options.staticGroups() && options.groupSize() != -1;
        if (refresh) {
            int count = (in + group - 1) / group;
            grids = List.of(work.zeros(count, rows), work.zeros(count, rows));
        } else if (options.refinement().gridSearch() && options.sym() && options.mse() == 0) {
            grids = refining.grids(work, factored, w, place);
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
                options.reference() ? options.blocksize() : step(refresh ? group : options.blocksize(), work.isGpu()),
                work.hasThreads());
        Tensor codes = solved.get(0); // [in, rows]
        Tensor loss = solved.get(1);
        boolean across = options.solvesAcrossGroups();
        codes = across ? reordered(work, codes, place) : codes;
        if (options.refinement().sweeps() > 0 && !factored.isUnconnected()) {
            w = refining.slopes(work, factored, w, place);
            loss = refining.swept(work, factored, w, codes, grids, loss);
        }
        w.close();
        codes = options.descAct() ? reordered(work, codes, place) : codes;
        return new Rows(codes, grids.get(0), grids.get(1), gIdx, loss.toDoubles()[0]);
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

    /** Lines in another order; what they were is closed. */
    static Tensor reordered(Scope work, Tensor lines, int[] order) {
        try (lines) {
            return work.call("gptq", "reordered", lines, longs(work, order));
        }
    }

    static int[] inverse(int[] order) {
        int[] inverse = new int[order.length];
        for (int k = 0; k < order.length; k++) {
            inverse[order[k]] = k;
        }
        return inverse;
    }

    static Tensor longs(Scope scope, int[] values) {
        return scope.longs(Arrays.stream(values).asLongStream().toArray(), values.length);
    }
}
