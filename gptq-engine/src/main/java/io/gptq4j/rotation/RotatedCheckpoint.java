package io.gptq4j.rotation;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.ModelWeights;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * A float checkpoint with its residual stream rotated. The weight of each norm is folded into the linears that read it,
 * and becomes 1; then the stream h is replaced by h Q with an orthogonal Q, since an RMSNorm without weights commutes with
 * it. Embeddings become E Q, linears that read the stream W Q, those that write to it Q^T W and Q^T b, the head
 * (W * norm) Q. In exact arithmetic the model computes the same logits, and outliers among the channels are gone. This is R1 of
 * SpinQuant (Liu et al. 2024, arXiv 2405.16406) with a randomized Hadamard matrix, as in QuaRot (Ashkboos et al. 2024, arXiv
 * 2404.00456), without anything that would have to be computed while serving.
 *
 * <p>Same names and shapes, so it is an ordinary checkpoint of its family. Only a tied head has to be one of its own:
 * {@code tie_word_embeddings} turns false, and there is a tensor for it.
 */
public final class RotatedCheckpoint {
    private RotatedCheckpoint() {}

    /**
     * The rotated checkpoint. Reads headers only; weights are rotated, in float64, when they are read, and come as F32. While
     * a linear that writes to the stream is read, it is whole in memory once more.
     *
     * @param checkpoint a float checkpoint; closing either closes both
     * @param seed chooses the signs of Q
     * @throws IllegalArgumentException if the family's norms or residual stream do not allow it, saying why
     * @throws CheckpointException if a tensor is missing or has another shape than config.json says
     */
    public static Checkpoint of(Checkpoint checkpoint, long seed) throws IOException {
        ModelConfig config = checkpoint.config();
        Architecture architecture = ModelFamilies.architecture(checkpoint);
        Map<String, Change> changes = Changes.of(architecture);
        ModelWeights weights = ModelWeights.open(checkpoint, architecture);
        if (weights.isQuantized()) {
            throw new IllegalArgumentException(
                    checkpoint.directory() + " is quantized already; rotate the float checkpoint it came from");
        }
        requireWhole(architecture, weights);
        if (architecture.head().tied()) {
            Map<String, Object> values = new LinkedHashMap<>(config.values());
            values.put("tie_word_embeddings", false);
            config = config.with(values);
        }
        Rotation rotation = Rotation.of(architecture.hiddenSize(), seed);
        return checkpoint.with(config, new RotatedTensors(weights.source(), rotation, changes, weights.storedNames()));
    }

    /** What lies beside the text model, such as what makes embeddings of images, writes to its stream and would not be rotated. */
    private static void requireWhole(Architecture architecture, ModelWeights weights) {
        Set<String> read = new HashSet<>(weights.storedNames().values());
        String blocks = architecture.path().substring(architecture.basePrefix().length()) + ".";
        for (TensorInfo tensor : weights.source().tensors().values()) {
            String name = tensor.name();
            boolean known = read.contains(name)
                    || name.contains(blocks)
                    || name.equals(architecture.head().name() + ".weight");
            if (!known && tensor.shape().size() > 1) {
                throw new IllegalArgumentException(architecture.family()
                        + " cannot be rotated: " + name
                        + " is no part of its text model and may read its residual stream"
                        + " or write to it; leave --rotate out");
            }
        }
    }
}
