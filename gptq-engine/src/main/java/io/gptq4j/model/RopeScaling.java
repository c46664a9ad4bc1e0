package io.gptq4j.model;

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

    /** Unchanged. Also what "dynamic" scaling does to windows within max_position_embeddings. */
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
}
