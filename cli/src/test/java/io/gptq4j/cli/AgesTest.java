package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AgesTest {
    @ParameterizedTest
    @CsvSource({"30s,30", "5m,300", "12h,43200", "7d,604800", "2w,1209600", "3mo,7776000", "1Y,31536000"})
    void readsANumberAndAUnit(String text, long seconds) {
        assertThat(Ages.parse(text)).isEqualTo(Duration.ofSeconds(seconds));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "7", "d", "-1d", "1.5d", "7 days"})
    void refusesWhatIsNoAge(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> Ages.parse(text)).withMessageContaining("is no age");
    }

    @ParameterizedTest
    @CsvSource({
        "0,now",
        "1,1 second ago",
        "59,59 seconds ago",
        "60,1 minute ago",
        "7199,1 hour ago",
        "172800,2 days ago",
        "604800,1 week ago",
        "2592000,1 month ago",
        "63072000,2 years ago"
    })
    void tellsTheLargestUnitThatFits(long seconds, String text) {
        Instant now = Instant.parse("2026-01-01T00:00:00Z");
        assertThat(Ages.ago(now.minusSeconds(seconds), now)).isEqualTo(text);
    }

    @Test
    void aClockThatWasSetBackIsNoTrouble() {
        Instant now = Instant.parse("2026-01-01T00:00:00Z");
        assertThat(Ages.ago(now.plusSeconds(5), now)).isEqualTo("now");
    }
}
