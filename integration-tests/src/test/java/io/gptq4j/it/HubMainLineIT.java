package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.gptq4j.it.hub.Exchange;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.Fault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the product is for: pull a model by its id, quantize it, push the result; all in one command. */
class HubMainLineIT {
    @TempDir
    Path directory;

    private FakeHub hub = FakeHub.start();
    private Path text = Path.of("");

    @BeforeEach
    void seed() throws IOException {
        hub.close();
        hub = FakeHub.inParts().start();
        Map<String, Path> files = new TreeMap<>();
        try (Stream<Path> bundled = Files.list(TinyModel.bundled())) {
            bundled.forEach(file -> files.put(file.getFileName().toString(), file));
        }
        files.put("pytorch_model.bin", SourceTree.root().resolve("LICENSE")); // the same weights again, elsewhere
        hub.repo("acme/tiny-llama").commit("main", "seed", files);
        text = SourceTree.root().resolve("LICENSE");
    }

    @AfterEach
    void close() {
        hub.close();
    }

    private Cli as(String token, String home) {
        return new Cli()
                .with("HF_ENDPOINT", hub.url())
                .with("HF_HOME", directory.resolve(home).toString())
                .with("HF_TOKEN", token)
                .with("HF_HUB_CACHE", "")
                .in(directory);
    }

    private static List<String> quantize(String... more) {
        return Stream.concat(
                        Stream.of(
                                "quantize",
                                "acme/tiny-llama",
                                "--group-size",
                                "64",
                                "--samples",
                                "4",
                                "--seqlen",
                                "256"),
                        Stream.of(more))
                .toList();
    }

    private static Cli.Result run(Cli cli, List<String> arguments) throws Exception {
        return cli.run(arguments.toArray(String[]::new));
    }

    private static JsonNode json(Cli.Result result) throws IOException {
        assertThat(result.exitCode()).as(result.err()).isZero();
        return JsonMapper.builder().build().readTree(result.out());
    }

    private double perplexity(Cli cli, String model) throws Exception {
        return json(cli.run("eval", model, "--text", text.toString(), "--window", "256", "--windows", "4", "--json"))
                .get("perplexity")
                .asDouble();
    }

    @Test
    void whatIsPushedCanBePulledAndGivesTheSamePerplexity() throws Exception {
        Cli alice = as(FakeHub.WRITE_TOKEN, "alice");
        JsonNode result = json(run(alice, quantize("--push-to", "alice/tiny-llama-gptq", "--private", "--json")));

        assertThat(result.get("pushed_to").asText())
                .isEqualTo(hub.url() + "/alice/tiny-llama-gptq/commit/"
                        + hub.repo("alice/tiny-llama-gptq").head("main"));
        assertThat(result.get("out").asText()).isEqualTo("tiny-llama-gptq");
        assertThat(hub.repo("alice/tiny-llama-gptq").isPrivate()).isTrue();
        assertThat(hub.repo("alice/tiny-llama-gptq").commits("main")).hasSize(2); // the Hub's own and ours
        assertThat(hub.repo("alice/tiny-llama-gptq").files("main"))
                .contains("model.safetensors", "config.json", "quantize_config.json", "tokenizer.json", "README.md");
        assertThat(hub.repo("alice/tiny-llama-gptq").text("main", "README.md"))
                .contains(
                        "base_model: acme/tiny-llama\n",
                        "base_model_relation: quantized\n",
                        hub.repo("acme/tiny-llama").head("main"),
                        "--push-to alice/tiny-llama-gptq",
                        "--model-id alice/tiny-llama-gptq")
                .doesNotContain(FakeHub.WRITE_TOKEN);

        Cli fresh = as(FakeHub.WRITE_TOKEN, "fresh");
        Path pulled = Path.of(
                fresh.run("download", "alice/tiny-llama-gptq", "-q").out().strip());
        assertThat(Files.readAllBytes(pulled.resolve("model.safetensors")))
                .isEqualTo(Files.readAllBytes(directory.resolve("tiny-llama-gptq/model.safetensors")));
        double here = perplexity(alice, directory.resolve("tiny-llama-gptq").toString());
        assertThat(perplexity(fresh, pulled.toString())).isEqualTo(here);
        assertThat(perplexity(fresh, "alice/tiny-llama-gptq")).isEqualTo(here);
    }

