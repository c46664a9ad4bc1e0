package io.gptq4j.cost;

/**
 * A countable part of a run, whatever the machine.
 *
 * @param step what it belongs to
 * @param unit what does its floating-point operations
 * @param size the smallest dimension of its matrix products, which decides how fast they are; 0 where there are none
 * @param flops floating-point operations, a multiplication and an addition counting two
 * @param efficiency the share of the unit's rate, or of the bandwidth, that it reaches, from 0 to 1
 * @param bytes read from and written to memory by operations on elements, or to the disk
 * @param conversions elements converted between the forward's type and float32
 * @param calls operations on a few thousand floats, whose cost is the call
 * @param tileCalls operations on some ten thousand floats, small enough for one thread and its cache
 */
public record Work(
        Step step,
        Unit unit,
        int size,
        double flops,
        double efficiency,
        double bytes,
        double conversions,
        double calls,
        double tileCalls) {
    /** Which rate of the machine counts. */
    public enum Unit {
        /** Matrix products in float32. */
        FLOAT32,
        /** Matrix products in the forward's type. */
        FORWARD,
        /** Fused attention in the forward's type. */
        ATTENTION
    }

    /** Checks the ranges. */
    public Work {
        if (!(flops >= 0 && bytes >= 0 && conversions >= 0 && calls >= 0 && tileCalls >= 0 && size >= 0)) {
            throw new IllegalArgumentException(step + ": work cannot be negative");
        }
        if (!(efficiency > 0 && efficiency <= 1)) {
            throw new IllegalArgumentException(step + ": an efficiency lies between 0 and 1, not " + efficiency);
        }
    }

    /** Matrix products and nothing else. */
    static Work products(Step step, Unit unit, int size, double flops, double efficiency) {
        return new Work(step, unit, size, flops, efficiency, 0, 0, 0, 0);
    }

    /** No matrix products. */
    static Work elements(Step step, double bytes, double conversions, double calls, double efficiency) {
        return new Work(step, Unit.FORWARD, 0, 0, efficiency, bytes, conversions, calls, 0);
    }

    /** Bytes to or from the disk. */
    static Work disk(Step step, double bytes) {
        return elements(step, bytes, 0, 0, 1);
    }

    /** The same, so many times, as a part of another step. */
    Work as(Step other, double times) {
        return new Work(
                other,
                unit,
                size,
                flops * times,
                efficiency,
                bytes * times,
                conversions * times,
                calls * times,
                tileCalls * times);
    }

    /** Seconds that it takes on a machine. */
    double seconds(MachineProfile machine) {
        double bandwidth = switch (step) {
            case READ -> machine.diskRead();
            case WRITE -> machine.diskWrite();
            default -> machine.elementwise();
        };
        return floor(machine) / efficiency
                + bytes / (bandwidth * efficiency)
                + conversions / machine.conversion()
                + calls * machine.call()
                + tileCalls * machine.tileCall();
    }

    /**
     * Seconds of its floating-point operations alone, at the rate of the library's own products of this size, and of its own
     * attention.
     */
    double floor(MachineProfile machine) {
        return flops
                / switch (unit) {
                    case FLOAT32 -> machine.float32().at(size);
                    case FORWARD -> machine.forward().at(size);
                    case ATTENTION -> machine.attention();
                };
    }
}
