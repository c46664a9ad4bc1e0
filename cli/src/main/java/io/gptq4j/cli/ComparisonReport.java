package io.gptq4j.cli;

import io.gptq4j.eval.Divergence;
import io.gptq4j.eval.Interval;
import io.gptq4j.eval.ModelScores;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a comparison tells, as {@code --json} prints it. All intervals are of 95 %.
 *
 * @param text the text's name
 * @param windows windows scored
 * @param window tokens in each
 * @param tokens tokens scored
 * @param reference what predictions were held against, or null; may be A or B
 * @param a the model
 * @param b the other, or null if there is only a reference to compare with
 * @param difference between B and A, or null
 * @param verdict what the numbers say
 * @param device where it was computed
 * @param dtype in which type
 * @param seconds how long it took
 */
record ComparisonReport(
        String text,
        int windows,
        int window,
        long tokens,
        @Nullable Side reference,
        Side a,
        @Nullable Side b,
        @Nullable Difference difference,
        Verdict verdict,
        String device,
        String dtype,
        double seconds) {

    /**
     * A model. What is held against the reference is null for the reference itself, and where there is none.
     *
     * @param perplexityRatio its perplexity by the reference's
     * @param top1Agreement the share of tokens, 0 to 1
     */
    record Side(
            String model,
            double perplexity,
            double nll,
            @Nullable Interval perplexityRatio,
            @Nullable Spread klDivergence,
            @Nullable Interval top1Agreement) {

        static Side of(String name, ModelScores scores, @Nullable ModelScores reference) {
            Divergence divergence = scores.divergence();
            if (divergence == null || reference == null) {
                return new Side(name, scores.perplexity(), scores.nll(), null, null, null);
            }
            Interval mean = divergence.mean();
            return new Side(
                    name,
                    scores.perplexity(),
                    scores.nll(),
                    Interval.ofDifference(scores.windows(), reference.windows()).exp(),
                    new Spread(
                            mean.mean(),
                            mean.low(),
                            mean.high(),
                            divergence.quantile(0.5),
                            divergence.quantile(0.99),
                            divergence.quantile(1)),
                    divergence.agreeing());
        }
    }

    /** The mean KL divergence with its interval, and divergences of single tokens. */
    record Spread(double mean, double low, double high, double median, double p99, double max) {
        Interval interval() {
            return new Interval(mean, low, high);
        }
    }

    /** B minus A, window by window; of perplexities B by A. What takes two divergences is null where there are none. */
    record Difference(
            Interval nll,
            Interval perplexityRatio,
            @Nullable Interval klDivergence,
            @Nullable Interval top1Agreement) {

        static Difference of(ModelScores a, ModelScores b) {
            Interval nll = Interval.ofDifference(b.windows(), a.windows());
            Divergence ofA = a.divergence();
            Divergence ofB = b.divergence();
            if (ofA == null || ofB == null) {
                return new Difference(nll, nll.exp(), null, null);
            }
            return new Difference(
                    nll,
                    nll.exp(),
                    Interval.ofDifference(ofB.windows(), ofA.windows()),
                    Interval.ofDifference(ofB.agreement(), ofA.agreement()));
        }
    }

    /**
     * What the numbers say of B, or of the only model against the reference.
     *
     * @param perplexity {@code worse}, {@code better}, or {@code same}: no difference beyond the noise
     * @param klDivergence the same, or null if there are no two of them to compare
     * @param sentence both in words
     */
    record Verdict(String perplexity, @Nullable String klDivergence, String sentence) {

        /**
         * A verdict.
         *
         * @param subject what is judged
         * @param object what it is held against
         * @param ratio of their perplexities
         * @param apart the KL divergence from one to the other, or null
         * @param farther the difference of their KL divergences from a third, or null
         */
        static Verdict of(
                String subject, String object, Interval ratio, @Nullable Spread apart, @Nullable Interval farther) {
            int worse = sign(ratio.low() - 1, ratio.high() - 1);
            String perplexity = "perplexity " + percent(ratio);
            String noise = "no difference beyond the noise";
            if (farther == null) {
                String tail = apart == null ? "" : "; KL divergence " + number(apart.interval(), "%.6f");
                return new Verdict(word(worse), null, head(worse, subject, object) + perplexity + tail);
            }
            int sign = sign(farther.low(), farther.high());
            String divergence = "KL divergence " + number(farther, "%+.6f");
            String sentence;
            if (worse == sign) {
                sentence = head(worse, subject, object) + perplexity + "; " + divergence;
            } else if (worse == 0) {
                sentence = head(sign, subject, object) + divergence + "; " + noise + " in " + perplexity;
            } else if (sign == 0) {
                sentence = head(worse, subject, object) + perplexity + "; " + noise + " in " + divergence;
            } else {
                sentence = head(sign, subject, object) + divergence + "; but " + word(worse) + " in " + perplexity;
            }
            return new Verdict(word(worse), word(sign), sentence);
        }

        private static String head(int worse, String subject, String object) {
            return worse == 0
                    ? "No difference beyond the noise between " + subject + " and " + object + ": "
                    : subject + " is " + word(worse) + " than " + object + ": ";
        }

        private static int sign(double low, double high) {
            return low > 0 ? 1 : high < 0 ? -1 : 0;
        }

        private static String word(int worse) {
            return worse > 0 ? "worse" : worse < 0 ? "better" : "same";
        }
    }

    /** A model's name and what it made of the text. */
    record Scored(String name, ModelScores scores) {}

    /** A report; see the components. */
    static ComparisonReport of(
            String text,
            int window,
            @Nullable Scored reference,
            Scored a,
            @Nullable Scored b,
            String device,
            String dtype,
            double seconds) {
        ModelScores against = reference == null ? null : reference.scores;
        Side sideA = Side.of(a.name, a.scores, against);
        Side sideB = b == null ? null : Side.of(b.name, b.scores, against);
        Difference difference = b == null ? null : Difference.of(a.scores, b.scores);
        Verdict verdict;
        if (difference != null && sideB != null) {
            Spread apart = a.scores == against ? sideB.klDivergence : null;
            verdict = Verdict.of("B", "A", difference.perplexityRatio, apart, difference.klDivergence);
        } else if (sideA.perplexityRatio != null) {
            verdict = Verdict.of(a.name, "the reference", sideA.perplexityRatio, sideA.klDivergence, null);
        } else {
            throw new IllegalArgumentException("There is nothing that " + a.name + " could be compared with");
        }
        int windows = a.scores.windows().length;
        return new ComparisonReport(
                text,
                windows,
                window,
                (long) windows * (window - 1),
                reference == null ? null : Side.of(reference.name, reference.scores, against),
                sideA,
                sideB,
                difference,
                verdict,
                device,
                dtype,
                seconds);
    }

    /** The same for a reader: the models, a table, and the verdict. */
    String forReader() {
        List<String> lines = new ArrayList<>();
        Table table;
        if (b == null) {
            table = new Table("", "model");
            lines.add("model      " + a.model);
        } else {
            table = new Table("", "A", "B", "B - A");
            lines.add("A          " + a.model);
            lines.add("B          " + b.model);
        }
        if (reference != null) {
            lines.add(String.format(
                    Locale.ROOT, "reference  %s, perplexity %.4f", reference.model, reference.perplexity));
        }
        lines.add("");
        Difference d = difference;
        row(
                table,
                "perplexity",
                number(a.perplexity, "%.4f"),
                b == null ? "" : number(b.perplexity, "%.4f"),
                d == null ? "" : percent(d.perplexityRatio));
        if (reference != null) {
            Interval kl = d == null ? null : d.klDivergence;
            Interval top1 = d == null ? null : d.top1Agreement;
            row(table, "  by the reference's", ratio(a), ratio(b), "");
            row(table, "KL divergence, mean", mean(a), mean(b), kl == null ? "" : number(kl, "%+.6f"));
            row(table, "  median", kl(a, Spread::median), kl(b, Spread::median), "");
            row(table, "  99 %", kl(a, Spread::p99), kl(b, Spread::p99), "");
            row(table, "  maximum", kl(a, Spread::max), kl(b, Spread::max), "");
            row(table, "top-1 agreement, %", top1(a), top1(b), top1 == null ? "" : number(hundredfold(top1), "%+.2f"));
        }
        lines.add(table.toString());
        lines.add("");
        lines.add(String.format(
                Locale.ROOT,
                "%s of %d tokens of %s, %s on %s, %.1f s; in brackets: 95 %% confidence, paired by window",
                Sizes.count(windows, "window"),
                window,
                text,
                dtype,
                device,
                seconds));
        lines.add(verdict.sentence);
        return String.join(System.lineSeparator(), lines);
    }

    private void row(Table table, String head, String ofA, String ofB, String difference) {
        if (b == null) {
            table.row(head, ofA);
        } else {
            table.row(head, ofA, ofB, difference);
        }
    }

    private static String ratio(@Nullable Side side) {
        return side == null || side.perplexityRatio == null ? "" : percent(side.perplexityRatio);
    }

    private static String mean(@Nullable Side side) {
        return side == null || side.klDivergence == null ? "" : number(side.klDivergence.interval(), "%.6f");
    }

    private static String kl(@Nullable Side side, ToDoubleFunction<Spread> value) {
        return side == null || side.klDivergence == null ? "" : number(value.applyAsDouble(side.klDivergence), "%.6f");
    }

    private static String top1(@Nullable Side side) {
        return side == null || side.top1Agreement == null ? "" : number(hundredfold(side.top1Agreement), "%.2f");
    }

    private static Interval hundredfold(Interval share) {
        return new Interval(100 * share.mean(), 100 * share.low(), 100 * share.high());
    }

    /** A ratio as a rise in percent. Half of the interval is shown to one digit, but no less than hundredths of a percent. */
    private static String percent(Interval ratio) {
        double half = 100 * (ratio.high() - ratio.low()) / 2;
        int digits = half > 0 ? (int) Math.min(6, Math.max(2, Math.ceil(-Math.log10(half)))) : 2;
        String format = "%+." + digits + "f";
        return number(100 * (ratio.mean() - 1), format) + " % (" + number(100 * (ratio.low() - 1), format) + " to "
                + number(100 * (ratio.high() - 1), format) + ")";
    }

    private static String number(Interval interval, String format) {
        return number(interval.mean(), format) + " (" + number(interval.low(), format) + " to "
                + number(interval.high(), format) + ")";
    }

    private static String number(double value, String format) {
        return String.format(Locale.ROOT, format, value);
    }
}
