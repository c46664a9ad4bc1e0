package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Final norm, optional projection, and the output matrix [vocab, size], which may be the embedding's own.
 *
 * @param norm the norm after the last block
 * @param projection from the hidden size to that of the matrix
 * @param name the module's path
 * @param tied whether the matrix is the token embedding's
 * @param bias whether there is a bias
 * @param scale what logits are multiplied by
 * @param softcap c in c * tanh(logit / c); 0 for none
 * @param normalized whether each row of the matrix is divided by its length first
 */
public record Head(
        Optional<Norm> norm,
        Optional<Linear> projection,
        String name,
        boolean tied,
        boolean bias,
        double scale,
        double softcap,
        boolean normalized) {
    /** A norm and a matrix. */
    public static Head of(Norm norm, String name, boolean tied) {
        return new Head(Optional.of(norm), Optional.empty(), name, tied, false, 1, 0, false);
    }

    /** The same without a norm. */
    public Head withoutNorm() {
        return new Head(Optional.empty(), projection, name, tied, bias, scale, softcap, normalized);
    }

    /** The same with a projection. */
    public Head withProjection(Linear other) {
        return new Head(norm, Optional.of(other), name, tied, bias, scale, softcap, normalized);
    }

    /** The same with a bias, or without. */
    public Head withBias(boolean other) {
        return new Head(norm, projection, name, tied, other, scale, softcap, normalized);
    }

    /** The same with logits multiplied. */
    public Head withScale(double other) {
        return new Head(norm, projection, name, tied, bias, other, softcap, normalized);
    }

    /** The same with bounded logits. */
    public Head withSoftcap(double other) {
        return new Head(norm, projection, name, tied, bias, scale, other, normalized);
    }

    /** The same with the token embedding's matrix, or with its own. */
    public Head withTied(boolean other) {
        return new Head(norm, projection, name, other, bias, scale, softcap, normalized);
    }

    Head renamed(UnaryOperator<String> renaming, String other) {
        return new Head(
                norm.map(n -> n.renamed(renaming)),
                projection.map(linear -> linear.renamed(renaming)),
                other,
                tied,
                bias,
                scale,
                softcap,
                normalized);
    }

    /** The same with each row of the matrix divided by its length. */
    public Head withNormalizedRows() {
        return new Head(norm, projection, name, tied, bias, scale, softcap, true);
    }
}
