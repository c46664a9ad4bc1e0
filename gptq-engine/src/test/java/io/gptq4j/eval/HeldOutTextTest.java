package io.gptq4j.eval;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.calibration.CalibrationSet;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class HeldOutTextTest {
    /** Characters of a passage: longer than the formulas that speakers repeat. */
    private static final int PASSAGE = 60;

    @Test
    void isLongEnoughForSeveralWindows() throws IOException {
        assertThat(HeldOutText.read()).hasSizeBetween(110_000, 130_000).contains("Captain", "the United States");
    }

    @Test
    void sharesNoPassageWithTheCalibrationText() throws IOException {
        String calibration;
        try (InputStream in = Objects.requireNonNull(CalibrationSet.class.getResourceAsStream("default.txt"))) {
            calibration = new String(in.readAllBytes(), UTF_8);
        }
        Set<String> passages = new HashSet<>();
        for (int i = 0; i + PASSAGE <= calibration.length(); i++) {
            passages.add(calibration.substring(i, i + PASSAGE));
        }
        String text = HeldOutText.read();
        List<String> shared = IntStream.rangeClosed(0, text.length() - PASSAGE)
                .mapToObj(i -> text.substring(i, i + PASSAGE))
                .filter(passages::contains)
                .toList();
        assertThat(passages).hasSizeGreaterThan(700_000);
        assertThat(shared).isEmpty();
    }
}
