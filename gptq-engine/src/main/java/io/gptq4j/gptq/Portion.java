package io.gptq4j.gptq;

import io.gptq4j.tensor.Halves;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Rows of modules that are solved together. Rows are independent problems, so how many are solved at a time is a matter of memory:
 * a solve has several matrices [in, rows] in float32. On a CPU two portions are solved at the same time.
 */
public record Portion(List<Part> parts) {
    /** Bytes that these matrices may take on a CPU, if that is enough for two times {@link #TILE} rows. */
    private static final long CPU_BYTES = 768L << 20;

    private static final long GPU_BYTES = 4L << 30;

    /** Rows that the column loop takes at a time on a CPU, of which portions have a multiple if they can. */
    private static final long TILE = 2048;

    /** Rows are shared out in multiples of this, so that lines of matrices begin where vector registers do. */
    private static final long STEP = 16;

    /** Copies the list. */
    public Portion {
        parts = List.copyOf(parts);
    }

    /** Rows of a module from {@code start} to {@code end}. */
    public record Part(GptqSolver.Module module, long start, long end) {
        long rows() {
            return end - start;
        }

        /** Their weights, [rows, in]. */
        Tensor weight(Scope scope) {
            Tensor all = module.weight();
            return rows() == all.size(0) ? all : scope.call("refine", "lines", all, start, end);
        }
    }

    /** How many of {@code rows} a portion has: as many as the memory allows, in an even number of nearly equal portions on a CPU. */
    static long size(Refinement refinement, long in, long rows, boolean gpu) {
        long each = refinement.matrices() * in * Float.BYTES;
        long atOnce = Halves.count(gpu);
        long most = Math.max(TILE, (gpu ? GPU_BYTES : CPU_BYTES) / atOnce / each / TILE * TILE);
        long portions = atOnce * ceilDiv(rows, atOnce * most);
        return ceilDiv(ceilDiv(rows, portions), STEP) * STEP;
    }

    /** Bytes that a solve of {@code rows} takes beside the factor. */
    public static long bytes(Refinement refinement, long in, long rows, boolean gpu) {
        long together = Math.min(rows, size(refinement, in, rows, gpu) * Halves.count(gpu));
        return refinement.matrices() * in * Float.BYTES * together;
    }

    /** All rows of some modules in order, {@code size} at a time. */
    static List<Portion> of(List<GptqSolver.Module> modules, long size) {
        List<Portion> portions = new ArrayList<>();
        List<Part> parts = new ArrayList<>();
        long room = size;
        for (GptqSolver.Module module : modules) {
            long rows = module.weight().size(0);
            for (long start = 0; start < rows; ) {
                long end = Math.min(rows, start + room);
                parts.add(new Part(module, start, end));
                room -= end - start;
                start = end;
                if (room == 0) {
                    portions.add(new Portion(parts));
                    parts = new ArrayList<>();
                    room = size;
                }
            }
        }
        if (!parts.isEmpty()) {
            portions.add(new Portion(parts));
        }
        return portions;
    }

    private static long ceilDiv(long number, long by) {
        return -Math.floorDiv(-number, by);
    }
}
