package io.gptq4j.gptq;

import io.gptq4j.gptq.Fallback.Cause;
import io.gptq4j.gptq.Fallback.Remedy;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The layer Hessian H = 2/n sum x x^T over the n tokens seen by one module group (GPTQ, section 3.1). One matrix
 * serves all modules that read the same input. Accumulated unnormalised in float32 on the session's device, whatever
 * the type of x: the sum over many tokens is what a shorter type could not hold. As the matrix is symmetric, only its
 * upper triangle is summed up. Inputs whose squares float32 could not hold are scaled by a power of two.
 */
public final class Hessian implements AutoCloseable {
    /** Inputs are kept below 2 to this power: 2^60 tokens of them would fit float32, and so do the errors of a solve. */
    private static final int LARGEST = 30;

    /** As many tokens in multiples of the inputs are never few. */
    static final int ENOUGH = 4;

    private final Scope scope;
    private final Tensor sum; // [in, in], the upper triangle
    private long tokens;
    private int exponent; // inputs were divided by 2^exponent
    private double fourth; // sum of |x|^4, as long as tokens may be few
    private double prior; // tokens that siblings stand for

    /** An empty Hessian for {@code in} inputs, owned by {@code scope}. */
    public Hessian(Scope scope, int in) {
        this.scope = scope;
        this.sum = scope.zeros(in, in);
    }

    /**
     * Adds the tokens of x [..., in].
     *
     * @throws NotFiniteException if x holds a NaN or an infinity; nothing is added then
     */
    public void add(Tensor x) {
        long count = 1;
        long[] shape = x.shape();
        for (int axis = 0; axis < shape.length - 1; axis++) {
            count *= shape[axis];
        }
        if (count == 0) {
            return;
        }
        double largest = accumulate(x);
        if (!Double.isFinite(largest)) {
            throw notFinite(x);
        }
        if (largest > limit()) {
            scale(Math.getExponent(largest) + 1 - LARGEST);
            accumulate(x);
        }
        tokens += count;
    }

    /** Adds x, unless it has values above the limit; returns the largest magnitude, NaN if there is a NaN. */
    private double accumulate(Tensor x) {
        try (Tensor found = scope.call(
                "gptq",
                "accumulate",
                sum,
                x,
                base(size(), scope.isGpu()),
                Math.scalb(1.0, -exponent),
                limit(),
                tokens < (long) ENOUGH * size())) {
            double[] values = found.toDoubles();
            fourth += values[1];
            return values[0];
        }
    }

    /**
     * Lines of the smallest products, those at the diagonal, whose lower half is for nothing. Measured: smaller ones save work that they
     * do not do any faster.
     */
    public static int base(int inputs, boolean gpu) {
        return gpu ? 2048 : inputs > 1024 ? 128 : 64;
    }

    private double limit() {
        return Math.scalb(1.0, exponent + LARGEST);
    }

    /** Divides the inputs so far by a larger power of two. */
    private void scale(int larger) {
        scope.call("gptq", "scaled", sum, Math.scalb(1.0, 2 * (exponent - larger)))
                .close();
        fourth = Math.scalb(fourth, 4 * (exponent - larger));
        exponent = larger;
    }

    private NotFiniteException notFinite(Tensor x) {
        try (Tensor found = scope.call("tensors", "not_finite", x)) { // count and position of the first
            long[] values = found.toLongs();
            return new NotFiniteException(
                    this,
                    "its input holds NaN or infinite values (" + values[0] + " of them, the first in input channel "
                            + values[1] % size() + ")");
        }
    }

    /**
     * Adds the tokens that another one has seen, which may be on another device.
     *
     * @throws IllegalArgumentException if siblings stand for some of them
     */
    public void add(Hessian other) {
        if (other.prior > 0) {
            throw new IllegalArgumentException("This Hessian has been filled with its siblings already");
        }
        if (other.exponent > exponent) {
            scale(other.exponent);
        }
        add(other, Math.scalb(1.0, 2 * (other.exponent - exponent)));
        fourth += Math.scalb(other.fourth, 4 * (other.exponent - exponent));
        tokens += other.tokens;
    }

