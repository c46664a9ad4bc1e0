package io.gptq4j.gptq;

import java.util.Locale;

/**
 * What was done where a module's statistics did not allow what was asked for: no run is lost to them, and each of these is a
 * row of its report.
 *
 * @param cause what was not as it should be
 * @param remedy what held
 * @param amount how much of the remedy; its enum constant says in which unit
 */
public record Fallback(Cause cause, Remedy remedy, double amount) {
    /** What was not as it should be. */
    public enum Cause {
        /** No calibration token came to the module. */
        NO_TOKENS("no calibration token came by"),
        /** All inputs were zero in all tokens. */
        ONLY_ZEROS("its input was always zero"),
        /** Some inputs were zero in all tokens, so nothing is known of their columns. */
        DEAD_COLUMNS("some inputs were always zero"),
        /** So few tokens for so many inputs that the Hessian is singular, or most of what it says is noise. */
        FEW_TOKENS("few calibration tokens came by"),
        /** Inputs are finite, but so large that their squares would leave the range of float32. */
        LARGE_INPUTS("squares of its inputs leave float32"),
        /** The Hessian has no Cholesky factor with the damping asked for. */
        NOT_POSITIVE_DEFINITE("the Hessian is not positive definite"),
        /** Errors grew beyond float32 on their way from column to column. */
        SOLVE_OVERFLOW("the solve left float32");

        private final String text;

        Cause(String text) {
            this.text = text;
        }

        /** Whether that is ordinary: ReLU leaves inputs of many a sound model without a use. */
        public boolean isOrdinary() {
            return this == DEAD_COLUMNS;
        }

        /** What was not as it should be, for a reader. */
        @Override
        public String toString() {
            return text;
        }
    }

    /** What held, in the order of the ladder. */
    public enum Remedy {
        /** The amount is the damping: its share of the mean diagonal. Less than what was asked for it never is. */
        DAMPING("damping %.3g"),
        /** No diagonal entry is below this share of the mean one. */
        DIAGONAL_FLOOR("diagonal raised to %.3g of its mean"),
        /** To H was added its own diagonal, this many times: the inputs as if they were independent. */
        DIAGONAL_PRIOR("own diagonal as prior, weight %.3g"),
        /** To the sum of x x^T the mean of the siblings' was added, for as many tokens. */
        SIBLINGS_PRIOR("siblings as prior, worth %.0f tokens"),
        /** This many columns were rounded to nearest, that is, without regard for each other. */
        ROUND_TO_NEAREST("%.0f columns rounded to nearest"),
        /** Inputs were multiplied by this power of two before they were squared. */
        SCALING("inputs scaled by %.3g");

        private final String text;

        Remedy(String text) {
            this.text = text;
        }

        /** What held, for a reader. */
        public String text(double amount) {
            return String.format(Locale.ROOT, text, amount);
        }
    }
}