    @Test
    void weightsThatAreThereTwiceComeOnce() throws Exception {
        Cli alice = as(FakeHub.WRITE_TOKEN, "alice");
        json(run(alice, quantize("--no-eval", "--json")));
        assertThat(hub.requests("GET", "pytorch_model.bin")).isEmpty();
        assertThat(directory.resolve("tiny-llama-GPTQ").resolve("model.safetensors"))
                .exists();

        hub.clearLog();
        json(run(alice, quantize("--no-eval", "--json", "--out", "again")));
        assertThat(hub.requests("GET", "/resolve/")).isEmpty();
    }

    @Test
    void aRunThatCouldNotBePushedDoesNotEvenStart() throws Exception {
        Cli.Result reader = run(as(FakeHub.READ_TOKEN, "bob"), quantize("--push-to", "alice/x"));
        assertThat(reader.exitCode()).isEqualTo(4);
        assertThat(reader.err()).contains("the token of bob is for reading only");
        Cli.Result nobody = run(as("", "nobody"), quantize("--push-to", "alice/x"));
        assertThat(nobody.exitCode()).isEqualTo(4);
        Cli.Result wrong = run(as("hf_wrong_wrong_wrong", "wrong"), quantize("--push-to", "alice/x"));
        assertThat(wrong.exitCode()).isEqualTo(4);
        assertThat(wrong.err()).contains("the environment variable HF_TOKEN").doesNotContain("hf_wrong_wrong_wrong");
        assertThat(hub.requests("GET", "/resolve/")).isEmpty();
        assertThat(hub.hasRepo("model", "alice/x")).isFalse();
    }

    @Test
    void aPushThatFailsLeavesTheResultAndSaysHowToGoOn() throws Exception {
        hub.fault(Fault.on("POST", "/commit/").status(413).message("too much").times(1));
        Cli alice = as(FakeHub.WRITE_TOKEN, "alice");
        Cli.Result failed = run(alice, quantize("--no-eval", "--push-to", "late", "--json"));
        assertThat(failed.exitCode()).isEqualTo(9);
        JsonNode report = JsonMapper.builder().build().readTree(failed.out());
        assertThat(report.get("out").asText()).isEqualTo("late");
        assertThat(report.get("pushed_to").isNull()).isTrue();
        assertThat(report.get("modules")).isNotEmpty();
        assertThat(failed.err()).contains("too much", "gptq4j upload alice/late late");
        assertThat(hub.repo("alice/late").commits("main")).hasSize(1);

        Cli.Result again = alice.run("upload", "alice/late", "late");
        assertThat(again.exitCode()).as(again.err()).isZero();
        assertThat(hub.repo("alice/late").files("main")).contains("model.safetensors");
    }

    @Test
    void aPullRequestLeavesTheBranchAlone() throws Exception {
        hub.repo("alice/shared").commit("main", "seed", Map.of("old.safetensors", new byte[100], "notes.txt", "mine"));
        String head = hub.repo("alice/shared").head("main");
        JsonNode result = json(run(
                as(FakeHub.READ_TOKEN, "bob"),
                quantize("--no-eval", "--json", "--push-to", "alice/shared", "--create-pr")));
        assertThat(result.get("pushed_to").asText()).isEqualTo(hub.url() + "/alice/shared/discussions/1");
        assertThat(hub.repo("alice/shared").head("main")).isEqualTo(head);
        assertThat(hub.repo("alice/shared").files("refs/pr/1"))
                .contains("model.safetensors", "notes.txt")
                .doesNotContain("old.safetensors");
    }

    @Test
    void aRevisionIsPulledAsItIs() throws Exception {
        hub.repo("acme/tiny-llama").branch("dev").commit("dev", "broken", Map.of("config.json", "{}"));
        Cli.Result dev = run(as("", "nobody"), quantize("--revision", "dev", "--out", "out"));
        assertThat(dev.exitCode()).isEqualTo(6);
        assertThat(dev.err()).contains("config.json");
        Cli.Result none = run(as("", "nobody"), quantize("--revision", "nope", "--out", "out"));
        assertThat(none.exitCode()).isEqualTo(3);
        assertThat(none.err()).contains("'nope'");
    }

    @Test
    void theTokenGoesToTheHubAlone() throws Exception {
        json(run(as(FakeHub.WRITE_TOKEN, "alice"), quantize("--no-eval", "--json", "--push-to", "alice/safe")));
        List<Exchange> storage =
                hub.log().stream().filter(e -> e.listener().equals("cdn")).toList();
        assertThat(storage.stream().map(Exchange::method).collect(Collectors.toSet()))
                .containsExactlyInAnyOrder("GET", "PUT");
        assertThat(storage)
                .allSatisfy(e -> assertThat(e.header("Authorization")).isNull());
    }
}
