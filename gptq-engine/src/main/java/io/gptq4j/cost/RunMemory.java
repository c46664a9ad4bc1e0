package io.gptq4j.cost;

import io.gptq4j.eval.Pieces;
import io.gptq4j.eval.SelfCalibration;
import io.gptq4j.gptq.Portion;
import io.gptq4j.gptq.QuantizationPlan;
import io.gptq4j.gptq.Refinement;
import io.gptq4j.gptq.Sensitivity;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.Halves;
import java.util.Map;
import java.util.stream.IntStream;

/** What a quantization needs of memory and disk: pure arithmetic, as in {@link CostModel}. */
final class RunMemory {
    /** JVM and libtorch without a model, resident; measured by {@code eval} of a model of a few MB. */
    private static final long BASE_MEMORY = 450L << 20;

    /** What the C library holds for a solve, by what is in use: with a 12 GB checkpoint 3185 MB were seen where the sum here was 3070. */
    private static final double RETAINED = 1.1;

    /** What one forward call of a part holds besides its input, in tensors of its widest width. */
    private static final int BATCH_TENSORS = 6;

    private final QuantizationPlan plan;
    private final Architecture architecture;
    private final Run run;
    private final Map<SolvedGroup, Integer> solved;
    private final long blockParameters;
    private final long allParameters; // of the checkpoint

    RunMemory(QuantizationPlan plan, Run run, Map<SolvedGroup, Integer> solved) {
        this.plan = plan;
        this.architecture = plan.architecture();
        this.run = run;
        this.solved = solved;
        this.blockParameters = IntStream.range(0, architecture.layers())
                .mapToLong(layer -> Architecture.elements(architecture.blockTensors(layer)))
                .max()
                .orElseThrow();
        this.allParameters = Math.max(Architecture.elements(architecture.tensors()), run.checkpointParameters());
    }

    /** Of the largest block. */
    long blockParameters() {
        return blockParameters;
    }

    /** Bytes of a parameter in the checkpoint, on average. */
    double storedBytes() {
        return (double) run.checkpointBytes() / allParameters;
    }

    /** In what the model makes its own text up. */
    Pieces pieces() {
        Pieces pieces = Pieces.of(architecture, run.windows(), run.selfWindows(), run.seqlen());
        return run.gpu() ? pieces : pieces.within(run.statesInMemory(), architecture, run.type());
    }

    /** Bytes of all blocks in the forward's type. */
    long blocksBytes() {
        return architecture.blockParameters() * run.type().bytes();
    }

    /** Whether they stay in memory while text is made up; a GPU is thought to have room for them. */
    boolean keepsBlocks() {
        return SelfCalibration.keepsBlocks(blocksBytes(), run.gpu(), Long.MAX_VALUE);
    }

    /** Memory and disk. */
    Estimate.Memory estimate() {
        int type = run.type().bytes();
        Refinement refinement = plan.options().refinement();
        int streams = refinement.floatTarget() ? 2 : 1;
        long states = Math.multiplyExact(run.tokens() * streams + run.evalTokens() * 2, widestState() * type);
        if (run.choosesWidths()) {
            states = Math.max(states, probeStates() * type);
        }
        long scratch = Math.max(0, states - run.statesInMemory());
        long block = blockParameters * type;
        long raw = (long) (blockParameters * storedBytes());
        long group = 0;
        long codes = 0;
        for (SolvedGroup members : solved.keySet()) {
            long in = members.in();
            long matrix = in * in * Float.BYTES;
            long drift = refinement.floatTarget() && members.driftFlops() > 0
                    ? in * Math.min(in, members.rows()) * Float.BYTES
                    : 0;
            // The Hessian beside the factor that is made of it, then the factor beside the rows.
            long solve = matrix + Math.max(matrix, Portion.bytes(refinement, in, members.rows(), run.gpu()));
            group = Math.max(group, (long) ((drift + solve) * RETAINED));
            codes = Math.max(codes, 2 * members.rows() * in);
        }
        long window = Math.max(run.seqlen(), run.evalWindow());
        long tokens = Math.max(LanguageModel.tokensAtOnce(run.gpu()), Halves.count(run.gpu()) * window);
        long batch = BATCH_TENSORS * tokens * widest() * type;
        long outside = outsideParameters() * type;
        // Embedding and head are there before and after the blocks, not beside a solve.
        long computing = states - scratch + Math.max(block + group, outside) + batch;
        if (run.selfWindows() > 0) {
            // On a GPU blocks take what is left.
            long blocks = keepsBlocks() && !run.gpu() ? blocksBytes() : block;
            computing = Math.max(computing, pieces().cacheBytes(architecture, run.type()) + blocks + outside);
        }
        long host = BASE_MEMORY + raw + codes + (run.gpu() ? raw : computing);
        return new Estimate.Memory(host, run.gpu() ? computing : 0, states, scratch, artifactBytes());
    }

    /** Elements of the states of all probes in the end, and of the Hessians' windows. */
    private long probeStates() {
        Sensitivity.Windows windows = Sensitivity.Windows.of(run.textWindows(), run.seqlen());
        long streams = SolvedGroup.units(plan);
        return Math.multiplyExact(
                (long) run.seqlen(),
                windows.solved() * widestState() + windows.probed() * streams * architecture.hiddenSize());
    }

    /** The larger of embedding and head. */
    private long outsideParameters() {
        return (long) architecture.vocabSize() * architecture.embedding().size();
    }

    /** Of the artifact. */
    long artifactBytes() {
        QuantizationPlan.Size size = plan.size();
        return size.bytes() + 2 * (allParameters - size.weights()); // the rest in float16, or bfloat16
    }

    /** What stays of a token between two stages: the residual stream and the input of o_proj or down_proj. */
    private long widestState() {
        return architecture.hiddenSize() + carried();
    }

    private long widest() {
        return Math.max(architecture.hiddenSize(), carried());
    }

    /** The widest of what attentions and activations give, per token. */
    private long carried() {
        return architecture.kinds().keySet().stream()
                .mapToLong(block -> Math.max(
                        ForwardWork.attentionWidth(block.attention()),
                        block.mlp().networks().stream()
                                .mapToInt(part -> part.output().in())
                                .max()
                                .orElseThrow()))
                .max()
                .orElseThrow();
    }
}
