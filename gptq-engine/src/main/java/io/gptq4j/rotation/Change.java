package io.gptq4j.rotation;

import java.util.Optional;
import java.util.function.UnaryOperator;

/** What a rotation makes of one tensor. */
sealed interface Change {
    /** The name of the tensor that it is made of, which has the same shape. */
    String source();

    /** The same under other names. */
    Change renamed(UnaryOperator<String> names);

    /**
     * Reads the residual stream, or gives it: every row, n wide, is multiplied by the norm before it and by Q.
     *
     * @param norm what is folded into it
     */
    record Rows(String source, Optional<Fold> norm) implements Change {
        @Override
        public Change renamed(UnaryOperator<String> names) {
            return new Rows(names.apply(source), norm.map(fold -> new Fold(names.apply(fold.weight), fold.offset)));
        }
    }

    /** Writes to the residual stream: Q^T W of a matrix with n rows, Q^T b of a bias. */
    record Columns(String source) implements Change {
        @Override
        public Change renamed(UnaryOperator<String> names) {
            return new Columns(names.apply(source));
        }
    }

    /** The weight of a norm that was folded into what reads it: one that leaves its input as it is. */
    record Constant(String source, float value) implements Change {
        @Override
        public Change renamed(UnaryOperator<String> names) {
            return new Constant(names.apply(source), value);
        }
    }

    /** Has nothing to do with the residual stream, and stays. */
    record None(String source) implements Change {
        @Override
        public Change renamed(UnaryOperator<String> names) {
            return new None(names.apply(source));
        }
    }

    /** A norm that multiplies channel i by {@code offset} + weight[i]; the name of its weight. */
    record Fold(String weight, double offset) {}
}
