package io.gptq4j.gptq;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.NativeHeap;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Quantizes a model block by block, the calibration windows flowing through what is already quantized.
 *
 * <ol>
 *   <li>The windows are embedded.
 *   <li>For each block, for each of its stages: every window is run from the stage before to this one, which gives the
 *       input of the stage's module group, and its Hessian.
 *   <li>The group is solved; its integers go to the sink, its de-quantized weights take the place of the float ones.
 *   <li>After the last stage the windows become the next block's input.
 * </ol>
 *
 * <p>So every module runs once per window, every group has one Hessian and, unless the plan's rules say otherwise, one
 * factorisation, and each group calibrates on the quantized groups before it ("true sequential"). The reference programs
 * run the whole block once per group and once more.
 *
 * <p>While a block is computed, the next one is read, and the modules before are packed and written, each on a thread of
 * its own. Several devices share the windows, whose Hessians are summed, and the modules of a group.
 *
 * <p>Memory: one or two tensors per window (the residual stream, and what the attention or the activation gave) within a
 * budget, beyond that in a scratch file; one block's weights, the bytes of the next one, and a group's Hessian with its
 * factor. Not thread-safe.
 */
public final class GptqQuantizer {
    /**
     * Bytes of the Hessians and drifts of experts that are summed up in one pass over the windows, and of those that each half of
     * the windows has for itself.
     */
    private static final long CPU_HESSIANS = 1L << 30;

    private static final long GPU_HESSIANS = 8L << 30;

    /** Weights whose solve takes so long that it is nothing to give memory back after it. */
    private static final long MANY_WEIGHTS = 8 << 20;

    private final List<LanguageModel> models;
    private final QuantizationPlan plan;
    private final TensorStore.Budget budget;
    private final @Nullable BlockObserver observer;
    private final boolean allExperts;

    private GptqQuantizer(Builder builder) {
        this.models = List.copyOf(builder.models);
        this.plan = builder.plan;
        this.budget = builder.budget;
        this.observer = builder.observer;
        this.allExperts = builder.allExperts;
    }

    /** A run of {@code plan} over a float model. */
    public static Builder builder(LanguageModel model, QuantizationPlan plan) {
        return new Builder(model, plan);
    }

    /** Settings of a run. */
    public static final class Builder {
        private final List<LanguageModel> models = new ArrayList<>();
        private final QuantizationPlan plan;
        private TensorStore.Budget budget =
                new TensorStore.Budget(0, Long.MAX_VALUE, Path.of(System.getProperty("java.io.tmpdir")));
        private @Nullable BlockObserver observer;
        private boolean allExperts;

        private Builder(LanguageModel model, QuantizationPlan plan) {
            if (model.weights().isQuantized()) {
                throw new IllegalArgumentException(
                        "The model is quantized already; quantize the float checkpoint it came from");
            }
            models.add(model);
            this.plan = plan;
        }

        /** The same checkpoint on another device, to share the work with; in the type of the first one. */
        public Builder alsoOn(LanguageModel model) {
            models.add(model);
            return this;
        }

        /** Where hidden states may be kept; unlimited host memory unless it is said. */
        public Builder budget(TensorStore.Budget budget) {
            this.budget = budget;
            return this;
        }

        /** Who sees the blocks; called on the thread that runs. */
        public Builder observer(BlockObserver observer) {
            this.observer = observer;
            return this;
        }

        /** Calibrates every expert on all tokens, whatever the router says; the windows still go through those it chooses. */
        public Builder allExperts(boolean all) {
            this.allExperts = all;
            return this;
        }

        /** The run. */
        public GptqQuantizer build() {
            return new GptqQuantizer(this);
        }
    }

    /** Takes the finished modules. */
    public interface Sink {
        /** Stores one module; called once for each, block by block, on one thread, which is not the one that runs. */
        void accept(QuantizedLinear module) throws IOException;
    }

    /**
     * Runs.
     *
     * @return one report per module, in the order of the solves
     * @throws CheckpointException if weights or activations are NaN or infinite, naming block and module
     */
    public List<ModuleReport> run(CalibrationSet calibration, Sink sink, QuantizationListener listener)
            throws IOException {
        LanguageModel model = models.get(0);
        model.requireWindow(calibration.seqlen());
        model.checkHead();
        List<ModuleReport> reports = new ArrayList<>();
        int blocks = plan.architecture().layers();
        List<int[][]> batches = CalibrationSet.batches(calibration.windows(), model.batchTokens());
        try (Lanes lanes = new Lanes(
                        models, batches, budget, plan.options().refinement().floatTarget());
                BlockReader reader = model.blocks();
                BackgroundSink writer = new BackgroundSink(sink)) {
            lanes.forEach(lane -> lane.embed(lane == lanes.first() ? observer : null));
            for (int layer = 0; layer < blocks; layer++) {
                listener.blockStarted(layer, blocks);
                try (BlockReader.Block stored = reader.take()) {
                    lanes.forEach(lane -> lane.load(stored));
                }
                reader.readAhead();
                if (observer != null) {
                    observer.loaded(lanes.first().block());
                }
                for (Stage stage : plan.architecture().block(layer).stages()) {
                    for (Pass pass : passes(layer, plan.groups(layer, stage))) {
                        for (ModuleReport report : quantize(lanes, layer, stage, pass, writer)) {
                            reports.add(report);
                            listener.moduleQuantized(report);
                        }
                    }
                }
                if (observer != null) {
                    observer.quantized(lanes.first().block());
                }
                lanes.forEach(lane -> lane.finish());
                listener.blockFinished(layer, blocks);
            }
            writer.await();
        }
        return reports;
    }

