package io.gptq4j.gptq;

import io.gptq4j.gptq.GptqSolver.Factored;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * From a Hessian to U, the upper Cholesky factor of its inverse: priors where tokens are few, dead columns, the order of the
 * solve, and the ladder of {@link Rung} until there is a factor. The symbols are those of {@link GptqSolver}.
 */
final class Factoring {
    /**
     * With fewer tokens than this multiple of the inputs, their own diagonal is a prior. On held-out inputs of a random layer
     * that took the error to 0.75, 0.73, 0.67 and 0.82 of what it was at an eighth, a quarter, half and all of the inputs.
     */
    private static final int FEW = 2;

    private final GptqOptions options;

    Factoring(GptqOptions options) {
        this.options = options;
    }

    /** What {@link GptqSolver#factor} says. */
    Factored factor(Scope scope, Hessian hessian) {
        List<Fallback> fallbacks = hessian.fallbacks();
        long tokens = hessian.tokens();
        int in = hessian.size();
        double prior = 0;
        if (tokens < (long) FEW * in && hessian.prior() == 0) {
            prior = options.reference() || tokens == 0 ? 0 : hessian.diagonalPrior() / tokens;
            Fallback.Cause cause = tokens == 0 ? Fallback.Cause.NO_TOKENS : Fallback.Cause.FEW_TOKENS;
            fallbacks.add(
                    prior > 0
                            ? new Fallback(cause, Fallback.Remedy.DIAGONAL_PRIOR, prior)
                            : new Fallback(cause, Fallback.Remedy.DAMPING, options.dampPercent()));
        }
        double factor = 2 / Math.max(1, tokens + hessian.prior());
        return factor(scope, hessian.sum(), factor, prior, hessian.scale(), fallbacks);
    }

    /** The same for the matrix {@code factor * h}; {@code h} is symmetric and stays as it is. */
    Factored factor(Scope scope, Tensor h, double factor) {
        return factor(scope, h, factor, 0, 1, List.of());
    }

    private Factored factor(Scope scope, Tensor h, double factor, double prior, double scale, List<Fallback> before) {
        try (Scope work = scope.child()) {
            double[] diagonal = measured(work, h, factor * (1 + prior));
            int[] dead = IntStream.range(0, diagonal.length)
                    .filter(i -> diagonal[i] == 0)
                    .toArray();
            fill(diagonal, dead);
            int[] order = order(diagonal);
            boolean alive = dead.length < order.length;
            List<Fallback> fallbacks = new ArrayList<>(before);
            tellDead(fallbacks, dead.length, order.length);

            List<Rung> rungs = Rung.ladder(options.dampPercent()); // the first is what was asked for
            int at = 0;
            Tensor damped = diagonal(work, rungs.get(at), diagonal, order);
            Tensor matrix = work.call("gptq", "arranged", h, GptqSolver.longs(work, order), factor, damped);
            boolean held = alive && hasFactor(work, matrix);
            while (alive && !held && at + 1 < rungs.size()) {
                at++;
                damped = diagonal(work, rungs.get(at), diagonal, order);
                work.call("gptq", "restored", matrix, damped);
                held = hasFactor(work, matrix);
            }
            if (held && at > 0) {
                fallbacks.add(rungs.get(at).fallback());
            } else if (!held) {
                if (alive) {
                    fallbacks.add(GptqSolver.rounded(Fallback.Cause.NOT_POSITIVE_DEFINITE, order.length));
                }
                at = 0;
                damped = diagonal(work, rungs.get(at), diagonal, order);
                work.call("gptq", "unconnected", matrix, damped);
            }
            if (options.solvesAcrossGroups()) {
                work.call("gptq", "beneath", matrix, h, factor);
                damped = work.call("gptq", "reordered", damped, GptqSolver.longs(work, GptqSolver.inverse(order)));
            }
            return new Factored(
                    matrix.moveTo(scope),
                    damped.moveTo(scope),
                    factor,
                    order,
                    dead,
                    rungs.get(at).damp(),
                    scale,
                    fallbacks);
        }
    }

    /** The diagonal of {@code factor * h}, [in]. */
    private static double[] measured(Scope work, Tensor h, double factor) {
        double[] diagonal = work.call("gptq", "diagonal", h).toDoubles();
        for (int i = 0; i < diagonal.length; i++) {
            if (!Double.isFinite(diagonal[i])) {
                throw new ArithmeticException("The Hessian is not finite (input channel " + i + ")");
            }
            diagonal[i] *= factor;
        }
        return diagonal;
    }

    /** Gives dead columns the mean of the others; the rest of their rows and columns is zero, so only the damping notices. */
    private void fill(double[] diagonal, int[] dead) {
        double live = Arrays.stream(diagonal).sum() / Math.max(1, diagonal.length - dead.length);
        for (int i : dead) {
            diagonal[i] = options.reference() || live == 0 ? 1 : live;
        }
    }

    /** The column that is solved k-th. */
    private int[] order(double[] diagonal) {
        IntStream columns = IntStream.range(0, diagonal.length);
        return options.actOrder()
                ? columns.boxed()
                        .sorted(Comparator.comparingDouble(i -> -diagonal[i])) // stable: ties keep their order
                        .mapToInt(Integer::intValue)
                        .toArray()
                : columns.toArray();
    }

    /** Adds what dead columns mean; where all are dead, most of what was told before is void. */
    private void tellDead(List<Fallback> fallbacks, int dead, int columns) {
        if (dead == columns) {
            boolean any = fallbacks.stream().noneMatch(f -> f.cause() == Fallback.Cause.NO_TOKENS);
            fallbacks.removeIf(f -> f.remedy() != Fallback.Remedy.SCALING);
            fallbacks.add(GptqSolver.rounded(any ? Fallback.Cause.ONLY_ZEROS : Fallback.Cause.NO_TOKENS, columns));
        } else if (dead > 0 && !options.reference()) {
            fallbacks.add(GptqSolver.rounded(Fallback.Cause.DEAD_COLUMNS, dead));
        }
    }

    /** Puts U into the upper triangle of an arranged Hessian, if that has a factor. */
    private boolean hasFactor(Scope work, Tensor matrix) {
        String method = options.reference() ? "factor_in_three_steps" : "factor";
        return work.call("gptq", method, matrix).toLongs()[0] == 0;
    }

    private static Tensor diagonal(Scope scope, Rung rung, double[] diagonal, int[] order) {
        return scope.floats(rung.diagonal(diagonal, order), order.length);
    }
}
