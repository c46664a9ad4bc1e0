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
 * <p>Works on eight values at a time, one per byte of a long. The codes come row by row of the weight while a row of
 * qweight takes one word of each, so a tile of rows is packed first, and its lines are then copied to where they
 * belong: far apart in memory, which is slow to reach, and quick only where many such copies are under way at once.
 *
 * <p>All methods are pure and safe for concurrent use.
 */
public final class Packing {
    private static final VarHandle EIGHT = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    /** Values per block: the smallest number that fills whole words at every width. */
    private static final int BLOCK = 32;
    /** Outputs per tile: the words of four cache lines. */
    private static final int TILE = 64;

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
            if (codes[o].length != in) {
                throw QuantizedLinear.misfit(
                        linear.name(), "row " + o + " has " + codes[o].length + " codes for " + in + " inputs");
            }
        }
        int[][] words = new int[in / BLOCK * bits][out];
        long union = 0;
        int[] tile = new int[Math.multiplyExact(words.length, TILE)]; // [word of the row][output]
        for (int start = 0; start < out; start += TILE) {
            int width = Math.min(TILE, out - start);
            for (int t = 0; t < width; t++) {
                union |= packRow(codes[start + t], bits, tile, t, TILE);
            }
            for (int r = 0; r < words.length; r++) {
                System.arraycopy(tile, r * TILE, words[r], start, width);
            }
        }
        if ((union & ~(maxq(bits) * 0x0101010101010101L)) != 0) {
            refuseWideCode(linear);
        }
        return words;
    }

    private static int[][] packZeros(QuantizedLinear linear, CheckpointFormat format) {
        int bits = linear.bits();
        int out = linear.outFeatures();
        int lowest = format.zeroOffset();
        int[][] words = new int[linear.groups()][out / BLOCK * bits];
        byte[] stored = new byte[out];
        for (int g = 0; g < words.length; g++) {
            for (int o = 0; o < out; o++) {
                int zero = linear.zeros()[g][o] & 0xff;
                if (zero < lowest || zero > maxq(bits)) {
                    throw QuantizedLinear.misfit(
                            linear.name(),
                            "zero point of group " + g + ", output " + o + " is " + zero + ", but checkpoint format "
                                    + format.jsonName() + " stores only " + lowest + " to " + maxq(bits) + " at "
                                    + bits + " bits");
                }
                stored[o] = (byte) (zero - lowest);
            }
            packRow(stored, bits, words[g], 0, 1);
        }
        return words;
    }

    private static short[][] checkedScales(QuantizedLinear linear) {
        short[][] scales = linear.scales();
        for (int g = 0; g < scales.length; g++) {
            for (int o = 0; o < scales[g].length; o++) {
                if ((scales[g][o] & 0x7c00) == 0x7c00) {
                    throw QuantizedLinear.misfit(
                            linear.name(), "scale of group " + g + ", output " + o + " is not finite in binary16");
                }
            }
        }
        return scales;
    }

    /**
     * Packs a row of values, a multiple of 32 of them, into every {@code stride}-th of the words, from {@code first} on.
     *
     * @return the values ORed together, to be checked for bits they must not have
     */
    private static long packRow(byte[] values, int bits, int[] words, int first, int stride) {
        long union = 0;
        long stream = 0;
        int held = 0; // bits in the stream; with 8-bit values always 0 here
        int w = first;
        for (int i = 0; i < values.length; i += 8) {
            long eight = (long) EIGHT.get(values, i);
            union |= eight;
            stream |= squeeze(eight, bits) << held;
            for (held += 8 * bits; held >= 32; held -= 32) {
                words[w] = (int) stream;
                stream >>>= 32;
                w += stride;
            }
        }
        return union;
    }

    /** Moves the low {@code bits} of eight bytes together: halving steps, bytes to pairs to fours to eight. */
    private static long squeeze(long eight, int bits) {
        long x = (eight & 0x00ff00ff00ff00ffL) | ((eight & 0xff00ff00ff00ff00L) >>> (8 - bits));
        x = (x & 0x0000ffff0000ffffL) | ((x & 0xffff0000ffff0000L) >>> (16 - 2 * bits));
        return (x & 0x00000000ffffffffL) | ((x & 0xffffffff00000000L) >>> (32 - 4 * bits));
    }

    /** Undoes {@link #squeeze} for the low {@code 8 * bits} bits; what lies above them is dropped. */
    private static long spread(long stream, int bits) {
        long four = (1L << (4 * bits)) - 1;
        long x = (stream & four) | ((stream << (32 - 4 * bits)) & (four << 32));
        long two = ((1L << (2 * bits)) - 1) * 0x0000000100000001L;
        x = (x & two) | ((x << (16 - 2 * bits)) & (two << 16));
        long one = maxq(bits) * 0x0001000100010001L;
        return (x & one) | ((x << (8 - bits)) & (one << 8));
    }

    private static byte[][] unpackCodes(PackedLinear packed) {
        int out = packed.outFeatures();
        int[][] words = packed.qweight();
        byte[][] codes = new byte[out][packed.inFeatures()];
        int[] tile = new int[Math.multiplyExact(words.length, TILE)]; // [word of the row][output]
        for (int start = 0; start < out; start += TILE) {
            int width = Math.min(TILE, out - start);
            for (int r = 0; r < words.length; r++) {
                System.arraycopy(words[r], start, tile, r * TILE, width);
            }
            for (int t = 0; t < width; t++) {
                unpackRow(tile, t, TILE, packed.bits(), codes[start + t]);
            }
        }
        return codes;
    }

    private static byte[][] unpackZeros(PackedLinear packed, CheckpointFormat format) {
        byte[][] zeros = new byte[packed.groups()][packed.outFeatures()];
        for (int g = 0; g < zeros.length; g++) {
            unpackRow(packed.qzeros()[g], 0, 1, packed.bits(), zeros[g]);
            for (int o = 0; o < zeros[g].length; o++) {
                zeros[g][o] = (byte) ((zeros[g][o] + format.zeroOffset()) & maxq(packed.bits()));
            }
        }
        return zeros;
    }

    /**
     * Fills {@code values}, a number that need not be a multiple of 8 but fills whole words, from every {@code stride}-th
     * of the words, from {@code first} on.
     */
    private static void unpackRow(int[] words, int first, int stride, int bits, byte[] values) {
        long stream = 0;
        int held = 0;
        int w = first;
        int whole = values.length & -8;
        for (int i = 0; i < whole; i += 8) {
            for (; held < 8 * bits; held += 32) {
                stream |= (words[w] & 0xffffffffL) << held;
                w += stride;
            }
            EIGHT.set(values, i, spread(stream, bits));
            stream = bits == 8 ? 0 : stream >>> (8 * bits); // a shift by 64 would be none
            held -= 8 * bits;
        }
        for (int i = whole; i < values.length; i++) { // only 8-bit values fill a word without being eight
            values[i] = (byte) (words[w] >>> (8 * (i - whole)));
        }
    }

    private static void refuseWideCode(QuantizedLinear linear) {
        int maxq = maxq(linear.bits());
        for (int o = 0; o < linear.outFeatures(); o++) {
            for (int i = 0; i < linear.inFeatures(); i++) {
                int code = linear.codes()[o][i] & 0xff;
                if (code > maxq) {
                    throw QuantizedLinear.misfit(
                            linear.name(),
                            "code of output " + o + ", input " + i + " is " + code + ", but " + linear.bits()
                                    + " bits hold only 0 to " + maxq);
                }
            }
        }
    }

    private static int maxq(int bits) {
        return (1 << bits) - 1;
    }
}
