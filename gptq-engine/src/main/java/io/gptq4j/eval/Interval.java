package io.gptq4j.eval;

import java.util.Arrays;

/**
 * A mean over windows of text, and where the mean over all text of the kind lies with 95 % confidence.
 *
 * <p>The limits are those of Student's t with the windows as the sample. Windows and not tokens, because tokens of one window
 * depend on each other, and counting them as independent makes intervals too narrow. Student's t and not a bootstrap, because
 * a window's mean is over hundreds of tokens and so nearly normal, for which t is right with any number of windows, where a
 * bootstrap of few is too narrow; and because it needs no seed.
 *
 * @param mean the mean
 * @param low the lower limit
 * @param high the upper limit
 */
public record Interval(double mean, double low, double high) {
    /** The 97.5 % point of the normal distribution. */
    private static final double NORMAL = 1.959963984540054;

    /** The 97.5 % points of Student's t with 1, 2, ... degrees of freedom. */
    private static final double[] STUDENT = {
        12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139
    };

    /**
     * The mean of what was measured on each window.
     *
     * @param windows a value for each of two or more windows of the same length
     */
    public static Interval of(double[] windows) {
        int n = windows.length;
        if (n < 2) {
            throw new IllegalArgumentException("An interval takes two windows or more, not " + n);
        }
        double mean = Arrays.stream(windows).sum() / n;
        double squares =
                Arrays.stream(windows).map(x -> (x - mean) * (x - mean)).sum();
        double half = student(n - 1) * Math.sqrt(squares / (n - 1) / n);
        return new Interval(mean, mean - half, mean + half);
    }

    /**
     * The mean of {@code windows - others}, paired: what makes a window hard for both models alike does not count as noise, so
     * that far smaller differences show than the intervals of the two means would let through.
     *
     * @param windows a value for each window
     * @param others the other model's values for the same windows
     */
    public static Interval ofDifference(double[] windows, double[] others) {
        if (windows.length != others.length) {
            throw new IllegalArgumentException(
                    "Pairs are of the same windows: " + windows.length + " and " + others.length + " do not match");
        }
        double[] differences = new double[windows.length];
        Arrays.setAll(differences, w -> windows[w] - others[w]);
        return of(differences);
    }

    /** The same of the exponential: a difference of log-likelihoods becomes a ratio of perplexities. */
    public Interval exp() {
        return new Interval(Math.exp(mean), Math.exp(low), Math.exp(high));
    }

    /** The 97.5 % point of Student's t; from 11 degrees on by Abramowitz and Stegun 26.7.5, to five digits. */
    static double student(int degrees) {
        if (degrees <= STUDENT.length) {
            return STUDENT[degrees - 1];
        }
        double x = NORMAL;
        double x2 = x * x;
        double n = degrees;
        double g1 = x * (x2 + 1) / 4;
        double g2 = x * ((5 * x2 + 16) * x2 + 3) / 96;
        double g3 = x * (((3 * x2 + 19) * x2 + 17) * x2 - 15) / 384;
        double g4 = x * ((((79 * x2 + 776) * x2 + 1482) * x2 - 1920) * x2 - 945) / 92160;
        return x + (((g4 / n + g3) / n + g2) / n + g1) / n;
    }
}
