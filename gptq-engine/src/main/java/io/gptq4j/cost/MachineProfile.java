package io.gptq4j.cost;

import io.gptq4j.tensor.FloatType;

/**
 * How fast a machine is, measured on it by {@link Calibration}. Rates are per second.
 *
 * @param device {@code cpu} or {@code cuda:N}
 * @param float32 matrix products in float32
 * @param type the forward's type
 * @param forward matrix products in the forward's type
 * @param attention floating-point operations of fused causal attention in the forward's type, the masked half not counted
 * @param copy bytes read and written by a copy between tensors larger than the caches
 * @param elementwise bytes read and written by an operation on elements whose result is fresh memory
 * @param conversion elements converted from the forward's type to float32, or from bfloat16 if that is it
 * @param call seconds of one operation on 2 048 floats
 * @param tileCall seconds of one operation on 16 384 floats
 * @param diskRead bytes read from the checkpoint's disk, or from the page cache where it is there already
 * @param diskWrite bytes written
 */
public record MachineProfile(
        String device,
        Gemm float32,
        FloatType type,
        Gemm forward,
        double attention,
        double copy,
        double elementwise,
        double conversion,
        double call,
        double tileCall,
        double diskRead,
        double diskWrite) {
    /** Checks that everything was measured. */
    public MachineProfile {
        for (double value :
                new double[] {attention, copy, elementwise, conversion, call, tileCall, diskRead, diskWrite}) {
            if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("A rate of a machine is positive, not " + value);
            }
        }
    }

    /** The better of this and another measurement of the machine in each rate. */
    MachineProfile better(MachineProfile other) {
        return new MachineProfile(
                device,
                float32.better(other.float32),
                type,
                forward.better(other.forward),
                Math.max(attention, other.attention),
                Math.max(copy, other.copy),
                Math.max(elementwise, other.elementwise),
                Math.max(conversion, other.conversion),
                Math.min(call, other.call),
                Math.min(tileCall, other.tileCall),
                Math.max(diskRead, other.diskRead),
                Math.max(diskWrite, other.diskWrite));
    }

    /**
     * The rate of matrix products of many rows, which grows with the matrix.
     *
     * @param small floating-point operations per second by a matrix [256, 256]
     * @param peak the same by [2048, 2048]
     */
    public record Gemm(double small, double peak) {
        static final int SMALL = 256;
        static final int LARGE = 2048;

        /** Checks that both are positive. */
        public Gemm {
            if (!(small > 0 && peak > 0 && peak < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("A rate is positive, not " + small + " or " + peak);
            }
        }

        private Gemm better(Gemm other) {
            return new Gemm(Math.max(small, other.small), Math.max(peak, other.peak));
        }

        /** The rate by a matrix whose smaller side is {@code size}: between the two by its logarithm, and flat beyond. */
        public double at(int size) {
            double share = Math.log((double) Math.max(1, size) / SMALL) / Math.log((double) LARGE / SMALL);
            return small + Math.max(0, Math.min(1, share)) * (peak - small);
        }
    }
}
