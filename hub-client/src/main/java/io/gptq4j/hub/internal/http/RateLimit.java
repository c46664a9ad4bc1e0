package io.gptq4j.hub.internal.http;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;

/** How long an answer asks to wait: {@code RateLimit: "api";r=0;t=55}, or {@code Retry-After} in seconds or as a date. */
final class RateLimit {
    private static final Pattern REMAINING = Pattern.compile(";\\s*r=(\\d{1,9})");
    private static final Pattern RESET = Pattern.compile(";\\s*t=(\\d{1,9})");
    private static final Pattern SECONDS = Pattern.compile("\\d{1,9}");

    private RateLimit() {}

    /** The wait, with a second on top so that the window has surely passed; null if the answer says nothing. */
    static @Nullable Duration waitOf(Response response, Instant now) {
        String limit = response.header("RateLimit");
        if (response.code() == 429 && limit != null) {
            Matcher remaining = REMAINING.matcher(limit);
            Matcher reset = RESET.matcher(limit);
            if (remaining.find() && Integer.parseInt(remaining.group(1)) == 0 && reset.find()) {
                return Duration.ofSeconds(Integer.parseInt(reset.group(1)) + 1L);
            }
        }
        String after = response.header("Retry-After");
        if (after == null || (response.code() != 429 && response.code() != 503)) {
            return null;
        }
        if (SECONDS.matcher(after.strip()).matches()) {
            return Duration.ofSeconds(Integer.parseInt(after.strip()) + 1L);
        }
        try {
            Instant date = ZonedDateTime.parse(after.strip(), DateTimeFormatter.RFC_1123_DATE_TIME)
                    .toInstant();
            return date.isBefore(now)
                    ? Duration.ZERO
                    : Duration.between(now, date).plusSeconds(1);
        } catch (DateTimeException noDate) {
            return null; // the header says nothing we understand, so our own wait applies
        }
    }
}