    /** Whether a group aims at the float model. An expert that sees all tokens cannot: not all have a part in its output. */
    private boolean aims(int layer, ModuleGroup group) {
        return plan.options().refinement().floatTarget()
                && plan.architecture().block(layer).hasFloatTarget(group)
                && !(allExperts && group.expert().isPresent());
    }

    /**
     * Groups whose inputs are seen in one pass over the windows.
     *
     * @param halved whether there is memory for Hessians and drifts of each half of the windows
     */
    private record Pass(List<ModuleGroup> groups, boolean halved) {}

    /** The passes over the windows for the groups of one stage; one pass, if there are no groups. */
    private List<Pass> passes(int layer, List<ModuleGroup> groups) {
        LanguageModel model = models.get(0);
        long limit = model.isOnGpu() ? GPU_HESSIANS : CPU_HESSIANS;
        int halves = model.halves().count();
        List<Pass> passes = new ArrayList<>();
        List<ModuleGroup> part = new ArrayList<>();
        long bytes = 0;
        for (ModuleGroup group : groups) {
            long columns = group.in() + (aims(layer, group) ? Drift.columns(group) : 0);
            long more = group.in() * columns * Float.BYTES;
            if (!part.isEmpty() && bytes + more > limit) {
                passes.add(new Pass(part, bytes <= limit / halves));
                part = new ArrayList<>();
                bytes = 0;
            }
            part.add(group);
            bytes += more;
        }
        passes.add(new Pass(part, bytes <= limit / halves));
        return passes;
    }

    /** Runs the windows to a stage and solves some of its groups. */
    private List<ModuleReport> quantize(Lanes lanes, int layer, Stage stage, Pass pass, Sink sink) throws IOException {
        List<ModuleGroup> groups = pass.groups();
        List<Scope> works = new ArrayList<>(); // of each lane
        try {
            for (int i = 0; i < lanes.size(); i++) {
                works.add(lanes.lane(i).scope().child());
            }
            long start = System.nanoTime();
            List<List<Inputs>> parts = lanes.each((lane, index) -> {
                List<List<Inputs>> own = new ArrayList<>();
                for (int half = 0; half < (pass.halved() ? lane.model().halves().count() : 1); half++) {
                    own.add(groups.stream()
                            .map(group -> Inputs.of(works.get(index), group, aims(layer, group)))
                            .toList());
                }
                observe(lane, layer, stage, groups, own, allExperts);
                lane.advanceExact(stage);
                return summed(own);
            });
            List<Inputs> seen = summed(parts);
            if (!allExperts && !plan.options().reference()) {
                StarvedExperts.fill(
                        lanes.first(),
                        works.get(0),
                        stage,
                        groups,
                        seen.stream().map(Inputs::hessian).toList());
            }
            List<ModuleReport> reports = new ArrayList<>();
            for (int g = 0; g < groups.size(); g++) {
                ModuleGroup group = groups.get(g);
                reports.addAll(solve(lanes, works, layer, group, seen.get(g), start, sink));
                if ((long) group.in() * group.rows() >= MANY_WEIGHTS) {
                    NativeHeap.trim();
                }
                start = System.nanoTime();
            }
            return reports;
        } finally {
            works.forEach(Scope::close);
        }
    }

    /** What several have seen of the same groups, in the first one's place; the others are closed. */
    private static List<Inputs> summed(List<List<Inputs>> parts) {
        List<Inputs> sum = parts.get(0);
        for (List<Inputs> other : parts.subList(1, parts.size())) {
            for (int g = 0; g < sum.size(); g++) {
                sum.get(g).add(other.get(g));
                other.get(g).close();
            }
        }
        return sum;
    }

