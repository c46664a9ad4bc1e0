package io.gptq4j.cost;

import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention;
import io.gptq4j.model.Block;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.Position;
import io.gptq4j.tensor.FloatType;
import java.util.List;
import java.util.Optional;

/**
 * Counts the work of windows on their way through blocks and head, by the table of {@link CostModel}: pure arithmetic from
 * the architecture, the forward's type and the device.
 */
final class ForwardWork {
    /**
     * The share of the bandwidth in operations on elements, many of which are strided or compute a function. Parts of the
     * decoder alone, two threads: norms 1.0 and 0.5 of what their bytes would take, rotation 0.3, gating 0.2 and 0.5.
     */
    static final double ELEMENTWISE_EFFICIENCY = 0.4;

    /** Operations of one batch in one block, or of two at a time: about 15 calls from Java, which cost several small operations each. */
    static final int CALLS_PER_BATCH = 200;

    private final Architecture architecture;
    private final FloatType type;
    private final boolean gpu;

    ForwardWork(Architecture architecture, FloatType type, boolean gpu) {
        this.architecture = architecture;
        this.type = type;
        this.gpu = gpu;
    }

    /** Batches at a time in which so many windows go through a block. */
    double batches(int windows, int window) {
        return Math.ceil((double) windows / Math.max(1, LanguageModel.tokensAtOnce(gpu) / window));
    }

    /** All blocks, {@code passes} times, for N tokens in windows of {@code window} and in so many batches at a time. */
    void add(
            List<Work> all,
            Step linear,
            Step attention,
            Step elementwise,
            long tokens,
            double batches,
            int window,
            double passes) {
        architecture.kinds().forEach((block, count) -> {
            double times = count * passes;
            for (ModuleGroup group : block.moduleGroups()) {
                for (Linear module : group.modules()) {
                    all.add(linear(linear, module, tokens * SolvedGroup.seen(block, group), times));
                }
            }
            all.add(attention(attention, block, tokens, window, times));
            all.add(elementwise(elementwise, block, tokens, batches, times));
        });
    }

    /** The logits of so many positions: written in the forward's type, and converted; {@code bytes} are what follows, of each. */
    void addHead(List<Work> all, Step step, double positions, int bytes) {
        int hidden = architecture.embedding().size();
        double logits = positions * architecture.vocabSize();
        all.add(Work.products(step, Work.Unit.FORWARD, hidden, 2 * logits * hidden, 1));
        all.add(elements(step, logits * (type.bytes() + bytes), logits * converted(), 0));
    }

    static Work linear(Step step, Linear module, double tokens, double times) {
        int size = Math.min(module.in(), module.out());
        return Work.products(step, Work.Unit.FORWARD, size, 2.0 * tokens * module.in() * module.out() * times, 1);
    }

    private static Work attention(Step step, Block block, long tokens, int window, double times) {
        return Work.products(
                step,
                Work.Unit.ATTENTION,
                0,
                attentionFlops(tokens, window, attentionWidth(block.attention())) * times,
                1);
    }

    /**
     * Norms (their float32 intermediates 28 bytes a channel), two residual sums, rotations of q and k, k and v repeated for
     * the heads that share them, the heads brought side by side, and the activation.
     */
    private Work elementwise(Step step, Block block, long tokens, double batches, double times) {
        Attention attention = block.attention();
        double hidden = architecture.hiddenSize();
        double query = attentionWidth(attention);
        int kvHeads = attention instanceof Attention.MultiHead multi ? multi.kvHeads() : attention.heads();
        double key = (double) kvHeads * attention.headDim();
        double rotation = attention.position() instanceof Position.Rotary ? 10 * (query + key) : 0;
        double repeated = kvHeads < attention.heads() ? 4 * query : 0;
        double activation = 0;
        for (Mlp.Dense part : block.mlp().networks()) {
            double share = 1;
            if (block.mlp() instanceof Mlp.Experts moe && !moe.shared().equals(Optional.of(part))) {
                share = (double) moe.routing().chosen() / moe.experts().size();
            }
            activation +=
                    share * (part instanceof Mlp.Plain ? 2 : 5) * part.output().in();
        }
        double perToken = 2 * hidden * 28 + type.bytes() * (14 * hidden + rotation + repeated + 2 * query + activation);
        boolean inFloat = block.norms().all().stream().anyMatch(norm -> norm.kind() != Architecture.NormKind.LAYER);
        double conversions = inFloat ? 4 * hidden * converted() : 0;
        double calls = CALLS_PER_BATCH
                * (block.mlp() instanceof Mlp.Experts moe ? 1 + moe.experts().size() / 8.0 : 1);
        return elements(step, perToken * tokens * times, conversions * tokens * times, batches * calls * times);
    }

    static Work elements(Step step, double bytes, double conversions, double calls) {
        return Work.elements(step, bytes, conversions, calls, ELEMENTWISE_EFFICIENCY);
    }

    /** 1 if what goes into float32 has to be converted, else 0. */
    int converted() {
        return type == FloatType.FLOAT32 ? 0 : 1;
    }

    /** Floating-point operations of causal attention: N tokens in windows of T, heads * headDim = {@code width}. */
    static double attentionFlops(long tokens, int window, int width) {
        return 2.0 * tokens * window * width;
    }

    static int attentionWidth(Attention attention) {
        return attention.heads() * attention.headDim();
    }
}
