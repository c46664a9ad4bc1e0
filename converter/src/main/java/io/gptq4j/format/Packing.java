package io.gptq4j.format;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Packs the integers of a quantized Linear into 32-bit words and back.
 *
 * <p>One rule covers all widths: 32 values of {@code bits} bits form a little-endian stream, value k at the stream's
 * bits {@code k * bits} and up, and bit k of the stream is bit {@code k % 32} of word {@code k / 32}. Codes are packed
 * along the inputs, zero points along the outputs. Only 3-bit values straddle words.
 *
 * <p>Works on eight values at a time, one per byte of a long, in tiles of outputs whose words share a cache line: the
 * codes come row by row of the weight, but the words of one tensor row belong to different rows of it.
 *
 * <p>All methods are pure and safe for concurrent use.
 */
public final class Packing {
    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    /** Values per block: the smallest number that fills whole words at every width. */
    private static final int BLOCK = 32;
    /** Outputs per tile: the words of one cache line. */
    private static final int TILE = 16;

    private Packing() {}

    /**
     * Packs one module. {@code scales} and {@code gIdx} are shared with the result, not copied.
     *
     * @throws IllegalArgumentException naming the module, if a dimension is no multiple of 32, a code or zero point does
     *     not fit the bits, a zero point is 0 in a format that cannot store it, a scale is not finite, or a group index
     *     is out of range
     */
    public static PackedLinear pack(QuantizedLinear linear, CheckpointFormat format) {
        String name = linear.name();
        int in = linear.inFeatures();
        int out = linear.outFeatures();
        QuantizedLinear.require(
                name,
                in % BLOCK == 0 && out % BLOCK == 0,
                "inputs and outputs must be multiples of 32 to be packed, not " + in + " and " + out);
        return new PackedLinear(
                name,
                linear.bits(),
                linear.groupSize(),
                packCodes(linear),
                packZeros(linear, format),
                checkedScales(linear),
                linear.gIdx());
    }

    /**
     * Unpacks one module. {@code scales} and {@code gIdx} are shared with the result, not copied. A v1 zero point is
     * {@code (stored + 1) mod 2^bits}, as the masking kernels read it.
     */
    public static QuantizedLinear unpack(PackedLinear packed, CheckpointFormat format) {
        return new QuantizedLinear(
                packed.name(),
                packed.bits(),
                packed.groupSize(),
                unpackCodes(packed),
                packed.scales(),
                unpackZeros(packed, format),
                packed.gIdx());
    }

    private static int[][] packCodes(QuantizedLinear linear) {
        int bits = linear.bits();
        int out = linear.outFeatures();
        int in = linear.inFeatures();
        byte[][] codes = linear.codes();
        for (int o = 0; o < out; o++) {
            QuantizedLinear.require(
                    linear.name(),
                    codes[o].length == in,
                    "row " + o + " has " + codes[o].length + " codes for " + in + " inputs");
        }
        int[][] words = new int[in / BLOCK * bits][out];
        long tooWide = 0;
        int[] block = new int[bits];
        for (int tile = 0; tile < out; tile += TILE) {
            for (int i = 0, row = 0; i < in; i += BLOCK, row += bits) {
                for (int o = tile; o < tile + TILE; o++) {
                    tooWide |= packBlock(codes[o], i, bits, block);
                    for (int w = 0; w < bits; w++) {
                        words[row + w][o] = block[w];
                    }
                }
            }
        }
        if ((tooWide & ~repeat(maxq(bits))) != 0) {
            refuseWideCode(linear);
        }
        return words;
    }

    private static int[][] packZeros(QuantizedLinear linear, CheckpointFormat format) {
        int bits = linear.bits();
        int out = linear.outFeatures();
        int lowest = format.zeroOffset();
        int[][] words = new int[linear.groups()][out / BLOCK * bits];
        int[] block = new int[bits];
        byte[] stored = new byte[out];
        for (int g = 0; g < words.length; g++) {
            for (int o = 0; o < out; o++) {
                int zero = linear.zeros()[g][o] & 0xff;
                QuantizedLinear.require(
                        linear.name(),
                        zero >= lowest && zero <= maxq(bits),
                        "zero point of group " + g + ", output " + o + " is " + zero + ", but checkpoint format "
                                + format.jsonName() + " stores only " + lowest + " to " + maxq(bits) + " at " + bits
                                + " bits");
                stored[o] = (byte) (zero - lowest);
            }
            for (int o = 0, w = 0; o < out; o += BLOCK, w += bits) {
                packBlock(stored, o, bits, block);
                System.arraycopy(block, 0, words[g], w, bits);
            }
        }
        return words;
    }

    private static short[][] checkedScales(QuantizedLinear linear) {
        short[][] scales = linear.scales();
        for (int g = 0; g < scales.length; g++) {
            for (int o = 0; o < scales[g].length; o++) {
                QuantizedLinear.require(
                        linear.name(),
                        (scales[g][o] & 0x7c00) != 0x7c00,
                        "scale of group " + g + ", output " + o + " is not finite in binary16");
            }
        }
        return scales;
    }

