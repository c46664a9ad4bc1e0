package io.gptq4j.gptq;

import io.gptq4j.calibration.CalibrationSet;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.BlockReader;
import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Stage;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.TensorStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What each width of each module does to the model's predictions, in one pass over the blocks.
 *
 * <p>In each block every unit is solved at every width, with the Hessian of some calibration windows. With one unit at a time
 * at the smallest width, and all else in float, other windows go on through the rest of the model. The KL divergence of the
 * predictions in the end from those of the float model is the damage of this width. For the other widths it is multiplied by
 * the ratio of the solve's losses, since small errors of one module do damage in proportion. Following all four widths chooses
 * no better; 3 bits are close to what rounding in bfloat16 does; and losses alone, as they know nothing of what comes after a
 * module, choose up to two and a half times the damage (tiny-opt at 3.24 bits per weight).
 *
 * <p>Costs a forward of the windows to be compared for each unit through all blocks after it, and the solves of all widths.
 * Memory as a run, with these windows' states once per unit. Not thread-safe.
 */
public final class Sensitivity {
    /** Tokens whose predictions are compared. */
    private static final int PROBE_TOKENS = 4096;

    /** Tokens of the Hessians: enough to tell widths apart. */
    private static final int HESSIAN_TOKENS = 32_768;

    /** The damage of predictions that are no numbers: worse than anything else. */
    private static final double OVERFLOW = 1e30;

    /** The most tokens that go through a block together, and so through the head, whose logits would be too many. */
    private static final int BATCH_TOKENS = 2048;

    private final LanguageModel model;
    private final QuantizationPlan plan;
    private final TargetWidths target;
    private final TensorStore.Budget budget;

    /**
     * How many of the calibration windows serve what.
     *
     * @param solved the first ones, for the Hessians
     * @param probed the last ones, whose predictions are compared
     */
    public record Windows(int solved, int probed) {
        /** The shares of so many windows of {@code seqlen} tokens. */
        public static Windows of(int windows, int seqlen) {
            int probed = Math.max(1, Math.min(PROBE_TOKENS / seqlen, windows / 2));
            return new Windows(Math.max(1, Math.min(HESSIAN_TOKENS / seqlen, windows - probed)), probed);
        }
    }

    /**
     * Prepares the measurement.
     *
     * @param model the float model
     * @param target the units, and the options of their modules
     * @param budget where hidden states may be kept
     */
    public Sensitivity(LanguageModel model, TargetWidths target, TensorStore.Budget budget) {
        this.model = model;
        this.plan = target.plan();
        this.target = target;
        this.budget = budget;
    }

    /**
     * Measures.
     *
     * @return for each unit the KL divergence from the float model at each of {@link TargetWidths#WIDTHS}, in nats per token
     * @throws CheckpointException if weights or activations are NaN or infinite, naming block and module
     */
    public List<double[]> measure(CalibrationSet calibration, QuantizationListener listener) throws IOException {
        model.requireWindow(calibration.seqlen());
        int[][] windows = calibration.windows();
        Windows share = Windows.of(windows.length, calibration.seqlen());
        int[][] probe = Arrays.copyOfRange(windows, windows.length - share.probed, windows.length);
        TensorStore.Budget half =
                new TensorStore.Budget(budget.deviceBytes() / 2, budget.hostBytes() / 2, budget.scratch());
        List<double[]> losses = new ArrayList<>(); // of each unit, by width
        List<List<TensorStore.Kept>> streams = new ArrayList<>(); // of each unit, the compared windows by batch
        int blocks = plan.architecture().layers();
        int batch = Math.min(BATCH_TOKENS, model.batchTokens());
        try (Lane lane = new Lane(
                        model, CalibrationSet.batches(Arrays.copyOf(windows, share.solved), batch), half, false);
                BlockReader reader = model.blocks();
                Scope own = model.scope();
                TensorStore store = new TensorStore(own, half)) {
            lane.embed(null);
            List<Tensor> reference = new ArrayList<>(); // [B, T, C] of each batch, all in float
            try (LanguageModel.Embedder embedder = model.embedder()) {
                for (int[][] probes : CalibrationSet.batches(probe, batch)) {
                    reference.add(embedder.embed(own, probes));
                }
            }
            for (int layer = 0; layer < blocks; layer++) {
                listener.blockStarted(layer, blocks);
                try (BlockReader.Block stored = reader.take()) {
                    lane.load(stored);
                }
                reader.readAhead();
                for (List<TensorStore.Kept> stream : streams) {
                    advance(lane, store, stream);
                }
                for (Stage stage : plan.architecture().block(layer).stages()) {
                    lane.observe(stage, List.of(), List.of(), false);
                    for (List<ModuleGroup> groups : TargetWidths.together(plan.groups(layer, stage))) {
                        Optional<TargetWidths.Unit> unit = unit(layer, groups);
                        if (unit.isPresent()) {
                            losses.add(quantize(lane, store, groups, unit.get(), reference, streams));
                        }
                    }
                }
                DecoderBlock block = lane.block();
                reference.replaceAll(x -> block.forward(own, x));
                lane.finish();
                listener.blockFinished(layer, blocks);
            }
            return damages(losses, streams, reference, (long) share.probed * calibration.seqlen());
        }
    }

