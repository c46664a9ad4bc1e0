package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.it.hub.FakeHub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code quantize --max-ppl-increase}: a result that got worse than that is neither kept nor pushed. */
class PerplexityLimitIT {
    private static final String SOURCE = "acme/tiny-llama";

    @TempDir
    Path directory;

    private FakeHub hub = FakeHub.start();

    @BeforeEach
    void seed() throws IOException {
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> bundled = Files.list(TinyModel.bundled())) {
            bundled.forEach(file -> files.put(String.valueOf(file.getFileName()), file));
        }
        hub.repo(SOURCE).commit("main", "seed", files);
    }

    @AfterEach
    void close() {
        hub.close();
    }

    /** Two bits from few windows cost this model some percent of its perplexity. */
    private Cli.Result quantize(String model, String... more) throws Exception {
        Stream<String> common =
                Stream.of("quantize", model, "--bits", "2", "--group-size", "64", "--samples", "4", "--seqlen", "128");
        return new Cli()
                .with("HF_ENDPOINT", hub.url())
                .with("HF_HOME", directory.resolve("home").toString())
                .with("HF_TOKEN", FakeHub.WRITE_TOKEN)
                .with("HF_HUB_CACHE", "")
                .in(directory)
                .run(Stream.concat(common, Stream.of(more)).toArray(String[]::new));
    }

    private static void assertRefused(Cli.Result result) {
        assertThat(result.exitCode()).as(result.err()).isEqualTo(11);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .containsPattern("error: The perplexity on the embedded held-out text rose from \\d+\\.\\d{4} to"
                        + " \\d+\\.\\d{4}, by \\d+\\.\\d\\d %, and --max-ppl-increase allows 0\\.1 %; nothing was written or"
                        + " pushed\\. Try more --bits");
    }

    private Set<String> left() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return new TreeSet<>(
                    files.map(file -> String.valueOf(file.getFileName())).toList());
        }
    }

    @Test
    void aWorseResultIsNotWritten() throws Exception {
        assertRefused(quantize(TinyModel.bundled().toString(), "--max-ppl-increase", "0.1%", "--out", "out"));
        assertThat(left()).isEmpty();
    }

    @Test
    void aResultWithinTheLimitIsWrittenAndPushed() throws Exception {
        Cli.Result result = quantize(SOURCE, "--max-ppl-increase", "0.9", "--out", "out", "--push-to", "alice/fine");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(directory.resolve("out").resolve("quantize_config.json")).isRegularFile();
        assertThat(hub.repo("alice/fine").files("main")).contains("quantize_config.json", "model.safetensors");
    }

    @Test
    void aWorseResultIsNotPushed() throws Exception {
        assertRefused(quantize(SOURCE, "--max-ppl-increase", "0.1%", "--out", "out", "--push-to", "alice/ordinary"));
        assertThat(hub.hasRepo("model", "alice/ordinary")).isFalse();
        assertThat(left()).containsExactly("home");
    }

    @Test
    void aWorseResultThatIsStreamedMakesNoCommit() throws Exception {
        Cli.Result passing = quantize(SOURCE, "--max-ppl-increase", "0.1%", "--stream", "--push-to", "alice/passing");
        Cli.Result both =
                quantize(SOURCE, "--max-ppl-increase", "0.1%", "--stream", "--out", "out", "--push-to", "alice/both");
        assertRefused(passing);
        assertRefused(both);
        assertThat(passing.err()).contains("Nothing was changed in model 'alice/passing'");
        assertThat(both.err()).contains("Nothing was changed in model 'alice/both'");
        assertThat(hub.repo("alice/passing").commits("main")).hasSize(1); // the one that made the repository
        assertThat(hub.repo("alice/both").commits("main")).hasSize(1);
        assertThat(left()).containsExactly("home");
        Path passed = directory.resolve("home").resolve("gptq4j").resolve("stream");
        try (Stream<Path> files = Files.walk(passed)) {
            assertThat(files.filter(Files::isRegularFile)).isEmpty();
        }
    }

    @Test
    void aLimitOnWhatIsNotMeasuredIsRefused() throws Exception {
        Cli.Result result =
                quantize(TinyModel.bundled().toString(), "--max-ppl-increase", "1%", "--no-eval", "--out", "out");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err()).contains("--max-ppl-increase needs the perplexity");
        assertThat(left()).isEmpty();
    }
}
