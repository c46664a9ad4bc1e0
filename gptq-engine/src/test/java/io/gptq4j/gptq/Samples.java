package io.gptq4j.gptq;

import java.util.Random;

/** Seeded random weights and inputs, and what a quantization of the former costs on the latter. */
public final class Samples {
    private Samples() {}

    public static float[] gaussians(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Correlated inputs [tokens, in]: each channel leans on the one before it. */
    static float[] leaning(float share, long seed, int tokens, int in) {
        float[] x = gaussians(seed, tokens * in);
        for (int i = 0; i < x.length; i++) {
            if (i % in > 0) {
                x[i] += share * x[i - 1];
            }
        }
        return x;
    }

    /** ||(W - Q) X^T||^2 over all tokens, of W and Q [out, in] and X [tokens, in]. */
    static double error(float[] w, float[] q, float[] x, int in) {
        double sum = 0;
        for (int o = 0; o < w.length / in; o++) {
            for (int t = 0; t < x.length / in; t++) {
                double y = 0;
                for (int i = 0; i < in; i++) {
                    y += ((double) w[o * in + i] - q[o * in + i]) * x[t * in + i];
                }
                sum += y * y;
            }
        }
        return sum;
    }
}
