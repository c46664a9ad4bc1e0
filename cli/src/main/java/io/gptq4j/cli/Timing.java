package io.gptq4j.cli;

import java.io.IOException;
import java.util.Arrays;

/** Times what a benchmark does. */
final class Timing {
    private Timing() {}

    /** Something to be timed. */
    interface Action {
        void run() throws IOException;
    }

    /** The median seconds of some runs, after one that is not counted. */
    static double median(int repeats, Action action) throws IOException {
        action.run();
        double[] seconds = new double[repeats];
        for (int i = 0; i < repeats; i++) {
            seconds[i] = seconds(action);
        }
        return median(seconds);
    }

    static double seconds(Action action) throws IOException {
        long start = System.nanoTime();
        action.run();
        return Math.max(1, System.nanoTime() - start) / 1e9;
    }

    /** The middle value; of an even number, the larger of the two in the middle. */
    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