    /** Solves a group; what it has seen is closed. */
    private List<ModuleReport> solve(
            Lanes lanes, List<Scope> works, int layer, ModuleGroup group, Inputs inputs, long began, Sink sink)
            throws IOException {
        long start = began;
        try (inputs) {
            Map<GptqOptions, List<Linear>> together = plan.byOptions(layer, group.modules());
            Map<FactorKey, GptqSolver.Factored> factors = new HashMap<>();
            for (GptqOptions options : together.keySet()) {
                FactorKey key = FactorKey.of(options);
                if (!factors.containsKey(key)) {
                    factors.put(key, new GptqSolver(options).factor(works.get(0), inputs.hessian()));
                }
            }
            inputs.hessian().close();
            List<ModuleReport> reports = new ArrayList<>();
            for (Map.Entry<GptqOptions, List<Linear>> part : together.entrySet()) {
                GptqOptions options = part.getKey();
                GptqSolver.Factored factored = Objects.requireNonNull(factors.get(FactorKey.of(options)));
                reports.addAll(
                        solve(lanes, works, layer, group, part.getValue(), options, factored, inputs, start, sink));
                start = System.nanoTime();
            }
            return reports;
        }
    }

    /** All that a factor depends on, of what can differ within a group. */
    private record FactorKey(boolean actOrder, boolean acrossGroups, double dampPercent) {
        static FactorKey of(GptqOptions options) {
            return new FactorKey(options.actOrder(), options.solvesAcrossGroups(), options.dampPercent());
        }
    }

    /** Solves the modules of a group that have the same options, and puts the results in their places. */
    private static List<ModuleReport> solve(
            Lanes lanes,
            List<Scope> works,
            int layer,
            ModuleGroup group,
            List<Linear> modules,
            GptqOptions options,
            GptqSolver.Factored factored,
            Inputs inputs,
            long start,
            Sink sink)
            throws IOException {
        GptqSolver solver = new GptqSolver(options);
        List<GptqSolver.Solution> solutions = lanes.each((lane, index) -> {
            List<GptqSolver.Module> share = share(modules, index, lanes.size()).stream()
                    .map(module -> {
                        Tensor weight = lane.block().weight(module);
                        return new GptqSolver.Module(
                                lane.block().path(module), weight, inputs.drift(group, module, weight));
                    })
                    .toList();
            return share.isEmpty()
                    ? new GptqSolver.Solution(List.of(), 0, List.of())
                    : solver.solve(
                            lane.scope(),
                            index == 0 ? factored : factored.copyTo(works.get(index)),
                            share,
                            lane.model().type());
        });
        double seconds = (System.nanoTime() - start) / 1e9;
        double loss = solutions.stream().mapToDouble(GptqSolver.Solution::loss).sum();
        int outputs = modules.stream().mapToInt(Linear::out).sum();
        List<ModuleReport> reports = new ArrayList<>();
        for (int m = 0; m < modules.size(); m++) {
            Linear module = modules.get(m);
            GptqSolver.Solution solution = solutions.get(m % lanes.size());
            GptqSolver.Solved solved = solution.modules().get(m / lanes.size());
            sink.accept(solved.linear());
            lanes.forEach(
                    lane -> lane.block().replaceWeight(module, solved.weight().copyTo(lane.scope())));
            solved.weight().close();
            reports.add(new ModuleReport(
                    layer,
                    solved.linear().name(),
                    loss / outputs,
                    factored.dampPercent(),
                    factored.dead().length,
                    inputs.hessian().tokens(),
                    solution.fallbacks(),
                    seconds));
        }
        return reports;
    }

    /** The modules that one of several lanes solves: every count-th one. */
    private static List<Linear> share(List<Linear> modules, int index, int count) {
        List<Linear> share = new ArrayList<>();
        for (int m = index; m < modules.size(); m += count) {
            share.add(modules.get(m));
        }
        return share;
    }

    /**
     * Lets groups see their inputs of all windows. An input that is no number ends the run: nothing after it could be
     * calibrated, and the model itself computes nothing else.
     *
     * @throws CheckpointException with block, module and what may help
     */
    static void observe(
            Lane lane, int layer, Stage stage, List<ModuleGroup> groups, List<List<Inputs>> seen, boolean allTokens)
            throws IOException {
        try {
            lane.observe(stage, groups, seen, allTokens);
        } catch (NotFiniteException e) {
            FloatType type = lane.model().type();
            int found = seen.stream()
                    .mapToInt(
                            half -> half.stream().map(Inputs::hessian).toList().indexOf(e.hessian()))
                    .max()
                    .orElseThrow();
            ModuleGroup group = groups.get(found);
            throw new CheckpointException(
                    "Block " + layer + ", " + lane.block().path(group.modules().get(0)) + ": " + e.getMessage() + " in "
                            + type
                            + switch (type) {
                                case FLOAT16 -> "; use --dtype bfloat16 or float32, which have a larger range";
                                case BFLOAT16 -> "; try --dtype float32, or check the weights before it";
                                case FLOAT32 -> "; weights before it are out of range, so check the checkpoint";
                            },
                    e);
        }
    }
}
