package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs the built distribution as a user does: a process of its own, through its start script. */
final class Cli {
    private final Map<String, String> environment = new HashMap<>();
    private Path program = SourceTree.root().resolve(Path.of("cli", "target", "gptq4j", "bin", "gptq4j"));
    private Path workingDirectory = Path.of("").toAbsolutePath();
    private Duration timeout = Duration.ofMinutes(2);

    /**
     * What came of a run.
     *
     * @param exitCode the process's exit code
     * @param out standard output
     * @param err standard error
     */
    record Result(int exitCode, String out, String err) {}

    /** Sets an environment variable of the runs that follow. */
    Cli with(String variable, String value) {
        environment.put(variable, value);
        return this;
    }

    /** Uses another path to the program, such as a link. */
    Cli through(Path program) {
        this.program = program;
        return this;
    }

    /** Runs in another directory. */
    Cli in(Path directory) {
        workingDirectory = directory;
        return this;
    }

    /** Gives the runs that follow this much time. */
    Cli within(Duration timeout) {
        this.timeout = timeout;
        return this;
    }

    /** The script that is run. */
    Path program() {
        return program;
    }

    /** Starts {@code gptq4j} without waiting for it; nobody reads what it says. */
    Process start(String... arguments) throws IOException {
        Process process = builder(arguments)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        process.getOutputStream().close();
        return process;
    }

    /** The process of {@code gptq4j}, to be started. */
    ProcessBuilder builder(String... arguments) {
        List<String> command = new ArrayList<>(List.of(program.toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).directory(workingDirectory.toFile());
        builder.environment().putAll(environment);
        return builder;
    }

    /**
     * Runs {@code gptq4j} and waits.
     *
     * @throws AssertionError if it takes longer than allowed; it is killed then
     */
    Result run(String... arguments) throws IOException, InterruptedException {
        // Files, not pipes: nobody has to read along, and a process that hangs cannot block the test.
        Path out = Files.createTempFile("gptq4j-", ".out");
        Path err = Files.createTempFile("gptq4j-", ".err");
        try {
            Process process = builder(arguments)
                    .redirectOutput(out.toFile())
                    .redirectError(err.toFile())
                    .start();
            process.getOutputStream().close();
            try {
                if (!process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS)) {
                    throw new AssertionError(List.of(arguments) + " did not end within " + timeout.toSeconds()
                            + " s; stderr so far: " + Files.readString(err, UTF_8));
                }
                return new Result(process.exitValue(), Files.readString(out, UTF_8), Files.readString(err, UTF_8));
            } finally {
                process.destroyForcibly();
            }
        } finally {
            Files.delete(out);
            Files.delete(err);
        }
    }
}
