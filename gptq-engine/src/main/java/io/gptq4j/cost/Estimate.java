package io.gptq4j.cost;

import java.util.List;

/**
 * What a run costs on a machine.
 *
 * @param steps the work by its kind, in the order of {@link Step}
 * @param seconds of the whole run, reading and writing overlapped with computing
 * @param floor seconds that the floating-point operations of forward, Hessians, factorisations and solves alone would take
 *     at the measured rates of the library's own products of their sizes, and of its own attention
 * @param memory what it takes of memory and disk
 */
public record Estimate(List<Cost> steps, double seconds, double floor, Memory memory) {
    /** Copies the list. */
    public Estimate {
        steps = List.copyOf(steps);
    }

    /**
     * The cost of one kind of work.
     *
     * @param flops floating-point operations
     * @param bytes read and written by operations on elements
     * @param seconds what it takes alone
     */
    public record Cost(Step step, double flops, double bytes, double seconds) {}

    /**
     * Memory and disk, in bytes.
     *
     * @param host peak of the process's resident memory
     * @param device peak of the GPU's memory; 0 on the CPU
     * @param states hidden states of all windows, a part of {@code host} or {@code device} as far as they are not in
     *     {@code scratch}
     * @param scratch size of the scratch file for hidden states
     * @param artifact size of the quantized model
     */
    public record Memory(long host, long device, long states, long scratch, long artifact) {}
}
