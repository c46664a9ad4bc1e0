package io.gptq4j.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.function.LongFunction;
import java.util.function.LongSupplier;

/**
 * Progress of one phase after another: a bar that redraws itself on a terminal, otherwise one plain line per ten percent
 * or half a minute, whichever comes first.
 *
 * <p>Uses neither colours nor escape sequences. Safe for use by several threads.
 */
final class ProgressView implements AutoCloseable {
    private static final long SECOND = 1_000_000_000L;
    private static final long REDRAW_AFTER = SECOND / 10;
    private static final long LINE_AFTER = 30 * SECOND;
    private static final int BAR_WIDTH = 24;

    /** How progress is shown. */
    enum Style {
        BAR,
        LINES,
        OFF
    }

    private final PrintStream err;
    private final Style style;
    private final int columns;
    private final LongSupplier nanoTime;

    private boolean running;
    private String title = "";
    private LongFunction<String> shown = Long::toString;
    private long total;
    private long done;
    private long startedAt;
    private long shownAt;
    private long shownTenths;
    private int drawnWidth;

    /**
     * A view that shows nothing until {@link #start}.
     *
     * @param err where to print
     * @param style how
     * @param columns width of the terminal in characters; lines of a bar are cut to it
     * @param nanoTime the clock, in nanoseconds
     */
    ProgressView(PrintStream err, Style style, int columns, LongSupplier nanoTime) {
        this.err = err;
        this.style = style;
        this.columns = columns;
        this.nanoTime = nanoTime;
    }

    /**
     * Begins a phase; one that is still running ends first.
     *
     * @param title what is being done, such as {@code Quantizing}
     * @param total number of steps, 0 or more
     */
    void start(String title, long total) {
        start(title, total, Long::toString);
    }

    /**
     * Begins a phase that is not counted in steps.
     *
     * @param shown how numbers of its unit are written
     */
    synchronized void start(String title, long total, LongFunction<String> shown) {
        finish();
        this.shown = shown;
        this.title = title;
        this.total = total;
        done = 0;
        running = true;
        startedAt = nanoTime.getAsLong();
        shownAt = startedAt;
        shownTenths = 0;
        if (style == Style.BAR) {
            draw("");
        } else if (style == Style.LINES) {
            err.println(title + " ...");
        }
    }

    /**
     * Shows how far the phase is.
     *
     * @param done number of finished steps
     * @param detail what just happened, in a few words; may be empty
     */
    synchronized void update(long done, String detail) {
        if (!running) {
            return;
        }
        this.done = done;
        long now = nanoTime.getAsLong();
        long tenths = total == 0 ? 0 : 10 * done / total;
        if (style == Style.BAR && (now - shownAt >= REDRAW_AFTER || done == total)) {
            shownAt = now;
            draw(detail);
        } else if (style == Style.LINES && (tenths > shownTenths || now - shownAt >= LINE_AFTER)) {
            shownAt = now;
            shownTenths = tenths;
            err.println(title + ": " + numbers(now) + separated(detail));
        }
    }

    /** Ends the phase, finished or not, and says how long it took. Without a running phase it does nothing. */
    synchronized void finish() {
        if (!running) {
            return;
        }
        clear();
        running = false;
        if (style != Style.OFF) {
            String time = duration(nanoTime.getAsLong() - startedAt);
            err.println(
                    done >= total
                            ? title + ": done in " + time
                            : title + ": stopped at " + shown.apply(done) + "/" + shown.apply(total) + " after "
                                    + time);
        }
    }

    @Override
    public void close() {
        finish();
    }

    /** Takes the bar off the screen so that another line can be printed; the next update draws it again. */
    synchronized void clear() {
        if (drawnWidth > 0) {
            err.print("\r" + " ".repeat(drawnWidth) + "\r");
            err.flush();
            drawnWidth = 0;
        }
    }

    private void draw(String detail) {
        int filled = total == 0 ? BAR_WIDTH : (int) (BAR_WIDTH * Math.min(done, total) / total);
        String bar = "[" + "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled) + "] ";
        String line = title + " " + bar + numbers(nanoTime.getAsLong()) + separated(detail);
        // The last column stays free: writing into it makes some terminals wrap.
        line = line.substring(0, Math.min(line.length(), Math.max(1, columns - 1)));
        err.print("\r" + line + " ".repeat(Math.max(0, drawnWidth - line.length())));
        err.flush();
        drawnWidth = line.length();
    }

    private String numbers(long now) {
        long percent = total == 0 ? 100 : 100 * done / total;
        long elapsed = now - startedAt;
        String left = done == 0 || done >= total
                ? ""
                : ", " + duration((long) ((double) elapsed / done * (total - done))) + " left";
        return percent + " % (" + shown.apply(done) + "/" + shown.apply(total) + "), " + duration(elapsed) + " elapsed"
                + left;
    }

    private static String separated(String detail) {
        return detail.isEmpty() ? "" : ", " + Console.printable(detail);
    }

    private static String duration(long nanos) {
        long seconds = nanos / SECOND;
        return seconds < 3600
                ? String.format(Locale.ROOT, "%d:%02d", seconds / 60, seconds % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
}
