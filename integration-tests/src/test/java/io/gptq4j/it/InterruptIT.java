package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is ended from outside, in the middle. */
class InterruptIT {
    @TempDir
    Path directory;

    private List<String> command(Path out) {
        return List.of(
                new Cli().program().toString(),
                "quantize",
                TinyModel.bundled().toString(),
                "--group-size",
                "64",
                "--samples",
                "24",
                "--seqlen",
                "512",
                "--out",
                out.toString());
    }

    private List<String> content() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    /** Starts a run and gives it back once it has solved a module, to be ended by the caller. */
    private record Run(Process process, BufferedReader progress, List<String> heard) {}

    private Run started(Path out) throws IOException {
        List<String> heard = new ArrayList<>();
        Process process = new ProcessBuilder(command(out))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        process.getOutputStream().close();
        BufferedReader progress = process.errorReader();
        for (String line = progress.readLine(); line != null; line = progress.readLine()) {
            heard.add(line);
            if (line.contains("/42)")) {
                return new Run(process, progress, heard);
            }
        }
        throw new AssertionError("The run ended before it solved anything: " + heard);
    }

    @Test
    void aKilledRunLeavesNothingUnderTheNameAndTheNextOneCleansUp() throws Exception {
        Path out = directory.resolve("out");
        Process process = started(out).process();
        try {
            assertThat(content()).containsExactly(".out.partial", ".out.partial.lock");
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        assertThat(content()).containsExactly(".out.partial", ".out.partial.lock");

        Cli.Result next = new Cli()
                .run(
                        "quantize",
                        TinyModel.create().write(directory.resolve("model")).toString(),
                        "--group-size",
                        "32",
                        "--samples",
                        "2",
                        "--out",
                        out.toString());
        assertThat(next.exitCode()).as(next.err()).isZero();
        assertThat(content()).containsExactly("model", "out");
        assertThat(RawArtifact.read(out).module("model.layers.1.mlp.down_proj").gIdx())
                .hasSize(128);
    }

    @Test
    void aRunThatIsAskedToEndCleansUpItself() throws Exception {
        Run run = started(directory.resolve("out"));
        Process process = run.process();
        try {
            process.toHandle()
                    .destroy(); // leaves the pipes open; SIGTERM; SIGINT takes the same way, but a build in the
            // background would ignore it
            run.progress().lines().forEach(run.heard()::add);
            assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(128 + 15);
        assertThat(run.heard()).last().asString().isEqualTo("error: Interrupted.");
        assertThat(content()).isEmpty();
    }
}
