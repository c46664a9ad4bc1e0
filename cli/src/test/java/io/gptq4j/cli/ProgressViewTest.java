package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class ProgressViewTest {
    private static String lastDrawn(TestConsole terminal) {
        String err = terminal.err();
        return err.substring(err.lastIndexOf('\r') + 1).stripTrailing();
    }

    @Nested
    class WithoutATerminal {
        private final TestConsole test = TestConsole.piped();
        private final ProgressView view = test.console.progress();

        private List<String> lines() {
            return test.err().lines().toList();
        }

        @Test
        void printsOneLinePerTenPercent() {
            view.start("Quantizing", 1000);
            for (int done = 1; done <= 1000; done++) {
                view.update(done, "");
            }
            view.finish();
            assertThat(lines()).hasSize(12).startsWith("Quantizing ...").endsWith("Quantizing: done in 0:00");
            assertThat(lines().get(1)).startsWith("Quantizing: 10 % (100/1000)");
        }

        @Test
        void printsALineAfterHalfAMinuteAlthoughLittleHappened() {
            view.start("Quantizing", 1000);
            view.update(1, "block 1");
            test.sleep(29);
            view.update(2, "block 2");
            test.sleep(1);
            view.update(3, "block 3");
            assertThat(lines())
                    .containsExactly("Quantizing ...", "Quantizing: 0 % (3/1000), 0:30 elapsed, 2:46:10 left, block 3");
        }

        @Test
        void saysHowFarAPhaseCameThatDidNotFinish() {
            try (ProgressView closing = view) {
                closing.start("Writing", 3);
                closing.update(1, "");
                test.sleep(3725);
            }
            assertThat(lines()).last().isEqualTo("Writing: stopped at 1/3 after 1:02:05");
        }

        @Test
        void startingAPhaseEndsTheOneBefore() {
            view.start("Reading", 1);
            view.update(1, "");
            view.start("Writing", 0);
            view.finish();
            view.finish();
            assertThat(lines()).contains("Reading: done in 0:00").endsWith("Writing ...", "Writing: done in 0:00");
        }

        @Test
        void ignoresUpdatesOutsideAPhase() {
            view.update(1, "");
            assertThat(lines()).isEmpty();
        }
    }

    @Nested
    class OnATerminal {
        private final TestConsole test = new TestConsole(Map.of("TERM", "xterm"), 120);
        private final ProgressView view = test.console.progress();

        @Test
        void drawsABarWithElapsedAndRemainingTime() {
            view.start("Quantizing", 24);
            test.sleep(60);
            view.update(8, "block 3/24");
            assertThat(lastDrawn(test))
                    .isEqualTo(
                            "Quantizing [########----------------] 33 % (8/24), 1:00 elapsed, 2:00 left, block 3/24");
        }

        @Test
        void redrawsAtMostTenTimesASecondButAlwaysAtTheEnd() {
            view.start("Quantizing", 3);
            view.update(1, "");
            assertThat(lastDrawn(test)).contains("(0/3)");
            view.update(3, "");
            assertThat(lastDrawn(test)).contains("(3/3)");
        }

        @Test
        void neverReachesTheLastColumn() {
            TestConsole narrow = new TestConsole(Map.of(), 40);
            narrow.console.progress().start("Quantizing", 10);
            narrow.sleep(1);
            narrow.console.progress().update(5, "a long detail that does not fit");
            assertThat(narrow.err().split("\r"))
                    .allSatisfy(line -> assertThat(line).hasSizeLessThan(40));
        }

        @Test
        void overwritesALongerLineCompletely() {
            view.start("Quantizing", 10);
            test.sleep(1);
            view.update(1, "a long detail");
            int longer = lastDrawn(test).length();
            test.sleep(1);
            view.update(2, "");
            String err = test.err();
            assertThat(err.substring(err.lastIndexOf('\r') + 1)).hasSizeGreaterThanOrEqualTo(longer);
        }
    }
}
