package io.gptq4j.cost;

import io.gptq4j.eval.Pieces;
import io.gptq4j.gptq.Hessian;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.Refinement;
import io.gptq4j.gptq.Sensitivity;
import io.gptq4j.gptq.TargetWidths;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Halves;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Counts the work of a quantization: pure arithmetic from the architecture, the options and the calibration's size,
 * nothing of the checkpoint but its length. N tokens, T tokens per window, rows x in the shape of a module.
 *
 * <table>
 *   <caption>Floating-point operations</caption>
 *   <tr><td>linear module, forward</td><td>2 N in rows</td></tr>
 *   <tr><td>attention, the causal half</td><td>2 N T heads headDim</td></tr>
 *   <tr><td>Hessian of a module group, upper triangle</td><td>N in^2</td></tr>
 *   <tr><td>factor of its inverse</td><td>2/3 in^3</td></tr>
 *   <tr><td>solve, by the rows of all modules of the group</td><td>rows in^2</td></tr>
 *   <tr><td>drift of a module group, by its inputs alone or as it is</td><td>2 N in^2 + 2 rows in^2, 4 N in rows</td></tr>
 *   <tr><td>from the drift to other weights</td><td>2 rows in^2</td></tr>
 *   <tr><td>sweeps: their start, and each of them</td><td>rows in^2, 2 rows in^2</td></tr>
 * </table>
 *
 * <p>What is done element by element is counted in bytes moved; the solve's column loop in operations on tensors. The
 * efficiencies say how far the program is from the machine's rates where it cannot reach them; each says where it is from.
 */
public final class CostModel {
    /**
     * The share of the rate of products in sums over the upper triangle, counting what is computed of the lower one: some columns
     * at the diagonal. Sums alone, with 256, 704, 2048 and 5632 inputs: 0.82, 0.86, 0.85, 0.92.
     */
    private static final double HESSIAN_EFFICIENCY = 0.87;

    /**
     * The same for the factorisation's products; beside them its diagonal blocks cost calls for each line, and arranging,
     * mirroring and turning the matrix round the bytes of several passes over it. Fitted to {@code gptq4j bench kernels} with
     * 256, 704, 1024, 2048 and 4096 inputs, two threads: 3.3, 14, 25, 105 and 480 ms, here 2.8, 13, 25, 99 and 510.
     */
    private static final double FACTOR_EFFICIENCY = 0.8;

    private static final int FACTOR_CALLS = 16;
    private static final int FACTOR_BYTES = 180;

    /**
     * The same for the solve's products, most of whose inner dimensions are short. The column loop costs calls for each
     * column, and again for each tile of a half's rows; stacking, ordering, grids, codes and the copy of these to Java the bytes
     * of some passes over the weights. Fitted to the solves of 256 x 256, 704 x 704, 1024 x 1024, 4096 x 4096 and 11008 x
     * 4096, two threads: 6, 15, 20, 478 and 1338 ms, here 4, 14, 25, 499 and 1285.
     */
    private static final double SOLVE_EFFICIENCY = 0.9;

    private static final int COLUMN_CALLS = 18;
    private static final int TILE_CALLS = 9;
    private static final double SOLVE_BYTES = 8;

    /**
     * Passes over the weights in the search for grids and in a sweep, in bytes of a weight, and a sweep's calls for each column
     * and each tile of a half's rows. Fitted to the same shapes: 20 ns a weight for the search, some 7 for a sweep.
     */
    private static final double SEARCH_BYTES = 80;

    private static final double SWEEP_BYTES = 26;
    private static final int SWEEP_CALLS = 10;

    /** Lines of a module's rows that the column loop takes at a time on a CPU, so that they stay in the cache. */
    private static final int CPU_ROWS = 2048;

    /**
     * Bytes that packing a code and de-quantizing it again is worth: 1 ns of Java for the former, at 10 GB/s, and 24
     * bytes for the latter.
     */
    private static final double PACK_BYTES = 34;

    private final QuantizationPlan plan;
    private final Architecture architecture;
    private final Run run;
    private final Map<SolvedGroup, Integer> solvedGroups;
    private final RunMemory memory;
    private final ForwardWork forward;

    /** A model of one run. */
    public CostModel(QuantizationPlan plan, Run run) {
        this.plan = plan;
        this.architecture = plan.architecture();
        this.run = run;
        this.solvedGroups = SolvedGroup.of(plan);
        this.memory = new RunMemory(plan, run, solvedGroups);
        this.forward = new ForwardWork(architecture, run.type(), run.gpu());
    }

    /** What the run does, block by block the same. */
    public List<Work> work() {
        List<Work> all = new ArrayList<>();
        int layers = architecture.layers();
        all.add(Work.disk(Step.READ, run.checkpointBytes()));
        forward.add(all, Step.LINEAR, Step.ATTENTION, Step.ELEMENTWISE, run.tokens(), batches(), run.seqlen(), 1);
        addExpertsAgain(all);
        all.add(ForwardWork.elements(Step.ELEMENTWISE, loadingBytes() * layers, loadedConversions() * layers, 0));
        solvedGroups.forEach((group, times) -> addGroup(all, group, times));
        if (plan.options().refinement().floatTarget()) {
            addFloatTarget(all);
        }
        if (run.selfWindows() > 0) {
            addSelfCalibration(all);
        }
        if (run.choosesWidths()) {
            addSensitivity(all);
        }
        all.add(Work.disk(Step.WRITE, memory.artifactBytes()));
        if (run.evalWindows() > 0) {
            addEvaluation(all);
        }
        return all;
    }

