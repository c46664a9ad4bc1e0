package io.gptq4j.cost;

/**
 * The line y = intercept + slope * x through points, by least squares.
 *
 * @param slope its slope
 * @param intercept its value at 0
 * @param r2 the share of the variance of y that it explains; 1 if all points lie on it
 */
public record LinearFit(double slope, double intercept, double r2) {
    /**
     * Fits a line.
     *
     * @throws IllegalArgumentException if there are fewer than two different x, or not as many y as x
     */
    public static LinearFit of(double[] x, double[] y) {
        if (x.length != y.length) {
            throw new IllegalArgumentException(x.length + " abscissas do not go with " + y.length + " values");
        }
        double meanX = mean(x);
        double meanY = mean(y);
        double xx = 0;
        double xy = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xx += (x[i] - meanX) * (x[i] - meanX);
            xy += (x[i] - meanX) * (y[i] - meanY);
            yy += (y[i] - meanY) * (y[i] - meanY);
        }
        if (!(xx > 0)) {
            throw new IllegalArgumentException("A line takes two points or more at different places");
        }
        double slope = xy / xx;
        return new LinearFit(slope, meanY - slope * meanX, yy == 0 ? 1 : xy * xy / (xx * yy));
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum / values.length;
    }
}
