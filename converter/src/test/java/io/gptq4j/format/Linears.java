package io.gptq4j.format;

import java.math.BigInteger;
import java.util.Random;

/** Made-up quantized Linears, and an unpacking of words that shares nothing with {@link Packing}. */
final class Linears {
    private Linears() {}

    /** Random codes and zeros that every format can store; group indices i / group, or scattered. */
    static QuantizedLinear random(
            String name, int bits, int groupSize, int in, int out, boolean symmetric, boolean scattered, long seed) {
        Random random = new Random(seed);
        int groups = groupSize == -1 ? 1 : (in + groupSize - 1) / groupSize;
        int levels = 1 << bits;
        byte[][] codes = new byte[out][in];
        for (byte[] row : codes) {
            for (int i = 0; i < in; i++) {
                row[i] = (byte) random.nextInt(levels);
            }
        }
        short[][] scales = new short[groups][out];
        byte[][] zeros = new byte[groups][out];
        for (int g = 0; g < groups; g++) {
            for (int o = 0; o < out; o++) {
                scales[g][o] = (short) (0x1400 + random.nextInt(0x1400));
                zeros[g][o] = (byte) (symmetric ? levels / 2 : 1 + random.nextInt(levels - 1));
            }
        }
        int[] gIdx = new int[in];
        for (int i = 0; i < in; i++) {
            gIdx[i] = groupSize == -1 ? 0 : i / groupSize;
        }
        for (int i = in - 1; scattered && i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = gIdx[i];
            gIdx[i] = gIdx[j];
            gIdx[j] = swapped;
        }
        return new QuantizedLinear(name, bits, groupSize, codes, scales, zeros, gIdx);
    }

    /** The words as one big number, first word lowest. */
    static BigInteger stream(int[] words) {
        BigInteger stream = BigInteger.ZERO;
        for (int w = words.length - 1; w >= 0; w--) {
            stream = stream.shiftLeft(32).or(BigInteger.valueOf(Integer.toUnsignedLong(words[w])));
        }
        return stream;
    }

    /** Value {@code index} of the stream, read bit by bit. */
    static int value(BigInteger stream, int bits, int index) {
        int value = 0;
        for (int b = 0; b < bits; b++) {
            if (stream.testBit(index * bits + b)) {
                value += 1 << b;
            }
        }
        return value;
    }

    /** codes[out][in] of packed words [rows][out]. */
    static byte[][] codes(int[][] qweight, int bits) {
        int out = qweight[0].length;
        byte[][] codes = new byte[out][qweight.length * 32 / bits];
        int[] column = new int[qweight.length];
        for (int o = 0; o < out; o++) {
            for (int r = 0; r < column.length; r++) {
                column[r] = qweight[r][o];
            }
            BigInteger stream = stream(column);
            for (int i = 0; i < codes[o].length; i++) {
                codes[o][i] = (byte) value(stream, bits, i);
            }
        }
        return codes;
    }

    /** zeros[groups][out] of packed words; {@code offset} is 1 in v1. */
    static byte[][] zeros(int[][] qzeros, int bits, int offset) {
        byte[][] zeros = new byte[qzeros.length][];
        for (int g = 0; g < zeros.length; g++) {
            BigInteger stream = stream(qzeros[g]);
            zeros[g] = new byte[qzeros[g].length * 32 / bits];
            for (int o = 0; o < zeros[g].length; o++) {
                zeros[g][o] = (byte) ((value(stream, bits, o) + offset) % (1 << bits));
            }
        }
        return zeros;
    }
}
