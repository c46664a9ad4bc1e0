package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.DisabledRepositoryException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.IncompleteSnapshotException;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.error.OfflineException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.SocketTimeoutException;
import java.nio.charset.MalformedInputException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class FailureTest {
    static Stream<Arguments> failures() {
        return Stream.of(
                row(new NoSuchFileException("m/config.json"), 3, "m/config.json: no such file or directory"),
                row(
                        new NoSuchFileException("m", null, "its directory does not exist"),
                        3,
                        "m: its directory does not exist"),
                row(new NotDirectoryException("m"), 3, "m: not a directory"),
                row(new FileNotFoundException("m (Is a directory)"), 3, "m (Is a directory)"),
                row(
                        new FileAlreadyExistsException("out"),
                        8,
                        "out: exists already; choose another output or remove it first"),
                row(
                        new DirectoryNotEmptyException("out"),
                        8,
                        "out: is not empty; choose another output or remove it first"),
                row(new AccessDeniedException("out"), 9, "out: permission denied"),
                row(
                        new FileSystemException("out/x", null, "No space left on device"),
                        9,
                        "out/x: No space left on device"),
                row(
                        new PerplexityLimitException("eval.txt", 20, 20.5, 0.01),
                        11,
                        "The perplexity on eval.txt rose from 20.0000 to 20.5000, by 2.50 %, and --max-ppl-increase allows"
                                + " 1.0 %; nothing was written or pushed. Try more --bits, a smaller --group-size, more"
                                + " --samples, or a --calibration text closer to what the model is for"),
                row(new IOException("No space left on device"), 9, "No space left on device"),
                row(new IOException(), 9, "java.io.IOException"),
                row(new EOFException(), 6, "The input ends too early."),
                row(new RepositoryNotFoundException("no repo"), 3, "no repo"),
                row(new RevisionNotFoundException("no rev"), 3, "no rev"),
                row(new EntryNotFoundException("no file"), 3, "no file"),
                row(new LocalEntryNotFoundException("not here", null), 3, "not here"),
                row(
                        new IncompleteSnapshotException(Path.of("s"), List.of("a", "b")),
                        3,
                        "The snapshot s lacks 2 file(s): a, b; download it again while the Hub can be reached"),
                row(new GatedRepositoryException("gated"), 4, "gated"),
                row(new DisabledRepositoryException("disabled"), 4, "disabled"),
                row(new AuthenticationException("bad token"), 4, "bad token"),
                row(new HubHttpException("forbidden", 403, null), 4, "forbidden"),
                row(new HubHttpException("unauthorized", 401, null), 4, "unauthorized"),
                row(new HubHttpException("gone", 404, null), 3, "gone"),
                row(new HubHttpException("conflict", 409, null), 9, "conflict"),
                row(new HubHttpException("too many", 429, null), 5, "too many"),
                row(new HubHttpException("broken", 503, null), 5, "broken"),
                row(new HubNetworkException("no route", null, false), 5, "no route"),
                row(
                        new OfflineException("look"),
                        5,
                        "Cannot look: offline mode is enabled; to reach the Hub, unset HF_HUB_OFFLINE"),
                row(new SocketTimeoutException("Read timed out"), 5, "Read timed out"),
                row(new InterruptedIOException("Interrupted while waiting"), 130, "Interrupted."),
                row(new IntegrityException("wrong hash"), 6, "wrong hash"),
                row(new HubException("something"), 9, "something"),
                row(new ZipException("invalid CEN header"), 6, "invalid CEN header"),
                row(new MalformedInputException(1), 6, "Input length = 1"),
                row(new InterruptedException("sleep interrupted"), 130, "Interrupted."),
                row(new UncheckedIOException(new NoSuchFileException("a")), 3, "a: no such file or directory"),
                row(new ExecutionException(new IllegalArgumentException("no")), 2, "no"),
                row(
                        new OutOfMemoryError("Java heap space"),
                        10,
                        "Java ran out of memory; give it more with GPTQ4J_OPTS=-Xmx8g, for example. (Java heap space)"));
    }

    private static Arguments row(Throwable thrown, int code, String sentence) {
        return Arguments.of(thrown, code, sentence);
    }

    @ParameterizedTest
    @MethodSource("failures")
    void mapsToTheDocumentedCodeAndOneSentence(Throwable thrown, int code, String sentence) {
        Failure failure = Failure.of(thrown);
        assertThat(failure.code().number()).isEqualTo(code);
        assertThat(failure.sentence()).isEqualTo(sentence);
    }

    @Test
    void brokenJsonIsBadInputAndShowsNoParserInternals() {
        @Nullable Throwable thrown = catchThrowable(() -> new ObjectMapper().readTree("{\"a\": tru"));
        assertThat(thrown).isNotNull();
        Failure failure = Failure.of(thrown);
        assertThat(failure.code()).isEqualTo(ExitCode.BAD_INPUT);
        assertThat(failure.sentence()).contains("JSON", "tru").doesNotContain("Source:");
    }

    @Test
    void anExceptionThatSaysNothingToTheUserIsAFaultOfOurs() {
        assertThat(Failure.of(new IllegalArgumentException()).code()).isEqualTo(ExitCode.UNEXPECTED);
        assertThat(Failure.of(new NumberFormatException("x")).code()).isEqualTo(ExitCode.UNEXPECTED);
        assertThat(Failure.of(new NullPointerException()).sentence()).contains("NullPointerException");
    }
}
