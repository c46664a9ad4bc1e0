package io.gptq4j.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.gptq4j.calibration.CalibrationException;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.VerificationException;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.DisabledRepositoryException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.IncompleteSnapshotException;
import io.gptq4j.hub.error.IntegrityException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.error.OfflineException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.safetensors.SafetensorsException;
import io.gptq4j.tensor.TorchException;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * How a failed command ends: its exit code and the one sentence the user reads.
 *
 * @param code the exit code
 * @param sentence what happened and what to do about it
 */
record Failure(ExitCode code, String sentence) {
    /** The first row whose type fits decides, so a subclass stands above its superclass. */
    private static final List<Row> TABLE = List.of(
            new Row(InterruptedException.class, ExitCode.INTERRUPTED, "Interrupted."),
            new Row(ClosedByInterruptException.class, ExitCode.INTERRUPTED, "Interrupted."),
            new Row(CancellationException.class, ExitCode.INTERRUPTED, "Interrupted."),
            new Row(SocketTimeoutException.class, ExitCode.NETWORK, null),
            new Row(InterruptedIOException.class, ExitCode.INTERRUPTED, "Interrupted."),
            new Row(GatedRepositoryException.class, ExitCode.ACCESS_DENIED, null),
            new Row(DisabledRepositoryException.class, ExitCode.ACCESS_DENIED, null),
            new Row(AuthenticationException.class, ExitCode.ACCESS_DENIED, null),
            new Row(RepositoryNotFoundException.class, ExitCode.NOT_FOUND, null),
            new Row(RevisionNotFoundException.class, ExitCode.NOT_FOUND, null),
            new Row(EntryNotFoundException.class, ExitCode.NOT_FOUND, null),
            new Row(LocalEntryNotFoundException.class, ExitCode.NOT_FOUND, null),
            new Row(IncompleteSnapshotException.class, ExitCode.NOT_FOUND, null),
            new Row(HubNetworkException.class, ExitCode.NETWORK, null),
            new Row(OfflineException.class, ExitCode.NETWORK, null),
            new Row(IntegrityException.class, ExitCode.BAD_INPUT, null),
            new Row(
                    OutOfMemoryError.class,
                    ExitCode.OUT_OF_MEMORY,
                    "Java ran out of memory; give it more with GPTQ4J_OPTS=-Xmx8g, for example."),
            new Row(NoSuchFileException.class, ExitCode.NOT_FOUND, "no such file or directory"),
            new Row(NotDirectoryException.class, ExitCode.NOT_FOUND, "not a directory"),
            new Row(FileNotFoundException.class, ExitCode.NOT_FOUND, null),
            new Row(
                    FileAlreadyExistsException.class,
                    ExitCode.OUTPUT_EXISTS,
                    "exists already; choose another output or remove it first"),
            new Row(
                    DirectoryNotEmptyException.class,
                    ExitCode.OUTPUT_EXISTS,
                    "is not empty; choose another output or remove it first"),
            new Row(AccessDeniedException.class, ExitCode.IO_ERROR, "permission denied"),
            new Row(FileSystemException.class, ExitCode.IO_ERROR, "cannot be read or written"),
            new Row(PerplexityLimitException.class, ExitCode.TOO_MUCH_WORSE, null),
            new Row(VerificationException.class, ExitCode.VERIFICATION_FAILED, null),
            new Row(CheckpointException.class, ExitCode.BAD_INPUT, null),
            new Row(SafetensorsException.class, ExitCode.BAD_INPUT, null),
            new Row(CalibrationException.class, ExitCode.BAD_INPUT, null),
            new Row(JsonProcessingException.class, ExitCode.BAD_INPUT, null),
            new Row(CharacterCodingException.class, ExitCode.BAD_INPUT, "The input is not UTF-8 text."),
            new Row(ZipException.class, ExitCode.BAD_INPUT, null),
            new Row(EOFException.class, ExitCode.BAD_INPUT, "The input ends too early."),
            new Row(IOException.class, ExitCode.IO_ERROR, null));

    /** The end that belongs to an exception. */
    static Failure of(Throwable thrown) {
        Throwable cause = unwrap(thrown);
        if (cause instanceof HubHttpException http) {
            return new Failure(ofStatus(http.status()), String.valueOf(http.getMessage()));
        }
        for (Row row : TABLE) {
            if (row.type.isInstance(cause)) {
                return new Failure(row.code, row.sentence(cause));
            }
        }
        if (cause instanceof TorchException torch && torch.outOfMemory()) {
            return new Failure(ExitCode.OUT_OF_MEMORY, String.valueOf(torch.getMessage()));
        }
        // Exactly this class: it says that a value the user chose is refused. Its subclasses are slips of ours.
        if (cause.getClass() == IllegalArgumentException.class && cause.getMessage() != null) {
            return new Failure(ExitCode.USAGE, cause.getMessage());
        }
        return new Failure(ExitCode.UNEXPECTED, "Unexpected error, which is a fault of gptq4j: " + cause);
    }

    /** What an answer of the Hub means that has no exception of its own. */
    private static ExitCode ofStatus(int status) {
        return switch (status) {
            case 401, 402, 403 -> ExitCode.ACCESS_DENIED;
            case 404 -> ExitCode.NOT_FOUND;
            case 407, 408, 429 -> ExitCode.NETWORK;
            default -> status >= 500 ? ExitCode.NETWORK : ExitCode.IO_ERROR;
        };
    }

    private static Throwable unwrap(Throwable thrown) {
        Throwable cause = thrown;
        while ((cause instanceof UncheckedIOException
                        || cause instanceof ExecutionException
                        || cause instanceof CompletionException)
                && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    /** One row of the table; the sentence is a fallback where the exception's own message says too little. */
    private record Row(
            Class<? extends Throwable> type,
            ExitCode code,
            @Nullable String fallback) {
        String sentence(Throwable cause) {
            if (cause instanceof FileSystemException file && file.getFile() != null) {
                String reason = file.getReason() != null ? file.getReason() : fallback;
                return file.getFile() + ": " + reason;
            }
            // The message of a stack trace for machines ("[Source: ...; line: 1]") is of no use to a reader.
            String message =
                    cause instanceof JsonProcessingException json ? json.getOriginalMessage() : cause.getMessage();
            if (cause instanceof JsonProcessingException) {
                return "The input is not the JSON that was expected: " + message;
            }
            if (message == null || message.isBlank() || code == ExitCode.INTERRUPTED) {
                return fallback != null ? fallback : cause.toString();
            }
            return cause instanceof OutOfMemoryError ? fallback + " (" + message + ")" : message;
        }
    }
}
