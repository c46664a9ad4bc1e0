package io.gptq4j.gptq;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

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
 * <p>So every module runs once per window, every group has one Hessian and one factorisation, and each group calibrates
 * on the quantized groups before it ("true sequential"). The reference programs run the whole block once per group and
 * once more.
 *
 * <p>Memory: two tensors per window (residual stream and current input), one block's weights, and the group's Hessian
 * with its factor.
 */
public final class GptqQuantizer {
    private final LanguageModel model;
    private final QuantizationPlan plan;

    /** A run of {@code plan} over a float model. */
    public GptqQuantizer(LanguageModel model, QuantizationPlan plan) {
        if (model.weights().isQuantized()) {
            throw new IllegalArgumentException(
                    "The model is quantized already; quantize the float checkpoint it came from");
        }
        this.model = model;
        this.plan = plan;
    }

    /** Takes the finished modules. */
    public interface Sink {
        /** Stores one module; called once for each, block by block. */
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
        model.requireWindow(calibration.seqlen());
        model.checkOutsideBlocks();
        List<ModuleReport> reports = new ArrayList<>();
        int blocks = plan.architecture().layers();
        try (Scope states = model.scope()) {
            List<Tensor> hidden = embed(states, calibration);
            for (int layer = 0; layer < blocks; layer++) {
                listener.blockStarted(layer, blocks);
                try (Scope scope = model.scope()) {
                    DecoderBlock block = model.block(scope, layer);
                    List<DecoderBlock.State> at = new ArrayList<>();
                    for (ModuleGroup group : plan.groups()) {
                        for (int w = 0; w < hidden.size(); w++) {
                            if (group.stage() == Stage.ATTENTION_IN) {
                                at.add(block.begin(states, hidden.get(w)));
                            } else {
                                at.set(w, block.advance(states, group.stage(), at.get(w)));
                            }
                        }
                        quantize(scope, block, layer, group, at, sink, report -> {
                            reports.add(report);
                            listener.moduleQuantized(report);
                        });
                    }
                    for (int w = 0; w < hidden.size(); w++) {
                        hidden.set(w, block.finish(states, at.get(w)));
                    }
                }
                listener.blockFinished(layer, blocks);
            }
        }
        return reports;
    }

    private List<Tensor> embed(Scope states, CalibrationSet calibration) throws IOException {
        List<Tensor> hidden = new ArrayList<>();
        try (LanguageModel.Embedder embedder = model.embedder()) {
            for (int[][] batch : calibration.batches()) {
                hidden.add(embedder.embed(states, batch)); // [B, T, C]
            }
        }
        return hidden;
    }

    private void quantize(
            Scope scope,
            DecoderBlock block,
            int layer,
            ModuleGroup group,
            List<DecoderBlock.State> at,
            Sink sink,
            Consumer<ModuleReport> report)
            throws IOException {
        if (group.modules().isEmpty()) {
            return;
        }
        long start = System.nanoTime();
        int outputs = group.modules().stream().mapToInt(Linear::out).sum();
        List<GptqSolver.Module> modules = group.modules().stream()
                .map(module -> new GptqSolver.Module(block.path(module), block.weight(module)))
                .toList();
        try (Scope work = scope.child()) {
            Hessian hessian = new Hessian(work, group.modules().get(0).in());
            for (DecoderBlock.State state : at) {
                hessian.add(state.x());
            }
            GptqSolver solver = new GptqSolver(plan.options());
            GptqSolver.Factored factored;
            try {
                factored = solver.factor(work, hessian);
            } catch (ArithmeticException e) {
                throw new CheckpointException(
                        "Block " + layer + ", " + modules.get(0).name() + ": " + e.getMessage() + " in " + model.type()
                                + (model.type() == FloatType.FLOAT32
                                        ? "; weights before it are out of range, so check the checkpoint"
                                        : "; try --dtype float32"),
                        e);
            }
            GptqSolver.Solution solution = solver.solve(scope, factored, modules, model.type());
            double seconds = (System.nanoTime() - start) / 1e9;
            for (int i = 0; i < modules.size(); i++) {
                GptqSolver.Solved solved = solution.modules().get(i);
                sink.accept(solved.linear());
                block.replaceWeight(group.modules().get(i), solved.weight());
                report.accept(new ModuleReport(
                        layer,
                        modules.get(i).name(),
                        solution.loss() / outputs,
                        factored.dampPercent(),
                        factored.dead().length,
                        hessian.tokens(),
                        seconds));
            }
        }
    }
}