    /**
     * Packs the 32 values from {@code values[at]} on into {@code bits} words.
     *
     * @return the values ORed together, to be checked for bits they must not have
     */
    private static long packBlock(byte[] values, int at, int bits, int[] words) {
        long union = 0;
        long stream = 0;
        int held = 0; // bits in the stream; with 8-bit values always 0 here
        int w = 0;
        for (int k = at; k < at + BLOCK; k += 8) {
            long eight = (long) EIGHT.get(values, k);
            union |= eight;
            stream |= squeeze(eight, bits) << held;
            for (held += 8 * bits; held >= 32; held -= 32) {
                words[w++] = (int) stream;
                stream >>>= 32;
            }
        }
        return union;
    }

    /** Moves the low {@code bits} of eight bytes together: halving steps, bytes to pairs to fours to eight. */
    private static long squeeze(long x, int bits) {
        x = x & 0x00ff00ff00ff00ffL | (x & 0xff00ff00ff00ff00L) >>> 8 - bits;
        x = x & 0x0000ffff0000ffffL | (x & 0xffff0000ffff0000L) >>> 16 - 2 * bits;
        return x & 0x00000000ffffffffL | (x & 0xffffffff00000000L) >>> 32 - 4 * bits;
    }

    /** Undoes {@link #squeeze} for the low {@code 8 * bits} bits. */
    private static long spread(long x, int bits) {
        long four = (1L << 4 * bits) - 1;
        x = x & four | (x << 32 - 4 * bits) & four << 32;
        long two = (1L << 2 * bits) - 1;
        two |= two << 32;
        x = x & two | (x << 16 - 2 * bits) & two << 16;
        long one = repeat(maxq(bits)) & 0x00ff00ff00ff00ffL;
        return x & one | (x << 8 - bits) & one << 8;
    }

    private static byte[][] unpackCodes(PackedLinear packed) {
        int bits = packed.bits();
        int in = packed.inFeatures();
        int out = packed.outFeatures();
        int[][] words = packed.qweight();
        byte[][] codes = new byte[out][in];
        int[] block = new int[bits];
        int whole = in / BLOCK * BLOCK;
        for (int tile = 0; tile < out; tile += TILE) {
            int end = Math.min(tile + TILE, out);
            for (int i = 0, row = 0; i < whole; i += BLOCK, row += bits) {
                for (int o = tile; o < end; o++) {
                    for (int w = 0; w < bits; w++) {
                        block[w] = words[row + w][o];
                    }
                    unpackBlock(block, bits, codes[o], i);
                }
            }
        }
        for (int i = whole; i < in; i++) { // foreign artifacts only: values that fill words but no block never straddle
            long bit = (long) i * bits;
            int[] row = words[(int) (bit / 32)];
            for (int o = 0; o < out; o++) {
                codes[o][i] = (byte) (row[o] >>> bit % 32 & maxq(bits));
            }
        }
        return codes;
    }

    private static void unpackBlock(int[] words, int bits, byte[] values, int at) {
        long stream = 0;
        int held = 0;
        int w = 0;
        for (int k = at; k < at + BLOCK; k += 8) {
            for (; held < 8 * bits; held += 32) {
                stream |= (words[w++] & 0xffffffffL) << held;
            }
            EIGHT.set(values, k, spread(stream, bits));
            stream = bits == 8 ? 0 : stream >>> 8 * bits; // a shift by 64 would be none
            held -= 8 * bits;
        }
    }

    private static byte[][] unpackZeros(PackedLinear packed, CheckpointFormat format) {
        int bits = packed.bits();
        byte[][] zeros = new byte[packed.groups()][packed.outFeatures()];
        for (int g = 0; g < zeros.length; g++) {
            int[] words = packed.qzeros()[g];
            for (int o = 0; o < zeros[g].length; o++) {
                long bit = (long) o * bits;
                int w = (int) (bit / 32);
                int shift = (int) (bit % 32);
                int value = words[w] >>> shift;
                if (shift + bits > 32) {
                    value |= words[w + 1] << 32 - shift;
                }
                zeros[g][o] = (byte) (value + format.zeroOffset() & maxq(bits));
            }
        }
        return zeros;
    }

    private static void refuseWideCode(QuantizedLinear linear) {
        int maxq = maxq(linear.bits());
        for (int o = 0; o < linear.outFeatures(); o++) {
            for (int i = 0; i < linear.inFeatures(); i++) {
                int code = linear.codes()[o][i] & 0xff;
                QuantizedLinear.require(
                        linear.name(),
                        code <= maxq,
                        "code of output " + o + ", input " + i + " is " + code + ", but " + linear.bits()
                                + " bits hold only 0 to " + maxq);
            }
        }
    }

    private static int maxq(int bits) {
        return (1 << bits) - 1;
    }

    private static long repeat(int value) {
        return value * 0x0101010101010101L;
    }
}