    private void add(Hessian other, double weight) {
        try (Scope step = scope.child()) {
            step.call("gptq", "add_to", sum, other.sum.copyTo(step), weight);
        }
    }

    /** Takes others as a prior, by the rule of {@link Siblings}. */
    void fill(Hessian others) {
        double theirs = others.trace();
        if (others.tokens == 0 || theirs == 0) {
            return;
        }
        double own = trace();
        if (own == 0) { // of no tokens, or of nothing but zeros
            exponent = others.exponent;
            prior = size();
            add(others, prior / others.tokens);
            return;
        }
        double power = own / tokens / theirs; // P = power * theirs has the trace of a mean token
        try (Scope step = scope.child()) {
            Tensor p = others.sum().copyTo(step);
            double cross = power * inner(step, sum(), p) / tokens;
            double distance = squares() - 2 * cross + power * power * inner(step, p, p);
            if (tokens == 1 || distance < squares() - diagonalSquares()) {
                prior = prior(distance, size());
                add(others, prior * power);
            }
        }
    }

    /**
     * How many tokens the own diagonal is worth as a prior, as it would be if the inputs were independent: by the rule of
     * {@link Siblings}, but a quarter of the inputs at most.
     */
    double diagonalPrior() {
        return prior(squares() - diagonalSquares(), size() / 4.0);
    }

    /**
     * The weight of a prior P for the second moment S of a mean token, by Ledoit and Wolf: rho = E|S - E S|^2 / |S - P|^2 in
     * Frobenius norms, the numerator estimated from the tokens' own spread. Then (1 - rho) S + rho P is the mean over the
     * tokens and rho / (1 - rho) times as many of P.
     *
     * @param distance |S - P|^2
     * @param most the most tokens to return
     */
    private double prior(double distance, double most) {
        if (tokens == 1) { // which shows no spread
            return most;
        }
        double spread = Math.max(0, (fourth / tokens - squares()) / (tokens - 1));
        return spread == 0 ? 0 : spread >= distance ? most : Math.min(most, tokens * spread / (distance - spread));
    }

    /** |S|^2 of the mean token's second moment S. */
    private double squares() {
        try (Scope step = scope.child()) {
            return inner(step, sum(), sum) / tokens / tokens;
        }
    }

    private double diagonalSquares() {
        return Arrays.stream(diagonal())
                .map(entry -> entry / tokens * (entry / tokens))
                .sum();
    }

    private static double inner(Scope step, Tensor a, Tensor b) {
        return step.call("gptq", "inner", a, b).toDoubles()[0];
    }

    private double trace() {
        return Arrays.stream(diagonal()).sum();
    }

    private double[] diagonal() {
        try (Tensor diagonal = scope.call("gptq", "diagonal", sum)) {
            return diagonal.toDoubles();
        }
    }

    /** The unnormalised sum of x x^T, [in, in] float32; owned by this. */
    Tensor sum() {
        scope.call("gptq", "mirrored", sum).close();
        return sum;
    }

    /** What loss has to be multiplied with, since the inputs were scaled. */
    double scale() {
        return Math.scalb(1.0, 2 * exponent);
    }

    /** What was done so far. */
    List<Fallback> fallbacks() {
        List<Fallback> fallbacks = new ArrayList<>();
        if (exponent != 0) {
            fallbacks.add(new Fallback(Cause.LARGE_INPUTS, Remedy.SCALING, Math.scalb(1.0, -exponent)));
        }
        if (prior > 0) {
            fallbacks.add(new Fallback(tokens == 0 ? Cause.NO_TOKENS : Cause.FEW_TOKENS, Remedy.SIBLINGS_PRIOR, prior));
        }
        return fallbacks;
    }

    /** Number of inputs. */
    public int size() {
        return Math.toIntExact(sum.size(0));
    }

    /** Tokens accumulated so far. */
    public long tokens() {
        return tokens;
    }

    /** Tokens that siblings stand for. */
    double prior() {
        return prior;
    }

    /** Frees the matrix. */
    @Override
    public void close() {
        sum.close();
    }
}