    /** The unit that holds modules of these groups; units are in the order of blocks, stages and groups. */
    private Optional<TargetWidths.Unit> unit(int layer, List<ModuleGroup> groups) {
        Set<Linear> modules = new HashSet<>();
        groups.forEach(group -> modules.addAll(group.modules()));
        return target.units().stream()
                .filter(unit -> unit.layer() == layer && modules.containsAll(unit.modules()))
                .findFirst();
    }

    private static void advance(Lane lane, TensorStore store, List<TensorStore.Kept> stream) throws IOException {
        lane.model().halves().forEach(stream.size(), (b, half) -> {
            try (Scope step = lane.scope().child()) {
                Tensor x = stream.get(b).take(step);
                stream.set(b, store.put(lane.block().forward(step, x)));
            }
        });
    }

    /** Solves a unit at all widths and starts a stream with it; returns the losses. */
    private double[] quantize(
            Lane lane,
            TensorStore store,
            List<ModuleGroup> groups,
            TargetWidths.Unit unit,
            List<Tensor> reference,
            List<List<TensorStore.Kept>> streams)
            throws IOException {
        double[] losses = new double[TargetWidths.WIDTHS.size()];
        try (Scope work = lane.scope().child()) {
            Map<Linear, Tensor> quantized = new LinkedHashMap<>(); // at the smallest width
            for (ModuleGroup group : groups) {
                List<Linear> modules = group.modules().stream()
                        .filter(unit.modules()::contains)
                        .toList();
                if (!modules.isEmpty()) {
                    solve(work, lane, group.with(modules), unit.layer(), losses, quantized);
                }
            }
            streams.add(stream(lane, store, quantized, reference));
        }
        return losses;
    }

    /** Solves modules that read one input at all widths, adding up the losses; keeps the weights of the smallest width. */
    private void solve(
            Scope work, Lane lane, ModuleGroup group, int layer, double[] losses, Map<Linear, Tensor> quantized)
            throws IOException {
        DecoderBlock block = lane.block();
        try (Scope own = work.child()) {
            Hessian hessian = new Hessian(own, group.in());
            GptqQuantizer.observe(
                    lane, layer, group.stage(), List.of(group), List.of(List.of(Inputs.of(hessian))), false);
            Map<GptqOptions, List<Linear>> together = plan.byOptions(layer, group.modules());
            Map<GptqOptions, GptqSolver.Factored> factors = new HashMap<>();
            for (int width = 0; width < losses.length; width++) {
                try (Scope step = own.child()) {
                    for (Map.Entry<GptqOptions, List<Linear>> part : together.entrySet()) {
                        GptqSolver solver = new GptqSolver(part.getKey()
                                .withBits(
                                        TargetWidths.WIDTHS.get(width),
                                        part.getKey().groupSize()));
                        GptqSolver.Factored factored = factors.get(part.getKey());
                        if (factored == null) {
                            factored = solver.factor(own, hessian);
                            factors.put(part.getKey(), factored);
                        }
                        List<GptqSolver.Module> modules = part.getValue().stream()
                                .map(module -> new GptqSolver.Module(block.path(module), block.weight(module)))
                                .toList();
                        GptqSolver.Solution solution = solver.solve(step, factored, modules, model.type());
                        losses[width] += solution.loss();
                        for (int m = 0; width == 0 && m < modules.size(); m++) {
                            Tensor weight = solution.modules().get(m).weight();
                            quantized.put(part.getValue().get(m), weight.moveTo(work));
                        }
                    }
                }
            }
        }
    }

    /** The compared windows through the block with other weights for some modules, which have their own again afterwards. */
    private static List<TensorStore.Kept> stream(
            Lane lane, TensorStore store, Map<Linear, Tensor> quantized, List<Tensor> reference) throws IOException {
        DecoderBlock block = lane.block();
        Map<Linear, Tensor> originals = new LinkedHashMap<>();
        quantized.forEach((module, weight) -> {
            originals.put(module, block.weight(module).copyTo(lane.scope()));
            block.replaceWeight(module, weight.copyTo(lane.scope()));
        });
        List<TensorStore.Kept> states = new ArrayList<>();
        for (Tensor x : reference) {
            try (Scope step = lane.scope().child()) {
                states.add(store.put(block.forward(step, step.call("tensors", "reshaped", x, x.shape()))));
            }
        }
        originals.forEach(block::replaceWeight);
        return states;
    }

    private List<double[]> damages(
            List<double[]> losses, List<List<TensorStore.Kept>> streams, List<Tensor> reference, long tokens)
            throws IOException {
        List<double[]> damages = new ArrayList<>();
        try (LanguageModel.Output output = model.output()) {
            for (int u = 0; u < losses.size(); u++) {
                double divergence = 0;
                for (int b = 0; b < reference.size(); b++) {
                    try (Scope step = model.scope()) {
                        Tensor x = streams.get(u).get(b).take(step);
                        divergence += output.divergence(reference.get(b), x) / tokens;
                    }
                }
                double[] damage = losses.get(u).clone();
                for (int width = 0; width < damage.length; width++) {
                    double value = width == 0 ? divergence : divergence * damage[width] / losses.get(u)[0];
                    damage[width] = Double.isFinite(value) ? Math.max(0, value) : losses.get(u)[0] == 0 ? 0 : OVERFLOW;
                }
                damages.add(damage);
            }
        }
        return damages;
    }
}
