package io.gptq4j.model;

import java.util.List;

/** How rotary frequencies are changed for contexts longer than the model was first trained on. */
public sealed interface RopeScaling {
    /**
     * The frequencies as used, from the plain ones; both [channels / 2].
     *
     * @param theta the base of the plain ones
     * @param length the window's tokens
     */
    float[] frequencies(float[] plain, double theta, int length);

    /** What sines and cosines are multiplied by. */
    default double attentionFactor() {
        return 1;
    }

    /** Unchanged. */
    record None() implements RopeScaling {
        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            return frequencies;
        }
    }

    /** All frequencies divided by {@code factor}. */
    record LinearFactor(double factor) implements RopeScaling {
        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            float[] scaled = new float[frequencies.length];
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] = (float) (frequencies[i] / factor);
            }
            return scaled;
        }
    }

    /**
     * Llama 3.1's rule: wavelengths beyond {@code originalPositions / lowFrequency} are stretched by {@code factor},
     * those under {@code originalPositions / highFrequency} are left alone, and those between are blended.
     */
    record Llama3(double factor, double lowFrequency, double highFrequency, double originalPositions)
            implements RopeScaling {
        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            float[] scaled = new float[frequencies.length];
            for (int i = 0; i < scaled.length; i++) {
                double turns = originalPositions * frequencies[i] / (2 * Math.PI);
                double blend = Math.min(1, Math.max(0, (turns - lowFrequency) / (highFrequency - lowFrequency)));
                scaled[i] = (float) ((1 - blend) * frequencies[i] / factor + blend * frequencies[i]);
            }
            return scaled;
        }
    }

    /**
     * "Dynamic NTK": windows longer than {@code positions} stretch the base, by (factor * length / positions - factor + 1) to the
     * power of channels / (channels - 2).
     */
    record Dynamic(double factor, double positions) implements RopeScaling {
        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            if (length <= positions) {
                return frequencies;
            }
            int channels = 2 * frequencies.length;
            double stretch = factor * length / positions - (factor - 1);
            double base = theta * Math.pow(stretch, channels / (channels - 2.0));
            float[] scaled = new float[frequencies.length];
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] = (float) Math.pow(base, -2.0 * i / channels);
            }
            return scaled;
        }
    }

    /**
     * YaRN (Peng et al. 2023, arXiv 2309.00071, section 3.2): channels that turn more than {@code fast} times in {@code
     * originalPositions} are left alone, those that turn less than {@code slow} times are stretched by {@code factor}, and those
     * between are blended by their index.
     *
     * @param truncated whether the ends of the blend are rounded outwards to whole channels
     * @param attentionFactor what sines and cosines are multiplied by
     */
    record Yarn(
            double factor,
            double originalPositions,
            double fast,
            double slow,
            boolean truncated,
            double attentionFactor)
            implements RopeScaling {
        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            int channels = 2 * frequencies.length;
            double low = turning(fast, channels, theta);
            double high = turning(slow, channels, theta);
            low = Math.max(truncated ? Math.floor(low) : low, 0);
            high = Math.min(truncated ? Math.ceil(high) : high, channels - 1.0);
            double width = low == high ? 0.001 : high - low;
            float[] scaled = new float[frequencies.length];
            for (int i = 0; i < scaled.length; i++) {
                double stretched = Math.min(1, Math.max(0, (i - low) / width));
                scaled[i] = (float) (frequencies[i] * (stretched / factor + 1 - stretched));
            }
            return scaled;
        }

        /** The pair of channels, as a fraction, that turns so many times in the original positions. */
        private double turning(double turns, int channels, double theta) {
            return channels * Math.log(originalPositions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }
    }

    /**
     * LongRoPE (Ding et al. 2024, arXiv 2402.13753): each frequency divided by a factor of its own, from one list for windows up to
     * {@code originalPositions} and from another for longer ones.
     *
     * @param shortFactors one for each pair of channels
     * @param longFactors one for each pair of channels
     * @param attentionFactor what sines and cosines are multiplied by
     */
    record LongRope(
            List<Double> shortFactors, List<Double> longFactors, double originalPositions, double attentionFactor)
            implements RopeScaling {
        /** Copies the lists. */
        public LongRope {
            shortFactors = List.copyOf(shortFactors);
            longFactors = List.copyOf(longFactors);
        }

        @Override
        public float[] frequencies(float[] frequencies, double theta, int length) {
            List<Double> factors = length > originalPositions ? longFactors : shortFactors;
            float[] scaled = new float[frequencies.length];
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] = (float) (frequencies[i] / factors.get(i));
            }
            return scaled;
        }
    }
}