    /**
     * What experts compute once for the Hessian of their last module, they compute again for the block's output, and, last module
     * included, for what they lack of the float model's.
     */
    private void addExpertsAgain(List<Work> all) {
        boolean compared = plan.options().refinement().floatTarget();
        architecture.kinds().forEach((block, count) -> {
            if (block.mlp() instanceof Mlp.Experts) {
                for (ModuleGroup group : block.moduleGroups()) {
                    double tokens = run.tokens() * SolvedGroup.seen(block, group);
                    for (Linear module : group.modules()) {
                        if (group.stage() == Stage.MLP_IN) {
                            all.add(ForwardWork.linear(Step.LINEAR, module, tokens, count));
                        }
                        if (compared && (group.stage() == Stage.MLP_IN || group.stage() == Stage.MLP_OUT)) {
                            all.add(ForwardWork.linear(Step.DRIFT, module, tokens, count));
                        }
                    }
                }
            }
        });
    }

    private void addGroup(List<Work> all, SolvedGroup group, int layers) {
        double in = group.in();
        double rows = group.rows();
        double tokens = run.tokens() * group.seen();
        int size = (int) in;
        double share = HESSIAN_EFFICIENCY * in / (in + Math.min(in, Hessian.base(size, run.gpu())));
        all.add(Work.products(Step.HESSIAN, Work.Unit.FLOAT32, size, layers * tokens * in * in, share));
        all.add(ForwardWork.elements(Step.HESSIAN, 0, forward.converted() * layers * tokens * in, 0));
        all.add(Work.products(
                Step.FACTOR, Work.Unit.FLOAT32, size, layers * 2.0 / 3 * in * in * in, FACTOR_EFFICIENCY));
        all.add(Work.products(Step.SOLVE_PRODUCTS, Work.Unit.FLOAT32, size, layers * rows * in * in, SOLVE_EFFICIENCY));
        all.add(ForwardWork.elements(Step.FACTOR, layers * in * in * FACTOR_BYTES, 0, layers * in * FACTOR_CALLS));
        double tiles = run.gpu() ? 1 : Math.ceil(rows / Halves.count(run.gpu()) / CPU_ROWS);
        all.add(new Work(
                Step.SOLVE_COLUMNS,
                Work.Unit.FLOAT32,
                0,
                0,
                ForwardWork.ELEMENTWISE_EFFICIENCY,
                layers * rows * in * SOLVE_BYTES,
                0,
                layers * in * (COLUMN_CALLS + TILE_CALLS * tiles),
                layers * in * tiles));
        addRefinement(all, in, rows, tiles, layers);
        all.add(ForwardWork.elements(Step.PACK, layers * rows * in * PACK_BYTES, 0, 0));
    }

    /** What is beyond the paper's solve of a group, but for its target. */
    private void addRefinement(List<Work> all, double in, double rows, double tiles, int layers) {
        Refinement refinement = plan.options().refinement();
        if (refinement.gridSearch() && plan.options().sym()) {
            all.add(ForwardWork.elements(Step.REFINE, layers * rows * in * SEARCH_BYTES, 0, 0));
        }
        int sweeps = refinement.sweeps();
        if (sweeps > 0) {
            double products = layers * (1.0 + 2.0 * sweeps) * rows * in * in;
            all.add(Work.products(Step.REFINE, Work.Unit.FLOAT32, (int) in, products, SOLVE_EFFICIENCY));
            all.add(ForwardWork.elements(Step.REFINE, layers * sweeps * rows * in * SWEEP_BYTES, 0, 0));
            all.add(ForwardWork.elements(Step.REFINE, 0, 0, layers * sweeps * in * SWEEP_CALLS * tiles));
        }
    }

    private double batches() {
        return forward.batches(run.windows(), run.seqlen());
    }

    /** The windows through all float blocks; the drift of each group, and the weights that follow from it. */
    private void addFloatTarget(List<Work> all) {
        forward.add(all, Step.DRIFT, Step.DRIFT, Step.DRIFT, run.tokens(), batches(), run.seqlen(), 1);
        solvedGroups.forEach((group, times) -> {
            if (group.driftFlops() == 0) {
                return;
            }
            double tokens = run.tokens() * group.seen() * times;
            double in = group.in();
            double rows = group.rows();
            int size = (int) Math.min(in, rows);
            double products = tokens * group.driftFlops() + times * group.driftAfter();
            all.add(Work.products(Step.DRIFT, Work.Unit.FLOAT32, size, products, 1));
            all.add(ForwardWork.elements(
                    Step.DRIFT, tokens * (in + rows) * 3 * Float.BYTES, forward.converted() * tokens * in, 0));
            all.add(Work.products(
                    Step.REFINE, Work.Unit.FLOAT32, (int) in, times * 2 * rows * in * in, SOLVE_EFFICIENCY));
        });
    }

