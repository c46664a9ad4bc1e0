package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A test of commands that refuse what they are given and leave every file as it is. */
abstract class BadInputFixture {
    final Cli cli = new Cli()
            .with("GPTQ4J_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            .with("HF_HUB_OFFLINE", "1"); // what is no directory may be a repository
    final TinyModel tiny = TinyModel.create();

    @TempDir
    Path directory;

    Path model = Path.of("");
    Path out = Path.of("");
    private Path ids = Path.of("");

    @BeforeEach
    void names() throws IOException {
        int[] row = IntStream.range(0, 200).map(i -> i * 31 % 4096).toArray();
        ids = directory.resolve("ids.jsonl"); // spares the time to tokenize
        Files.writeString(ids, (Arrays.toString(row) + "\n").repeat(2));
        model = directory.resolve("model");
        out = directory.resolve("out");
    }

    Cli.Result quantize(String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("quantize", model.toString(), "--group-size", "32"));
        List<String> chosen = List.of(more);
        if (!chosen.contains("--out")) {
            arguments.addAll(List.of("--out", out.toString()));
        }
        if (!chosen.contains("--samples")) {
            arguments.addAll(List.of("--samples", "2"));
        }
        if (!chosen.contains("--calibration")) {
            arguments.addAll(List.of("--calibration", ids.toString()));
        }
        if (chosen.contains("--group-size")) {
            arguments.subList(2, 4).clear();
        }
        arguments.addAll(chosen);
        return run(arguments.toArray(String[]::new));
    }

    /** Runs a command that must leave every file as it is. */
    Cli.Result run(String... arguments) throws Exception {
        Set<String> before = files();
        Cli.Result result = cli.run(arguments);
        assertThat(files()).as(Arrays.toString(arguments) + result.err()).isEqualTo(before);
        return result;
    }

    private Set<String> files() throws IOException {
        Set<String> files = new TreeSet<>();
        try (Stream<Path> walk = Files.walk(directory)) {
            for (Path path : walk.toList()) {
                files.add(path + (Files.isRegularFile(path) ? " " + Files.size(path) : ""));
            }
        }
        return files;
    }

    static void refused(Cli.Result result, int exitCode, Object... words) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(exitCode);
        assertThat(result.out()).isEmpty();
        List<String> lines = result.err()
                .lines()
                .filter(line -> !line.matches("(making text up|quantizing|evaluating|scoring)[ :].*"))
                .toList();
        assertThat(lines).hasSize(1).first().asString().startsWith("error: ");
        for (Object word : words) {
            assertThat(lines.get(0)).contains(word.toString());
        }
        assertThat(lines.get(0)).doesNotContain("Exception", ".partial");
    }

    /** Usage errors of the command line's grammar end with a second line that points to the help. */
    static void misused(Cli.Result result, String... words) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .startsWith("error: ")
                .hasLineCount(2)
                .contains(words)
                .contains("\nTry 'gptq4j ");
    }

    Path weights() {
        return model.resolve("model.safetensors");
    }
}
