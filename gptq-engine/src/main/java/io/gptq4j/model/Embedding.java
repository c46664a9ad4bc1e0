package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Token embedding [vocab, size], times {@code scale}, then optionally a projection to the hidden size, positions and a
 * norm. The scale is rounded to the type the model computes in, as the models' own code does.
 */
public record Embedding(
        String tokens,
        int size,
        double scale,
        Optional<Linear> projection,
        Optional<LearnedPositions> positions,
        Optional<Norm> norm,
        int extraRows) {
    /** Nothing but the token embedding. */
    public static Embedding of(String tokens, int size) {
        return new Embedding(tokens, size, 1, Optional.empty(), Optional.empty(), Optional.empty(), 0);
    }

    /** The same with rows after those of the vocabulary. */
    public Embedding withExtraRows(int other) {
        return new Embedding(tokens, size, scale, projection, positions, norm, other);
    }

    Embedding renamed(UnaryOperator<String> renaming) {
        return new Embedding(
                renaming.apply(tokens),
                size,
                scale,
                projection.map(linear -> linear.renamed(renaming)),
                positions.map(p -> new LearnedPositions(renaming.apply(p.name()), p.count(), p.offset())),
                norm.map(n -> n.renamed(renaming)),
                extraRows);
    }

    /** The same, multiplied. */
    public Embedding withScale(double other) {
        return new Embedding(tokens, size, other, projection, positions, norm, extraRows);
    }

    /** The same with a projection to the hidden size. */
    public Embedding withProjection(Linear other) {
        return new Embedding(tokens, size, scale, Optional.of(other), positions, norm, extraRows);
    }

    /** The same with learned positions. */
    public Embedding withPositions(LearnedPositions other) {
        return new Embedding(tokens, size, scale, projection, Optional.of(other), norm, extraRows);
    }

    /** The same with a norm at the end. */
    public Embedding withNorm(Norm other) {
        return new Embedding(tokens, size, scale, projection, positions, Optional.of(other), extraRows);
    }

    /** Learned position embeddings [count + offset, hidden]; position p reads row p + offset. */
    public record LearnedPositions(String name, int count, int offset) {}
}