    /**
     * All tokens through all blocks and the head, one of each piece at a time. For each batch the products read the weights; in each
     * pass blocks that do not stay in memory are loaded anew.
     */
    private void addSelfCalibration(List<Work> all) {
        Step step = Step.SELF_CALIBRATION;
        Pieces pieces = memory.pieces();
        int layers = architecture.layers();
        long tokens = (long) pieces.count() * (pieces.length() - 1);
        double batches = (double) pieces.batches() / Halves.count(run.gpu());
        forward.add(all, step, step, step, tokens, batches, pieces.length(), 1);
        double read = pieces.batches() * (double) memory.blocksBytes();
        double conversions = 0;
        if (!memory.keepsBlocks()) {
            read += pieces.passes() * (loadingBytes() * layers + run.checkpointBytes());
            conversions = pieces.passes() * loadedConversions() * layers;
        }
        all.add(ForwardWork.elements(step, read, conversions, 0));
        // Logits in float32, probabilities, and their sums in float64, which are written once and read twice.
        forward.addHead(all, step, tokens, 3 * Float.BYTES + 3 * Double.BYTES);
    }

    /**
     * All blocks are read again. Of each block some windows make Hessians, with which its groups are solved at all widths; other
     * windows go on from there through all blocks after it, once for each group.
     */
    private void addSensitivity(List<Work> all) {
        Sensitivity.Windows windows = Sensitivity.Windows.of(run.textWindows(), run.seqlen());
        int layers = architecture.layers();
        long solved = (long) windows.solved() * run.seqlen();
        long probed = (long) windows.probed() * run.seqlen();
        int streams = SolvedGroup.units(plan);
        double passes = (double) streams * (layers + 1) / 2 / layers + 1;
        all.add(ForwardWork.elements(
                Step.SENSITIVITY, loadingBytes() * layers + run.checkpointBytes(), loadedConversions() * layers, 0));
        Step step = Step.SENSITIVITY;
        forward.add(all, step, step, step, solved, forward.batches(windows.solved(), run.seqlen()), run.seqlen(), 1);
        forward.add(
                all, step, step, step, probed, forward.batches(windows.probed(), run.seqlen()), run.seqlen(), passes);
        forward.addHead(all, step, 2.0 * streams * probed, 5 * Float.BYTES);
        int widths = TargetWidths.WIDTHS.size();
        solvedGroups.forEach((group, times) -> {
            List<Work> once = new ArrayList<>();
            addGroup(once, group, times);
            for (Work work : once) {
                double share = switch (work.step()) {
                    case HESSIAN -> (double) solved / run.tokens();
                    case FACTOR -> 1;
                    default -> widths;
                };
                all.add(work.as(Step.SENSITIVITY, share));
            }
        });
    }

    /** The held-out windows through every float block and every quantized one, and twice through the head. */
    private void addEvaluation(List<Work> all) {
        long tokens = run.evalTokens();
        Step step = Step.EVALUATION;
        double batches = forward.batches(run.evalWindows(), run.evalWindow());
        forward.add(all, step, step, step, tokens, batches, run.evalWindow(), 2);
        // Logits are read three times by their logarithm of sums.
        forward.addHead(all, step, 2.0 * tokens, 4 * Float.BYTES);
    }

    private double loadedConversions() {
        return Math.abs(memory.storedBytes() - run.type().bytes()) < 0.5 ? 0 : memory.blockParameters();
    }

    /** A block's weights converted to the forward's type and looked through for what is not finite. */
    private double loadingBytes() {
        return memory.blockParameters()
                * (memory.storedBytes() + 2.0 * run.type().bytes() + 3);
    }

    /** Seconds, memory and disk of the run on a machine. */
    public Estimate estimate(MachineProfile machine) {
        double[] seconds = new double[Step.values().length];
        double[] flops = seconds.clone();
        double[] moved = seconds.clone();
        double floor = 0;
        for (Work work : work()) {
            int step = work.step().ordinal();
            seconds[step] += work.seconds(machine);
            flops[step] += work.flops();
            moved[step] += work.bytes();
            floor += work.step().inFloor() ? work.floor(machine) : 0;
        }
        List<Estimate.Cost> costs = new ArrayList<>();
        double computing = 0;
        for (Step step : Step.values()) {
            int i = step.ordinal();
            costs.add(new Estimate.Cost(step, flops[i], moved[i], seconds[i]));
            computing += step == Step.READ || step == Step.WRITE ? 0 : seconds[i];
        }
        double disk = seconds[Step.READ.ordinal()] + seconds[Step.WRITE.ordinal()];
        return new Estimate(costs, Math.max(computing, disk), floor, memory());
    }

    /** Memory and disk, for which no machine has to be measured. */
    public Estimate.Memory memory() {
        return memory.estimate();
    }
}
